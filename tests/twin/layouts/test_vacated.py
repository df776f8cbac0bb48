"""The team's network once `guest` has gone. After the other tests of its folder, beside which it is destroyed."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

from holdfast.ops import cloud
from holdfast.topology import Cluster as Topology
from holdfast.topology import load_environment
from tests.twin.environments import Others, team
from tests.twin.layouts.conftest import Departure
from tests.twin.layouts.test_guest import ask


def test_the_network_is_as_it_was_when_the_environment_has_gone(others: Others, departure: Departure) -> None:
    topology = Topology.of(load_environment(Path(others.clusters["guest"].environment)))
    done = departure.begin().result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert team().changes() == {}
    groups = ask(topology, "describe_security_groups", "SecurityGroups")
    assert [group["GroupName"] for group in groups] == ["default"]
    (nat,) = ask(topology, "describe_nat_gateways", "NatGateways")
    own = [it["NetworkInterfaceId"] for it in nat["NatGatewayAddresses"]]
    interfaces = ask(topology, "describe_network_interfaces", "NetworkInterfaces")
    assert [interface["NetworkInterfaceId"] for interface in interfaces] == own
    assert ask(topology, "describe_vpc_endpoints", "VpcEndpoints") == []
    assert ask(topology, "describe_flow_logs", "FlowLogs", "resource-id") == []
    ec2 = cloud.client(topology.environment, "ec2")
    for subnet in ask(topology, "describe_subnets", "Subnets"):
        assert ec2.get_subnet_cidr_reservations(SubnetId=subnet["SubnetId"])["SubnetIpv4CidrReservations"] == []
    for table in ask(topology, "describe_route_tables", "RouteTables"):
        destinations = {IPv4Network(route["DestinationCidrBlock"]) for route in table["Routes"]}
        assert destinations <= {IPv4Network("10.43.0.0/16"), IPv4Network("0.0.0.0/0")}
