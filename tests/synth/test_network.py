"""Who can reach what: subnets, routes, and exactly the ports that are used."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.topology import environment_files, load_environment, load_environments
from tests.synth.conftest import EXAMPLES

Stacks = dict[str, dict[str, Any]]

NODES = "${aws_security_group.nodes.id}"
ENDPOINTS = "${aws_security_group.endpoints.id}"


VRRP = "112"


def rules(network: dict[str, Any]) -> set[tuple[str, str, int | str, str]]:
    """(group, direction, port, peer) of every rule; each is TCP and of one port, or VRRP, which has none."""
    found = set()
    for direction in ("ingress", "egress"):
        for rule in network["resource"][f"aws_vpc_security_group_{direction}_rule"].values():
            assert rule["from_port"] == rule["to_port"]
            assert (rule["ip_protocol"] == "tcp") is (rule["from_port"] != -1)
            assert rule["description"]
            peers = ("cidr_ipv4", "referenced_security_group_id", "prefix_list_id")
            (peer,) = (rule[key] for key in peers if key in rule)
            found.add(
                (rule["security_group_id"], direction, VRRP if rule["ip_protocol"] == VRRP else rule["from_port"], peer)
            )
    return found


BETWEEN_NODES = {
    (NODES, direction, port, NODES) for direction in ("ingress", "egress") for port in (6380, 26379, 8404, VRRP)
}


def test_prod_opens_exactly_the_ports_that_are_used(stacks: Stacks) -> None:
    assert rules(stacks["prod-network"]) == BETWEEN_NODES | {
        (NODES, "ingress", 6390, "10.60.0.0/16"),
        (NODES, "egress", 443, "0.0.0.0/0"),
        (NODES, "egress", 80, "0.0.0.0/0"),
    }


def test_baked_images_need_no_package_mirror_and_an_emulated_cloud_only_its_address(stacks: Stacks) -> None:
    assert rules(stacks["local-network"]) == BETWEEN_NODES | {
        (NODES, "ingress", 6379, "10.40.0.0/16"),
        (NODES, "egress", 443, "0.0.0.0/0"),
        (NODES, "egress", 5599, "198.51.100.1/32"),
    }


def test_stock_images_on_an_emulated_cloud_reach_its_package_proxy(synth: Callable[..., Stacks]) -> None:
    assert (NODES, "egress", 3142, "198.51.100.1/32") in rules(synth(images="stock")["local-network"])


def test_only_named_clients_reach_the_endpoints(synth: Callable[..., Stacks]) -> None:
    stacks = synth(network={"cidr": "10.40.0.0/16", "clients": ["10.8.0.0/16", "10.9.1.0/24"]})
    at_endpoints = {rule for rule in rules(stacks["local-network"]) if rule[2] == 6379}
    assert at_endpoints == {(NODES, "ingress", 6379, "10.8.0.0/16"), (NODES, "ingress", 6379, "10.9.1.0/24")}


def test_the_ways_to_the_apis_lead_to_this_account_alone(synth: Callable[..., Stacks]) -> None:
    stacks = synth(network={"cidr": "10.40.0.0/16", "egress": "endpoints"}, cloud={})
    ways = {
        name: json.loads(it["policy"]) for name, it in stacks["local-network"]["resource"]["aws_vpc_endpoint"].items()
    }
    (of_s3,) = ways.pop("s3")["Statement"]
    bucket = f"arn:aws:s3:::{stacks['local-identity']['resource']['aws_s3_bucket']['bucket']['bucket']}"
    account = "${data.aws_caller_identity.account.account_id}"
    assert of_s3["Resource"] == [bucket, f"{bucket}/*"]
    assert of_s3["Condition"] == {"StringEquals": {"aws:ResourceAccount": account}}
    assert set(ways) == {"ec2", "secretsmanager"}
    for service, policy in ways.items():
        (statement,) = policy["Statement"]
        assert statement["Action"] == f"{service}:*"
        assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": account}}


def test_package_mirrors_in_s3_are_not_shut_out(stacks: Stacks, synth: Callable[..., Stacks]) -> None:
    assert "policy" not in stacks["prod-network"]["resource"]["aws_vpc_endpoint"]["s3"], "stock images"
    baked = synth(images="baked", cloud={})["local-network"]
    assert "policy" in baked["resource"]["aws_vpc_endpoint"]["s3"]


def test_with_vpc_endpoints_nothing_leads_to_the_internet(synth: Callable[..., Stacks]) -> None:
    network = synth(network={"cidr": "10.40.0.0/16", "egress": "endpoints"}, cloud={})["local-network"]
    kinds = set(network["resource"])
    assert kinds.isdisjoint({"aws_internet_gateway", "aws_nat_gateway", "aws_eip", "aws_route"})
    assert rules(network) == BETWEEN_NODES | {
        (NODES, "ingress", 6379, "10.40.0.0/16"),
        (NODES, "egress", 443, ENDPOINTS),
        (NODES, "egress", 443, "${aws_vpc_endpoint.s3.prefix_list_id}"),
        (ENDPOINTS, "ingress", 443, NODES),
    }
    services = {
        endpoint["service_name"]: endpoint["vpc_endpoint_type"]
        for endpoint in network["resource"]["aws_vpc_endpoint"].values()
    }
    assert services == {
        "com.amazonaws.eu-central-1.s3": "Gateway",
        "com.amazonaws.eu-central-1.ec2": "Interface",
        "com.amazonaws.eu-central-1.secretsmanager": "Interface",
    }
    assert network["resource"]["aws_vpc"]["vpc"]["enable_dns_hostnames"] is True


def group(role: str) -> str:
    return f"${{aws_security_group.{role}.id}}"


def test_roles_on_their_own_machines_reach_exactly_the_ports_that_they_use(stacks: Stacks) -> None:
    used = {
        ("data", "data", 6380),
        ("gateway", "data", 6380),
        ("sentinel", "data", 6380),
        ("data", "sentinel", 26379),
        ("gateway", "sentinel", 26379),
        ("sentinel", "sentinel", 26379),
        ("gateway", "gateway", 8404),
        ("gateway", "gateway", VRRP),
    }
    assert rules(stacks["tiered-network"]) == {
        *((group(server), "ingress", port, group(user)) for user, server, port in used),
        *((group(user), "egress", port, group(server)) for user, server, port in used),
        (group("gateway"), "ingress", 6390, "10.71.0.0/16"),
        (NODES, "egress", 443, "0.0.0.0/0"),
        (NODES, "egress", 80, "0.0.0.0/0"),
    }


def test_a_machine_is_in_the_groups_of_its_roles(stacks: Stacks, synth: Callable[..., Stacks]) -> None:
    def groups(zone: dict[str, Any]) -> dict[str, list[str]]:
        found = zone["resource"]["aws_network_interface"].items()
        return {
            name.removesuffix("-interface"): re.findall(r"aws_security_group(\w+)id\}", " ".join(of["security_groups"]))
            for name, of in found
        }

    assert groups(stacks["tiered-zone-a"]) == {
        "tiered-data-a1": ["nodes", "data"],
        "tiered-gateway-a1": ["nodes", "gateway"],
        "tiered-sentinel-a1": ["nodes", "sentinel"],
    }
    assert groups(stacks["prod-zone-a"]) == {"prod-a1": ["nodes"]}
    machines = {"data": {"type": "t3.small"}, "gateway+sentinel": {"type": "t3.small"}}
    shared = synth(layout={"kind": "tiered", "gateways": 3}, machines=machines)
    assert groups(shared["local-zone-b"]) == {
        "local-data-b1": ["nodes", "data"],
        "local-gateway-b1": ["nodes", "gateway", "sentinel"],
    }


def test_sentinel_aware_clients_are_let_in_by_name_only(synth: Callable[..., Stacks], stacks: Stacks) -> None:
    found = rules(synth(network={"cidr": "10.40.0.0/16", "sentinel_clients": ["10.8.0.0/16"]})["local-network"])
    assert {rule for rule in found if rule[3] == "10.8.0.0/16"} == {
        (NODES, "ingress", 26379, "10.8.0.0/16"),
        (NODES, "ingress", 6380, "10.8.0.0/16"),
    }


def test_the_default_security_group_is_closed(stacks: Stacks) -> None:
    group = stacks["prod-network"]["resource"]["aws_default_security_group"]["closed"]
    assert "ingress" not in group and "egress" not in group


@pytest.mark.parametrize(("letter", "nodes", "service"), [("a", "0", "128"), ("b", "16", "144"), ("c", "32", "160")])
def test_each_zone_has_its_subnets_and_its_own_nat_gateway(
    stacks: Stacks, letter: str, nodes: str, service: str
) -> None:
    found = stacks["prod-network"]["resource"]
    for subnet, third in ((f"nodes-{letter}", nodes), (f"service-{letter}", service)):
        assert found["aws_subnet"][subnet]["cidr_block"] == f"10.60.{third}.0/20"
        assert found["aws_subnet"][subnet]["availability_zone"] == f"eu-central-1{letter}"
        assert "map_public_ip_on_launch" not in found["aws_subnet"][subnet]
    assert found["aws_nat_gateway"][f"nat-{letter}"]["subnet_id"] == f"${{aws_subnet.service-{letter}.id}}"
    assert found["aws_route"][f"nodes-{letter}-out"] | {"//": None} == {
        "//": None,
        "route_table_id": f"${{aws_route_table.nodes-{letter}-routes.id}}",
        "destination_cidr_block": "0.0.0.0/0",
        "nat_gateway_id": f"${{aws_nat_gateway.nat-{letter}.id}}",
    }
    association = found["aws_route_table_association"][f"nodes-{letter}-routed"]
    assert association["route_table_id"] == f"${{aws_route_table.nodes-{letter}-routes.id}}"


def test_without_a_floating_pair_nobody_elects_and_every_interface_is_checked(synth: Callable[..., Stacks]) -> None:
    stacks = synth(network={"cidr": "10.40.0.0/16", "floating": "none"})
    assert VRRP not in {rule[2] for rule in rules(stacks["local-network"])}
    zone = stacks["local-zone-a"]["resource"]
    assert "aws_route" not in zone
    assert "source_dest_check" not in zone["aws_network_interface"]["local-a1-interface"]


@pytest.mark.parametrize(("tls", "ports"), [("off", {6379}), ("optional", {6379, 6390}), ("required", {6390})])
def test_clients_come_to_the_ports_that_there_are(synth: Callable[..., Stacks], tls: str, ports: set[int]) -> None:
    found = rules(synth(tls=tls)["local-network"])
    assert {port for _, direction, port, peer in found if (direction, peer) == ("ingress", "10.40.0.0/16")} == ports


def test_one_nat_gateway_serves_every_zone(stacks: Stacks) -> None:
    found = stacks["staging-network"]["resource"]
    assert set(found["aws_nat_gateway"]) == {"nat-a"} and set(found["aws_eip"]) == {"nat-a-address"}
    ways_out = [route["nat_gateway_id"] for name, route in found["aws_route"].items() if name.startswith("nodes-")]
    assert ways_out == ["${aws_nat_gateway.nat-a.id}"] * 3


def test_an_environment_takes_as_many_elastic_ips_as_it_says(stacks: Stacks) -> None:
    for file in [*environment_files(), *EXAMPLES]:
        environment = load_environment(file)
        mine = [content for name, content in stacks.items() if name.startswith(f"{environment.name}-")]
        made = sum(len(content["resource"].get("aws_eip", {})) for content in mine)
        assert (environment.name, made) == (environment.name, environment.elastic_ips)


def test_the_environments_of_this_repository_have_room_in_one_account() -> None:
    on_aws = [environment for environment in load_environments() if environment.api_endpoint is None]
    assert sum(environment.elastic_ips for environment in on_aws) <= 5


UNSAID = {
    "condition": "${try(length(self.ids), 0) == 0}",
    "error_message": "local is deployed, and clients come to it without TLS; its file does not say whether that shall "
    "change. Write `tls: off` to keep it so. What `tls: required` and `tls: optional` take is in docs/environment.md, "
    "TLS.",
}


def test_a_default_closes_no_port_that_clients_use(synth: Callable[..., Stacks]) -> None:
    (looked,) = synth(tls=...)["local-network"]["data"]["aws_vpc_security_group_rules"].values()
    assert looked["lifecycle"] == {"postcondition": [UNSAID]}
    sought = {it["name"]: it["values"] for it in looked["filter"]}
    assert sought == {
        "tag:Project": ["holdfast"],
        "tag:Environment": ["local"],
        "tag:ManagedBy": ["cdktf"],
        "tag:Name": ["holdfast-local-endpoint-from-*-in"],
    }
    made = synth(tls="off")["local-network"]["resource"]["aws_vpc_security_group_ingress_rule"]
    assert made["endpoint-from-10-40-0-0-16-in"]["tags"] == {"Name": "holdfast-local-endpoint-from-10-40-0-0-16-in"}


@pytest.mark.parametrize("tls", ["off", "optional", "required"])
def test_what_a_file_says_is_not_asked_about(synth: Callable[..., Stacks], tls: str) -> None:
    assert "aws_vpc_security_group_rules" not in synth(tls=tls)["local-network"]["data"]
