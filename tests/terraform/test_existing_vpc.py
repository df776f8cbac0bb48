"""In a VPC that was there already, with the real provider: what is made, what a second plan says, and what is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.drill.emulated import Terraform, driven, reporting, written
from holdfast.ops import cloud, given
from holdfast.topology import Environment
from holdfast.twin.api import Api

pytestmark = pytest.mark.long

TEXT = """\
name: guest
region: eu-central-1
zones: [a]
network: {network}
layout: single
images: baked
machines: {{node: {{type: t3.small}}}}
redis: {{memory: 256MB}}
cloud: {{endpoint: "{endpoint}", node_endpoint: "{endpoint}"}}
protected: false
"""
ROWS = [["network", "identity"], ["zone-a"], ["watch"]]
STACKS = [stack for row in ROWS for stack in row]


@pytest.fixture(scope="module")
def environment(own_api: Api, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("guest")
    twin = written(folder, "guest", TEXT.format(endpoint=own_api.url, network=json.dumps({"cidr": "10.43.0.0/16"})))
    ec2 = cloud.client(twin, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.43.0.0/16")["Vpc"]["VpcId"]
    place = {"VpcId": vpc, "CidrBlock": "10.43.0.0/24", "AvailabilityZone": "eu-central-1a"}
    subnet = ec2.create_subnet(**place)["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    tags = {"Project": "holdfast", "Environment": "guest", "ManagedBy": "cdktf"}
    ec2.create_tags(Resources=[table], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    there = {"a": {"id": subnet, "cidr": "10.43.0.0/24", "block": "10.43.0.64/29"}}
    network = {"cidr": "10.43.0.0/16", "domain": "none", "vpc": {"id": vpc, "subnets": there, "route_tables": [table]}}
    return written(folder, "guest", TEXT.format(endpoint=own_api.url, network=json.dumps(network)))


@pytest.fixture(scope="module")
def terraform(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    folder = next(tmp_path_factory.getbasetemp().glob("guest*"))
    with reporting(environment):
        yield driven(folder, "guest")


def network(environment: Environment) -> dict[str, Any]:
    """All that is in the team's network."""
    ec2, vpc = cloud.client(environment, "ec2"), environment.network.vpc
    assert vpc is not None
    here = [{"Name": "vpc-id", "Values": [vpc.id]}]
    asked = {
        "Subnets": ec2.describe_subnets,
        "RouteTables": ec2.describe_route_tables,
        "SecurityGroups": ec2.describe_security_groups,
        "NetworkInterfaces": ec2.describe_network_interfaces,
        "VpcEndpoints": ec2.describe_vpc_endpoints,
        "NatGateways": ec2.describe_nat_gateways,
    }
    found = {key: call(Filters=here)[key] for key, call in asked.items()}
    reserved = ec2.get_subnet_cidr_reservations(SubnetId=vpc.subnets["a"].id)["SubnetIpv4CidrReservations"]
    return found | {"reserved": reserved, "FlowLogs": ec2.describe_flow_logs()["FlowLogs"]}


def test_an_environment_comes_into_a_network_and_leaves_it_as_it_was(
    terraform: Terraform, environment: Environment
) -> None:
    before = network(environment)
    terraform.each(terraform.apply, ROWS)
    assert terraform.plans(STACKS) == dict.fromkeys(STACKS, {})
    there = network(environment)
    assert [it["Cidr"] for it in there["reserved"]] == ["10.43.0.64/29"]
    (interface,) = there["NetworkInterfaces"]
    assert [it["PrivateIpAddress"] for it in interface["PrivateIpAddresses"]] == [
        "10.43.0.64",
        "10.43.0.65",
        "10.43.0.66",
    ]
    assert [it["ResourceId"] for it in there["FlowLogs"]] == [interface["NetworkInterfaceId"]]
    assert environment.floating is not None
    pair = {f"{address}/32": interface["NetworkInterfaceId"] for address in environment.floating}
    (table,) = [it for it in there["RouteTables"] if len(it["Routes"]) > 1]
    ways = {it["DestinationCidrBlock"]: it.get("NetworkInterfaceId") for it in table["Routes"]}
    assert ways == {"10.43.0.0/16": None} | pair
    given.require(environment, terraform.folder / "guest.yaml")
    terraform.each(terraform.destroy, [[stack] for row in reversed(ROWS) for stack in row])
    assert network(environment) == before
