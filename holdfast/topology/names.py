"""Every name and tag that Holdfast gives in the cloud, from one place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from holdfast.topology.cluster import Node, Zone
from holdfast.topology.spec import Environment

PROJECT = "holdfast"
MANAGED_BY = "cdktf"

PUBLIC_ADDRESS_TAG = "Endpoint"

LOCAL_STATE = Path(os.environ.get("HOLDFAST_STATE_DIR") or Path(__file__).resolve().parents[2] / ".holdfast" / "state")
"""Terraform state of environments whose cloud is an emulation."""


RUN_TIME_TAGS = "holdfast:"
"""Tags of this prefix are for what is not Terraform's: it leaves them alone."""


def tags(environment: Environment) -> dict[str, str]:
    """By which everything in an environment is known. Those of a test stack say whose it is and when it may go."""
    tags = {"Project": PROJECT, "Environment": environment.name, "ManagedBy": MANAGED_BY}
    if (test := environment.teststack) is None:
        return tags
    return tags | {"Owner": test.owner, "Run": test.run, "Expires": test.expires_text}


def all_tags(environment: Environment) -> dict[str, str]:
    """The tags of everything in an environment: those by which it is known, and the team's own."""
    return dict(environment.tags) | tags(environment)


FEW_TAGS = 10
"""What S3 takes on an object, and Route 53 in one call, in which Terraform's provider sends all of a zone."""


def tags_of_ten(environment: Environment) -> dict[str, str]:
    """The tags of what takes only ten: with `Name` beside them, the team's are there where all fit."""
    whole = all_tags(environment)
    return whole if len(whole) < FEW_TAGS else tags(environment)


TESTSTACK_TAGS = frozenset({"Owner", "Run"})
"""A team may have these itself, elsewhere than in test stacks."""

OWN_TAGS = frozenset(
    {
        "Project",
        "Environment",
        "ManagedBy",
        "Expires",
        "Name",
        "Node",
        "Zone",
        "Image",
        "Volume",
        PUBLIC_ADDRESS_TAG,
        "LeaderEndpoint",
        "ReplicaEndpoint",
        "EndpointPort",
    }
)
"""Every other tag that Holdfast gives anything. `Expires` says of a thing that it is a test stack's."""


def node_tags(node: Node) -> dict[str, str]:
    """What a node's own resources carry in addition."""
    return {"Name": node.name, "Node": node.name, "Zone": node.zone.letter}


def image_tags(node: Node) -> dict[str, str]:
    """What an instance says of its image: its id alone tells no version to who reviews a change of it."""
    return {"Image": str(node.machine.image)}


def data_volume_tags(node: Node) -> dict[str, str]:
    """By which a machine finds its data volume among all volumes of the environment, root volumes included."""
    return node_tags(node) | {"Volume": "data"}


def public_address_tags(node: Node, kind: str) -> dict[str, str]:
    """By which a public address is known as that of a gateway's `leader` or `replica` endpoint."""
    return {"Name": f"{node.name}-{kind}", "Node": node.name, PUBLIC_ADDRESS_TAG: kind}


def endpoint_tags(node: Node, port: int) -> dict[str, str]:
    """What a gateway's interface says of its endpoints, to whoever looks at the cloud alone."""
    if node.leader_endpoint is None:
        return {}
    return {
        "LeaderEndpoint": str(node.leader_endpoint),
        "ReplicaEndpoint": str(node.replica_endpoint),
        "EndpointPort": str(port),
    }


def node_role(environment: Environment, node: Node) -> str:
    """Of its IAM role, policy and instance profile: `holdfast-prod.data-a1`.

    These are the whole account's, and the node's own name may be that of another environment's node too: `data-a1` of
    `prod` and `a1` of `prod-data`. No environment's name has a dot.
    """
    return f"{PROJECT}-{environment.name}.{node.name.removeprefix(environment.name + '-')}"


def node_roles(environment: Environment) -> str:
    """A pattern for the roles of all nodes."""
    return f"{PROJECT}-{environment.name}.*"


def node_alarm(environment: Environment, node: Node) -> str:
    # `-status` it was in the watch stack, which would delete another stack's alarm of that name as its own.
    return f"{node_role(environment, node)}-machine"


def resource(environment: Environment, what: str) -> str:
    """The name of anything that is one of its kind in an environment: `holdfast-prod-alarms`.

    `what` has no hyphen where the name is the whole account's: then it tells where the environment's name ends.
    """
    return f"{PROJECT}-{environment.name}-{what}"


def placement_group(environment: Environment, zone: Zone) -> str:
    """Of a zone's machines: `holdfast-prod-spread.a`."""
    return resource(environment, f"spread.{zone.letter}")


def reservation(environment: Environment, zone: Zone) -> str:
    """What a reservation of addresses says of itself: it has no tags."""
    return resource(environment, f"nodes-{zone.letter}")


