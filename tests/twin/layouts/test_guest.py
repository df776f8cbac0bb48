"""In a network that a team has: `guest` comes and fails over. Then its destroy begins, and `test_vacated.py` looks."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.ops import cloud
from holdfast.topology import Cluster as Topology
from holdfast.topology import load_environment
from tests.twin.conftest import Judge
from tests.twin.environments import Others, team
from tests.twin.layouts.conftest import Departure
from tests.twin.layouts.test_layouts import OUTAGE, lose_leader
from tests.twin.measured import in_time

IN_VPC = "vpc-id"


@pytest.fixture(scope="module")
def guest(others: Others, departure: Departure) -> Iterator[Cluster]:
    yield others.clusters["guest"]
    departure.begin()


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
    in_time(verdict, OUTAGE, leaders=2)


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


def _leads(table: dict[str, Any], address: IPv4Address) -> bool:
    return any(route["DestinationCidrBlock"] == f"{address}/32" for route in table["Routes"])


def _tag(tags: list[dict[str, str]], key: str) -> str:
    return next((tag["Value"] for tag in tags if tag["Key"] == key), "")
