"""A stranger on the internet: of an environment without public endpoints there is nothing. With them: twin/layouts."""

import socket
from typing import Any

from holdfast.drill import reach
from holdfast.drill.cluster import Cluster
from holdfast.ops import cloud
from holdfast.topology import Cluster as Topology
from holdfast.topology import find_environment, load_environment, names
from holdfast.twin import client, netns, outside

ENVIRONMENT = load_environment(find_environment("local"))
STRANGER = str(outside.MACHINES[77])


def test_no_address_and_no_port_of_a_private_environment_is_on_the_internet(cluster: Cluster) -> None:
    ec2 = cloud.client(ENVIRONMENT, "ec2")
    public = {it["PublicIp"] for it in _ours(ec2.describe_addresses()["Addresses"])}
    gateways = _ours(ec2.describe_nat_gateways()["NatGateways"])
    of_nat = {it["PublicIp"] for gateway in gateways for it in gateway["NatGatewayAddresses"]}
    assert len(of_nat) == 3
    assert public == of_nat
    nodes = Topology.of(ENVIRONMENT).nodes
    private = [str(address) for node in nodes for address in node.addresses]
    assert reach.reached(_from_a_stranger, [*private, *public], reach.listening(cluster)) == {}


def _ours(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of this environment: others are in the account too."""
    tags = names.tags(ENVIRONMENT).items()
    return [one for one in found if tags <= {it["Key"]: it["Value"] for it in one.get("Tags", [])}.items()]


def _from_a_stranger(address: str, port: int, timeout: float) -> socket.socket:
    # Where nothing at all is public, the twin has no internet to come from.
    if not netns.exists(outside.NAMESPACE):
        raise ConnectionError
    return client.connect_from_outside(STRANGER, address, port, timeout)
