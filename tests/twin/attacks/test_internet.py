"""A stranger on the internet: of an environment without public endpoints there is nothing. With them: twin/layouts."""

import socket

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
    filters = [{"Name": f"tag:{name}", "Values": [value]} for name, value in names.tags(ENVIRONMENT).items()]
    public = {it["PublicIp"] for it in ec2.describe_addresses(Filters=filters)["Addresses"]}
    gateways = ec2.describe_nat_gateways(Filters=filters)["NatGateways"]
    of_nat = {it["PublicIp"] for gateway in gateways for it in gateway["NatGatewayAddresses"]}
    assert len(of_nat) == 3
    assert public == of_nat
    nodes = Topology.of(ENVIRONMENT).nodes
    private = [str(address) for node in nodes for address in node.addresses]
    assert reach.reached(_from_a_stranger, [*private, *public], reach.listening(cluster)) == {}


def _from_a_stranger(address: str, port: int, timeout: float) -> socket.socket:
    # Where nothing at all is public, the twin has no internet to come from.
    if not netns.exists(outside.NAMESPACE):
        raise ConnectionError
    return client.connect_from_outside(STRANGER, address, port, timeout)
