"""In a VPC that was there already: nothing of it is made or changed, but for what the file names."""

from __future__ import annotations

from typing import Any

Stacks = dict[str, dict[str, Any]]

VPC, TABLE = "vpc-0a1b2c3d4e5f60718", "rtb-0a1b2c3d4e5f60718"


def test_no_part_of_a_network_is_made(stacks: Stacks) -> None:
    found = stacks["existing-vpc-network"]["resource"]
    assert set(found) == {
        "aws_ec2_subnet_cidr_reservation",
        "aws_security_group",
        "aws_vpc_security_group_egress_rule",
        "aws_vpc_security_group_ingress_rule",
        "terraform_data",
    }
    assert {group["vpc_id"] for group in found["aws_security_group"].values()} == {VPC}


def test_addresses_are_reserved_and_the_nodes_have_them(stacks: Stacks) -> None:
    blocks = stacks["existing-vpc-network"]["resource"]["aws_ec2_subnet_cidr_reservation"]
    assert {name: (it["subnet_id"], it["cidr_block"], it["reservation_type"]) for name, it in blocks.items()} == {
        "nodes-a": ("subnet-0a1b2c3d4e5f6071a", "10.20.3.192/28", "explicit"),
        "nodes-b": ("subnet-0a1b2c3d4e5f6071b", "10.20.7.192/28", "explicit"),
        "nodes-c": ("subnet-0a1b2c3d4e5f6071c", "10.20.11.192/28", "explicit"),
    }
    (interface,) = stacks["existing-vpc-zone-b"]["resource"]["aws_network_interface"].values()
    assert interface["private_ip_list"] == ["10.20.7.192", "10.20.7.193", "10.20.7.194"]
    assert interface["subnet_id"] == "subnet-0a1b2c3d4e5f6071b"


def test_the_floating_pair_is_in_the_tables_that_the_file_names_once(stacks: Stacks) -> None:
    routes = stacks["existing-vpc-zone-a"]["resource"]["aws_route"]
    assert set(routes) == {f"floating-leader-{TABLE}", f"floating-replica-{TABLE}"}
    assert {route["route_table_id"] for route in routes.values()} == {TABLE}
    for letter in "bc":
        assert "aws_route" not in stacks[f"existing-vpc-zone-{letter}"]["resource"]


def test_refused_connections_are_logged_at_the_nodes_and_nowhere_else(stacks: Stacks) -> None:
    logs = stacks["existing-vpc-watch"]["resource"]["aws_flow_log"]
    assert set(logs) == {f"flow-log-existing-vpc-{letter}1" for letter in "abc"}
    assert all("eni_id" in log and "vpc_id" not in log for log in logs.values())


def test_names_are_for_that_network(stacks: Stacks) -> None:
    (zone,) = stacks["existing-vpc-names"]["resource"]["aws_route53_zone"].values()
    assert zone["vpc"] == [{"vpc_id": VPC, "vpc_region": "eu-central-1"}]
