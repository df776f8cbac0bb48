"""The private names of endpoints, nodes and Sentinels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Stacks = dict[str, dict[str, Any]]


def records(stack: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    found = stack["resource"]["aws_route53_record"].values()
    assert {record["ttl"] for record in found} == {5}
    assert {record["zone_id"] for record in found} == {"${aws_route53_zone.zone.zone_id}"}
    return {(record["type"], record["name"]): record["records"] for record in found}


def test_endpoints_nodes_and_sentinels_have_names(stacks: Stacks) -> None:
    assert records(stacks["tiered-names"]) == {
        ("A", "leader.tiered.holdfast.internal"): ["10.71.0.11", "10.71.16.11"],
        ("A", "replica.tiered.holdfast.internal"): ["10.71.0.12", "10.71.16.12"],
        ("A", "floating-leader.tiered.holdfast.internal"): ["100.127.181.156"],
        ("A", "floating-replica.tiered.holdfast.internal"): ["100.127.181.157"],
        ("A", "tiered-data-a1.tiered.holdfast.internal"): ["10.71.0.4"],
        ("A", "tiered-data-b1.tiered.holdfast.internal"): ["10.71.16.4"],
        ("A", "tiered-gateway-a1.tiered.holdfast.internal"): ["10.71.0.10"],
        ("A", "tiered-gateway-b1.tiered.holdfast.internal"): ["10.71.16.10"],
        ("A", "tiered-sentinel-a1.tiered.holdfast.internal"): ["10.71.0.16"],
        ("A", "tiered-sentinel-b1.tiered.holdfast.internal"): ["10.71.16.16"],
        ("A", "tiered-sentinel-c1.tiered.holdfast.internal"): ["10.71.32.16"],
        ("SRV", "_sentinel._tcp.tiered.holdfast.internal"): [
            "0 1 26379 tiered-sentinel-a1.tiered.holdfast.internal",
            "0 1 26379 tiered-sentinel-b1.tiered.holdfast.internal",
            "0 1 26379 tiered-sentinel-c1.tiered.holdfast.internal",
        ],
    }


def test_only_the_environments_own_network_sees_them(stacks: Stacks) -> None:
    zone = stacks["prod-names"]["resource"]["aws_route53_zone"]["zone"]
    assert zone["name"] == "prod.holdfast.internal"
    (vpc,) = zone["vpc"]
    assert vpc["vpc_region"] == "eu-central-1"
    assert "cross-stack-output-aws_vpcvpcid" in vpc["vpc_id"]
    # A private zone answers only where the network takes part in names.
    assert stacks["prod-network"]["resource"]["aws_vpc"]["vpc"]["enable_dns_hostnames"] is True


def test_the_domain_is_the_files_and_may_be_none(synth: Callable[..., Stacks]) -> None:
    given = synth(network={"cidr": "10.40.0.0/16", "domain": "redis.shop.example"})["local-names"]
    assert ("A", "leader.redis.shop.example") in records(given)
    without = synth(network={"cidr": "10.40.0.0/16", "domain": "none"})
    assert "local-names" not in without
    assert without["local-network"]["resource"]["aws_vpc"]["vpc"]["enable_dns_hostnames"] is False
