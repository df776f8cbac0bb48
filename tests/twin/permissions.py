"""What the roles of an environment's nodes allow, and none of its machines has used since the twin was started."""

from holdfast.topology import Cluster, Environment, Role, names
from holdfast.twin import client


def unused(environment: Environment) -> dict[str, list[list[str]]]:
    """What machines run → statement, action and resource that none of these has used, with NODE for its name.

    A machine that has used nothing does not count.
    """
    left = client.request("unused_permissions")
    found: dict[str, list[list[str]]] = {}
    for node in Cluster.of(environment).nodes:
        if (of_role := left.get(names.node_role(environment, node))) is None:
            continue
        own = [[part.replace(node.name, "NODE") for part in grant] for grant in of_role]
        runs = "-".join(role for role in Role if role in node.roles)
        found[runs] = [grant for grant in found.get(runs, own) if grant in own]
    return found
