"""Every name and tag that Holdfast gives in the cloud, from one place."""

from __future__ import annotations

from holdfast.topology import ports
from holdfast.topology.cluster import Node, Zone
from holdfast.topology.spec import Environment

PROJECT = "holdfast"


def tags(environment: Environment) -> dict[str, str]:
    """The tags of everything in an environment."""
    return {"Project": PROJECT, "Environment": environment.name, "ManagedBy": "cdktf"}


def node_tags(node: Node) -> dict[str, str]:
    """What a node's own resources carry in addition."""
    return {"Name": node.name, "Node": node.name, "Zone": node.zone.letter}


def endpoint_tags(node: Node) -> dict[str, str]:
    """What a node's interface says of its endpoints, to whoever looks at the cloud alone."""
    return {
        "LeaderEndpoint": str(node.leader_endpoint),
        "ReplicaEndpoint": str(node.replica_endpoint),
        "EndpointPort": str(ports.ENDPOINT),
    }


def resource(environment: Environment, what: str) -> str:
    """The name of anything that is one of its kind in an environment: `holdfast-prod-alarms`."""
    return f"{PROJECT}-{environment.name}-{what}"


def bucket(environment: Environment) -> str:
    """The environment's bucket: node program, bootstrap record, node reports."""
    return f"{PROJECT}-{environment.name}-{environment.region}-{environment.suffix}"


def state_bucket(environment: Environment) -> str:
    """The bucket of the environment's Terraform state, made by `holdfast bootstrap`."""
    return f"{bucket(environment)}-state"


def secret(environment: Environment, purpose: str) -> str:
    """Name in Secrets Manager of the credentials for one purpose (`app`, `system`)."""
    return f"{PROJECT}/{environment.name}/{purpose}"


def program_key(sha256: str) -> str:
    return f"node/{sha256}.pyz"


BOOTSTRAP_KEY = "bootstrap/leader.json"
REPORTS_PREFIX = "reports/"


def report_key(node_name: str) -> str:
    return f"{REPORTS_PREFIX}{node_name}.json"


def network_stack(environment: Environment) -> str:
    return f"{environment.name}-network"


def identity_stack(environment: Environment) -> str:
    return f"{environment.name}-identity"


def zone_stack(environment: Environment, zone: Zone) -> str:
    return f"{environment.name}-zone-{zone.letter}"


def watch_stack(environment: Environment) -> str:
    return f"{environment.name}-watch"


def forwards_parameter(environment: Environment) -> str:
    """SSM parameter in which an emulated cloud publishes its loopback forwards: {"leader": "host:port", …}."""
    return f"/{PROJECT}/{environment.name}/forwards"
