"""Public addresses: only where the file says so, of the endpoints alone, and for who is listed alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.synth.test_network import rules

Stacks = dict[str, dict[str, Any]]

LISTED = ["198.51.100.16/28", "203.0.113.7/32"]
"""Of `environments/examples/public.yaml`, beside its own network."""


def test_without_public_only_nat_gateways_have_public_addresses(stacks: Stacks) -> None:
    for name, stack in stacks.items():
        if name.startswith("public-"):
            continue
        resources = stack["resource"]
        assert "aws_eip_association" not in resources, name
        assert {it.rpartition("-")[0] for it in resources.get("aws_eip", {})} <= {"nat-a", "nat-b", "nat-c"}, name
        for instance in resources.get("aws_instance", {}).values():
            assert "associate_public_ip_address" not in instance


def test_each_endpoint_has_an_address_that_outlives_its_machine(stacks: Stacks) -> None:
    for node, letter in (("public-gateway-a1", "a"), ("public-gateway-b1", "b")):
        zone = stacks[f"public-zone-{letter}"]["resource"]
        private = zone["aws_network_interface"][f"{node}-interface"]["private_ip_list"][1:]
        assert len(zone["aws_eip"]) == len(zone["aws_eip_association"]) == 2
        for kind, address in zip(("leader", "replica"), private, strict=True):
            public = zone["aws_eip"][f"{node}-{kind}-address"]
            assert public["lifecycle"]["prevent_destroy"] is True
            assert public["tags"] == {"Name": f"{node}-{kind}", "Node": node, "Endpoint": kind}
            association = zone["aws_eip_association"][f"{node}-{kind}-public"]
            assert association["private_ip_address"] == address
            assert association["allocation_id"] == f"${{aws_eip.{node}-{kind}-address.allocation_id}}"
            assert association["network_interface_id"] == f"${{aws_network_interface.{node}-interface.id}}"
    assert "aws_eip" not in stacks["public-zone-c"]["resource"]


def test_the_way_back_is_to_who_is_listed_and_everything_else_leaves_as_before(stacks: Stacks) -> None:
    routes = stacks["public-network"]["resource"]["aws_route"].values()
    for letter in "abc":
        table = f"${{aws_route_table.nodes-{letter}-routes.id}}"
        found = {route["destination_cidr_block"]: route for route in routes if route["route_table_id"] == table}
        assert found.keys() == {"0.0.0.0/0", *LISTED}
        assert "nat_gateway_id" in found["0.0.0.0/0"]
        assert {found[cidr]["gateway_id"] for cidr in LISTED} == {"${aws_internet_gateway.internet.id}"}


@pytest.mark.parametrize("tls", ["optional", "required"])
def test_who_is_on_the_internet_comes_with_tls(synth: Callable[..., Stacks], tls: str) -> None:
    """And who is in the network, to the plaintext port too where there is one."""
    network = {"cidr": "10.40.0.0/16", "public": True, "clients": ["10.40.0.0/16", *LISTED]}
    stacks = synth(network=network, tls=tls)
    found = {(port, peer) for _, direction, port, peer in rules(stacks["local-network"]) if direction == "ingress"}
    plain = {(6379, "10.40.0.0/16")} if tls == "optional" else set()
    assert {one for one in found if one[0] in (6379, 6390)} == plain | {
        (6390, cidr) for cidr in ("10.40.0.0/16", *LISTED)
    }


def test_certificates_are_for_the_public_addresses_too_and_machines_that_run_are_given_them(stacks: Stacks) -> None:
    node = "public-gateway-a1"
    zone, watch = (stacks[f"public-{name}"]["resource"] for name in ("zone-a", "watch"))
    ensured, handed = (resources["terraform_data"]["certificates"] for resources in (zone, watch))
    assert ensured["provisioner"][0]["local-exec"]["command"].endswith("holdfast certs ensure public")
    given = [f"${{aws_eip.{node}-{kind}-address.public_ip}}" for kind in ("leader", "replica")]
    assert ensured["triggers_replace"] == {node: given}
    assert "terraform_data.certificates" in zone["aws_instance"][node]["depends_on"]
    assert handed["provisioner"][0]["local-exec"]["command"].endswith("holdfast certs rotate --due public")
    assert handed["triggers_replace"].keys() == {"public-gateway-a1", "public-gateway-b1"}
    assert handed["depends_on"] == ["terraform_data.gate"]
    for other in ("public-zone-c", "prod-zone-a", "prod-watch"):
        assert "certificates" not in stacks[other]["resource"]["terraform_data"]
