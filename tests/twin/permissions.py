"""What the roles of an environment allow, and none of its machines has used since the twin was started."""

from holdfast.topology import Environment, names
from holdfast.twin import client


def unused(environment: Environment) -> dict[str, list[list[str]]]:
    """What the IAM role is called → statement, action and resource; roles that were never used are not there."""
    beginning = names.resource(environment, "")
    return {
        role.removeprefix(beginning): left
        for role, left in client.request("unused_permissions").items()
        if role.startswith(beginning)
    }
