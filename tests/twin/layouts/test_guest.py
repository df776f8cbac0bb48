"""In a network that a team has: `guest` comes, fails over and goes, and the network is as it was.

In this order: the last test destroys the environment.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.drill.deploy import destroy
from holdfast.ops import cloud
from holdfast.topology import Cluster as Topology
from holdfast.topology import load_environment
from tests.twin.conftest import Judge
from tests.twin.environments import Others, team
from tests.twin.layouts.test_layouts import OUTAGE, lose_leader

IN_VPC = "vpc-id"


@pytest.fixture(scope="module")
def guest(others: Others) -> Cluster:
    return others.clusters["guest"]


@pytest.fixture(scope="module")
def topology(guest: Cluster) -> Topology:
    return Topology.of(load_environment(Path(guest.environment)))


def ask(topology: Topology, call: str, key: str, filter_: str = IN_VPC) -> list[Any]:
    """What there is in the team's VPC."""
    vpc = topology.environment.network.vpc
    assert vpc is not None
    client = cloud.client(topology.environment, "ec2")
    found: list[Any] = getattr(client, call)(Filters=[{"Name": filter_, "Values": [vpc.id]}])[key]
    return found


def test_nodes_have_the_addresses_of_their_blocks_and_the_team_s_terraform_sees_no_change(
    guest: Cluster, topology: Topology
) -> None:
    guest.wait_healthy()
    vpc = topology.environment.network.vpc
    assert vpc is not None
    for node in topology.nodes:
        assert all(address in vpc.subnets[node.zone.letter].block for address in node.addresses)
    there = {
        IPv4Address(it["PrivateIpAddress"]) for it in ask(topology, "describe_network_interfaces", "NetworkInterfaces")
    }
    assert {node.address for node in topology.nodes} < there
    assert team().changes() == {}


@pytest.mark.timed
def test_a_lost_leader_is_replaced(guest: Cluster, judge: Judge) -> None:
    guest.wait_healthy()
    verdict = lose_leader(guest, judge, "guest", "kill", guest.gateways())
    assert verdict.problems == ()
    assert len(verdict.leaders) == 2
    assert verdict.outage <= OUTAGE


def test_the_pair_is_led_to_the_elected_gateway_by_the_table_that_the_file_names(
    guest: Cluster, topology: Topology
) -> None:
    elected = guest.wait_healthy()["floating"]["gateway"]
    floating = topology.floating
    assert floating is not None
    (table,) = [it for it in ask(topology, "describe_route_tables", "RouteTables") if _leads(it, floating.leader)]
    interfaces = ask(topology, "describe_network_interfaces", "NetworkInterfaces")
    names = {it["NetworkInterfaceId"]: _tag(it["TagSet"], "Node") for it in interfaces}
    ways = {it["DestinationCidrBlock"]: it.get("NetworkInterfaceId") for it in table["Routes"]}
    for address in floating.addresses:
        assert names[ways[f"{address}/32"]] == elected


def test_the_network_is_as_it_was_when_the_environment_has_gone(
    guest: Cluster, others: Others, topology: Topology
) -> None:
    done = destroy(others.environ, "guest")
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


def _leads(table: dict[str, Any], address: IPv4Address) -> bool:
    return any(route["DestinationCidrBlock"] == f"{address}/32" for route in table["Routes"])


def _tag(tags: list[dict[str, str]], key: str) -> str:
    return next((tag["Value"] for tag in tags if tag["Key"] == key), "")