def alarms(environment: Environment) -> str:
    """The topic to which every alarm of the environment goes."""
    return resource(environment, "alarms")


def bucket(environment: Environment) -> str:
    """The environment's bucket: node program, bootstrap record, node reports."""
    return f"{PROJECT}-{environment.name}-{environment.region}-{environment.suffix}"


STATE_BUCKET_END = "-state"


def state_bucket(environment: Environment) -> str:
    """The bucket of the environment's Terraform state, made by `holdfast bootstrap`."""
    return bucket(environment) + STATE_BUCKET_END


BACKUPS_BUCKET_END = "-saved"


def backups_bucket(environment: Environment) -> str:
    """The bucket of the environment's backups: it stays when the environment goes."""
    return bucket(environment) + BACKUPS_BUCKET_END


def secret(environment: Environment, user: str) -> str:
    """Name in Secrets Manager of the credentials of a Redis user."""
    return f"{PROJECT}/{environment.name}/{user}"


HASH_TAG = "holdfast:sha256:"
"""On the secret of a Redis user: this with the id of a version is the key of a tag whose value is the SHA-256 of that
version's password, in hexadecimal. By it a node checks the password without having it."""


def authority(environment: Environment) -> str:
    """Name in Secrets Manager of the certificate authority, with its key: for operators, and for no machine."""
    return f"{PROJECT}/{environment.name}/tls/authority"


def node_certificate(environment: Environment, node: str) -> str:
    """Name in Secrets Manager of a node's certificate, with its key."""
    return f"{PROJECT}/{environment.name}/tls/node/{node}"


def client_certificate(environment: Environment, application: str) -> str:
    """Name in Secrets Manager of the certificate with which an application comes, with its key."""
    return f"{PROJECT}/{environment.name}/tls/client/{application}"


def program_key(sha256: str) -> str:
    return f"node/{sha256}.pyz"


BOOTSTRAP_KEY = "bootstrap/leader.json"
MEMBERS_KEY, USERS_KEY = "members.json", "users.json"
"""Which nodes and which users of Redis there are, for nodes whose user-data is of another day."""
AUTHORITY_KEY = "tls/ca.pem"
"""The authority's certificate, for whoever is to believe in it."""
HOLDERS_KEY = "holders.json"
REPORTS_PREFIX = "reports/"
FAILOVER_ORDER_KEY, RENEWAL_ORDER_KEY = "orders/failover.json", "orders/secrets.json"
BACKUP_ORDER_KEY, RESTORE_ORDER_KEY = "orders/backup.json", "restore/order.json"
GENERATION_KEY = "restore/generation.json"
"""Of which generation all data has to be: see node/holdfast_node/generation.py."""
FIRST_GENERATION = "19700101T000000Z-0000"
"""That of all data from before the first restore."""
RESTORE_PREFIX = "restore/copies/"
"""Of the copies that nodes read for a restore."""
RESTORES = "restore/*"
"""A pattern for all that nodes read of restores. One, as the policy of a node has a limit."""
BASE_PREFIX = "base/"
"""Of all backups, in their own bucket: see node/holdfast_node/base.py."""


def report_key(node_name: str) -> str:
    return f"{REPORTS_PREFIX}{node_name}.json"


def node_of_report(key: str) -> str | None:
    """Whose report is under that key; None where it is no node's."""
    found = re.fullmatch(re.escape(REPORTS_PREFIX) + r"([a-z0-9-]{1,63})\.json", key)
    return found[1] if found else None


def network_stack(environment: Environment) -> str:
    return f"{environment.name}-network"


def identity_stack(environment: Environment) -> str:
    return f"{environment.name}-identity"


def backups_stack(environment: Environment) -> str:
    return f"{environment.name}-backups"


def zone_stack(environment: Environment, zone: Zone) -> str:
    return f"{environment.name}-zone-{zone.letter}"


def names_stack(environment: Environment) -> str:
    return f"{environment.name}-names"


def watch_stack(environment: Environment) -> str:
    return f"{environment.name}-watch"


def stacks(environment: Environment, zones: Iterable[Zone]) -> list[str]:
    """Every stack, in the order of a deploy."""
    return [
        network_stack(environment),
        identity_stack(environment),
        *([backups_stack(environment)] if environment.backup is not None else []),
        *(zone_stack(environment, zone) for zone in zones),
        watch_stack(environment),
        *([names_stack(environment)] if environment.domain is not None else []),
    ]


def state_key(stack: str) -> str:
    """Under which name a stack's Terraform state is kept."""
    return f"{stack}.tfstate"


def forwards_parameter(environment: Environment) -> str:
    """SSM parameter in which an emulated cloud publishes its loopback forwards: {"leader": "host:port", …}."""
    return f"/{PROJECT}/{environment.name}/forwards"
