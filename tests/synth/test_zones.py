"""A zone's nodes: what outlives a machine, what replaces it, and what holds the deploy until it is back."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.topology import pins
from holdfast.topology.instances import BUILT_IN
from holdfast.topology.pinned_types import Known
from holdfast.topology.pins import UnpinnedImage

Stacks = dict[str, dict[str, Any]]


def test_an_interface_has_the_nodes_three_addresses_primary_first(stacks: Stacks) -> None:
    interface = stacks["local-zone-b"]["resource"]["aws_network_interface"]["local-b1-interface"]
    assert interface["private_ip_list"] == ["10.40.16.4", "10.40.16.5", "10.40.16.6"]
    assert interface["private_ip_list_enabled"] is True
    assert interface["tags"] == {
        "Name": "local-b1",
        "Node": "local-b1",
        "Zone": "b",
        "LeaderEndpoint": "10.40.16.5",
        "ReplicaEndpoint": "10.40.16.6",
        "EndpointPort": "6379",
    }


@pytest.mark.parametrize("letter", ["a", "b", "c"])
def test_every_zone_leads_the_floating_pair_to_the_first_gateway_until_the_gateways_move_it(
    stacks: Stacks, letter: str
) -> None:
    routes = stacks[f"tiered-zone-{letter}"]["resource"]["aws_route"]
    assert {name: route["destination_cidr_block"] for name, route in routes.items()} == {
        "floating-leader": "100.127.181.156/32",
        "floating-replica": "100.127.181.157/32",
    }
    for route in routes.values():
        gateway = "aws_network_interfacetiered-gateway-a1-interfaceid"
        own = "${aws_network_interface.tiered-gateway-a1-interface.id}"
        assert route["network_interface_id"] == own if letter == "a" else gateway in route["network_interface_id"]
        assert route["lifecycle"] == {"ignore_changes": ["network_interface_id"]}
        assert f"aws_route_tablenodes-{letter}-routesid" in route["route_table_id"]


def test_only_gateways_are_sent_what_is_not_addressed_to_them(stacks: Stacks) -> None:
    interfaces = stacks["tiered-zone-a"]["resource"]["aws_network_interface"]
    assert interfaces["tiered-gateway-a1-interface"]["source_dest_check"] is False
    assert "source_dest_check" not in interfaces["tiered-data-a1-interface"]


def test_a_machine_that_is_no_gateway_has_one_address_and_no_endpoints(stacks: Stacks) -> None:
    interface = stacks["tiered-zone-b"]["resource"]["aws_network_interface"]["tiered-data-b1-interface"]
    assert interface["private_ip_list"] == ["10.71.16.4"]
    assert interface["tags"] == {"Name": "tiered-data-b1", "Node": "tiered-data-b1", "Zone": "b"}
    assert interface["description"] == "tiered-data-b1: its own address"


def test_only_what_keeps_something_has_a_volume_and_a_sentinel_a_small_one(stacks: Stacks) -> None:
    zone = stacks["tiered-zone-a"]["resource"]
    sizes = {name: volume["size"] for name, volume in zone["aws_ebs_volume"].items()}
    assert sizes == {"tiered-data-a1-data": 32, "tiered-sentinel-a1-data": 1}


def test_a_machine_is_disposable_and_its_interface_and_volume_are_not_part_of_it(stacks: Stacks) -> None:
    zone = stacks["local-zone-a"]["resource"]
    instance = zone["aws_instance"]["local-a1"]
    assert instance["user_data_replace_on_change"] is True
    assert instance["network_interface"] == [
        {"device_index": 0, "network_interface_id": "${aws_network_interface.local-a1-interface.id}"}
    ]
    assert "ebs_block_device" not in instance
    assert "aws_volume_attachment" not in zone
    assert instance["depends_on"] == ["aws_ebs_volume.local-a1-data", "aws_iam_role_policy.local-a1-policy"]
    assert instance["availability_zone"] == zone["aws_ebs_volume"]["local-a1-data"]["availability_zone"]


def test_a_data_volume_carries_the_tags_by_which_its_machine_finds_it(stacks: Stacks) -> None:
    zone = stacks["local-zone-a"]["resource"]
    tags = {"Name": "local-a1", "Node": "local-a1", "Zone": "a"}
    assert zone["aws_ebs_volume"]["local-a1-data"]["tags"] == tags | {"Volume": "data"}
    assert zone["aws_instance"]["local-a1"]["root_block_device"]["tags"] == tags


def test_machines_that_may_share_a_zone_are_spread_there(stacks: Stacks) -> None:
    for letter, shared in (("a", True), ("b", True), ("c", False)):
        zone = stacks[f"prod-zone-{letter}"]["resource"]
        groups = zone.get("aws_placement_group", {})
        assert [(it["name"], it["strategy"]) for it in groups.values()] == (
            [(f"holdfast-prod-spread.{letter}", "spread")] if shared else []
        )
        instance = zone["aws_instance"][f"prod-{letter}1"]
        assert instance.get("placement_group") == ("${aws_placement_group.spread.name}" if shared else None)
    for instance in stacks["tiered-zone-c"]["resource"]["aws_instance"].values():
        assert instance["placement_group"] == "${aws_placement_group.spread.name}"
    assert not any("aws_placement_group" in stack["resource"] for name, stack in stacks.items() if "single" in name)


@pytest.mark.parametrize("node", ["prod-a1", "local-a1"])
def test_metadata_needs_a_token_and_stays_on_the_machine(stacks: Stacks, node: str) -> None:
    stack = f"{node.split('-')[0]}-zone-a"
    assert stacks[stack]["resource"]["aws_instance"][node]["metadata_options"] == {
        "http_endpoint": "enabled",
        "http_tokens": "required",
        "http_put_response_hop_limit": 1,
    }


def test_user_data_is_small_gzip_that_terraform_does_not_read(stacks: Stacks) -> None:
    for name, stack in stacks.items():
        for node, instance in stack["resource"].get("aws_instance", {}).items():
            assert "${" not in instance["user_data_base64"], f"{name}: {node}"
            raw = base64.b64decode(instance["user_data_base64"], validate=True)
            assert len(raw) <= 16384
            assert gzip.decompress(raw).startswith(b"#cloud-config\n")


def test_a_zone_ends_in_a_gate_for_its_own_instances_that_waits_for_nothing_else(stacks: Stacks) -> None:
    gate = stacks["local-zone-a"]["resource"]["terraform_data"]["gate"]
    assert gate["triggers_replace"] == {"local-a1": "${aws_instance.local-a1.id}"}
    command = gate["provisioner"][0]["local-exec"]["command"]
    assert command.endswith("holdfast gate local --expect local-a1=${aws_instance.local-a1.id}")
    assert "depends_on" not in gate


def test_the_last_gate_is_for_the_whole_cluster(stacks: Stacks) -> None:
    gate = stacks["local-watch"]["resource"]["terraform_data"]["gate"]
    assert gate["provisioner"][0]["local-exec"]["command"].endswith("holdfast gate local --whole")
    assert set(gate["triggers_replace"]) == {"local-a1", "local-b1", "local-c1"}


def test_zones_are_applied_one_at_a_time(outdir: Path) -> None:
    manifest = json.loads((outdir / "manifest.json").read_text())["stacks"]
    assert {name: set(stack["dependencies"]) for name, stack in manifest.items() if name.startswith("prod-")} == {
        "prod-network": set(),
        "prod-identity": set(),
        "prod-names": {"prod-network"},
        "prod-zone-a": {"prod-network", "prod-identity"},
        "prod-zone-b": {"prod-network", "prod-identity", "prod-zone-a"},
        "prod-zone-c": {"prod-network", "prod-identity", "prod-zone-a", "prod-zone-b"},
        "prod-watch": {"prod-network", "prod-identity", "prod-zone-a", "prod-zone-b", "prod-zone-c"},
    }


def test_adding_nodes_changes_nothing_of_those_that_are_there(synth: Callable[..., Stacks]) -> None:
    three, five = synth(layout={"nodes": 3}), synth(layout={"nodes": 5})
    for letter in "abc":
        before, after = (found[f"local-zone-{letter}"]["resource"] for found in (three, five))
        for kind in ("aws_instance", "aws_network_interface", "aws_ebs_volume"):
            assert before[kind].items() <= after[kind].items()
    assert set(five["local-zone-a"]["resource"]["aws_instance"]) == {"local-a1", "local-a2"}
    assert set(five["local-zone-c"]["resource"]["aws_instance"]) == {"local-c1"}


def test_a_single_node_keeps_what_lasts_when_it_becomes_the_first_of_three(synth: Callable[..., Stacks]) -> None:
    single, compact = synth(layout="single", zones=["a"]), synth()
    for stack, kinds in {
        "local-zone-a": ("aws_network_interface", "aws_ebs_volume", "aws_iam_role"),
        "local-network": ("aws_vpc", "aws_subnet", "aws_security_group"),
        "local-identity": ("aws_kms_key", "aws_s3_bucket", "aws_secretsmanager_secret"),
    }.items():
        before, after = single[stack]["resource"], compact[stack]["resource"]
        for kind in kinds:
            assert before[kind].items() <= after[kind].items(), kind


def test_an_image_that_is_not_pinned_is_refused_with_what_to_do(tmp_path: Path) -> None:
    from holdfast.topology import find_environment, load_environment

    environment = load_environment(find_environment("prod"))
    with pytest.raises(UnpinnedImage, match="no image id for debian-12/stock/amd64; .* holdfast images update prod"):
        pins.image_id(environment, environment.machines["node"], tmp_path)


def test_a_machine_is_ebs_optimised_where_its_type_can_be(synth: Callable[..., Stacks]) -> None:
    def optimised(stacks: Stacks) -> Any:
        return stacks["local-zone-a"]["resource"]["aws_instance"]["local-a1"]["ebs_optimized"]

    assert optimised(synth()) is True
    old = {"t2.small": dataclasses.replace(BUILT_IN["t3.small"], ebs_optimized=False)}
    machines = {"node": {"type": "t2.small", "image": "debian-12"}}
    assert optimised(synth(Known("local", old), machines=machines)) is False


def test_an_alarm_is_in_its_machine_s_stack_and_changes_with_it(stacks: Stacks) -> None:
    assert "aws_cloudwatch_metric_alarm" not in stacks["prod-watch"]["resource"]
    (topic,) = stacks["prod-watch"]["resource"]["aws_sns_topic"].values()
    arn = f"arn:aws:sns:eu-central-1:${{data.aws_caller_identity.account.account_id}}:{topic['name']}"
    for letter in "abc":
        zone = stacks[f"prod-zone-{letter}"]
        (alarm,) = zone["resource"]["aws_cloudwatch_metric_alarm"].values()
        assert alarm["dimensions"] == {"InstanceId": f"${{aws_instance.prod-{letter}1.id}}"}
        assert alarm["alarm_actions"] == alarm["ok_actions"] == [arn]
        assert "watch" not in str(zone.get("data", {})), "it waits for no later stack"
        # Of a machine that boots, nothing is known for some minutes.
        assert (alarm["treat_missing_data"], alarm["period"] * alarm["evaluation_periods"]) == ("breaching", 300)
