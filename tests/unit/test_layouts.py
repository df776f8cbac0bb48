"""Layouts: who runs what, where, and under which name; and that each survives the loss of a zone, but `single`."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.rendering import check_user_data, render_files, user_data
from holdfast.topology import Cluster, InvalidEnvironment, Node, Role, load_environment
from holdfast.topology.load import ENVIRONMENTS
from holdfast.topology.spec import Distribution

TIERED = yaml.safe_load(
    """
name: shop
region: eu-central-1
zones: [a, b, c]
network: {cidr: 10.60.0.0/16}
layout: {kind: tiered, data: 2}
machines:
  data: {type: r6i.large}
  gateway: {type: t3.small}
  sentinel: {type: t3.nano}
redis: {memory: 8GB}
tls: off
"""
)
NODE = {"node": {"type": "m6i.large"}}
COMPACT = TIERED | {"layout": "compact", "machines": NODE, "redis": {"memory": "4GB"}}
SINGLE = COMPACT | {"layout": "single", "zones": ["a"]}
SHARED = TIERED | {
    "layout": {"kind": "tiered", "data": 2, "gateways": 4},
    "machines": {"data": {"type": "r6i.large"}, "gateway+sentinel": {"type": "t3.small"}},
}


@pytest.fixture
def cluster(tmp_path: Path) -> Any:
    def load(content: dict[str, Any], **changes: Any) -> Cluster:
        file = tmp_path / "shop.yaml"
        file.write_text(yaml.safe_dump(content | changes))
        return Cluster.of(load_environment(file))

    return load


def roles(cluster: Cluster) -> dict[str, str]:
    return {node.name: " ".join(role for role in Role if role in node.roles) for node in cluster.nodes}


def test_tiered_has_each_role_on_machines_of_its_own(cluster: Any) -> None:
    found = [(node.name, *map(str, node.addresses)) for node in cluster(TIERED).nodes]
    assert found == [
        ("shop-data-a1", "10.60.0.4"),
        ("shop-data-b1", "10.60.16.4"),
        ("shop-gateway-a1", "10.60.0.10", "10.60.0.11", "10.60.0.12"),
        ("shop-gateway-b1", "10.60.16.10", "10.60.16.11", "10.60.16.12"),
        ("shop-sentinel-a1", "10.60.0.16"),
        ("shop-sentinel-b1", "10.60.16.16"),
        ("shop-sentinel-c1", "10.60.32.16"),
    ]
    assert roles(cluster(TIERED)) == {name: name.split("-")[1] for name, *_ in found}


def test_roles_share_machines_as_the_file_says(cluster: Any) -> None:
    assert roles(cluster(SHARED)) == {
        "shop-data-a1": "data",
        "shop-data-b1": "data",
        "shop-gateway-a1": "gateway sentinel",
        "shop-gateway-b1": "gateway sentinel",
        "shop-gateway-c1": "gateway sentinel",
        "shop-gateway-a2": "gateway",
    }


def test_only_what_keeps_something_has_a_volume(cluster: Any) -> None:
    def volumes(content: dict[str, Any]) -> dict[str, int | None]:
        return {node.name: node.volume.gib if node.volume else None for node in cluster(content).nodes}

    assert volumes(TIERED) == {
        "shop-data-a1": 32,
        "shop-data-b1": 32,
        "shop-gateway-a1": None,
        "shop-gateway-b1": None,
        "shop-sentinel-a1": 1,
        "shop-sentinel-b1": 1,
        "shop-sentinel-c1": 1,
    }
    assert volumes(SHARED)["shop-gateway-a1"] == 1
    assert volumes(SHARED)["shop-gateway-a2"] is None
    assert volumes(COMPACT) == {"shop-a1": 16, "shop-b1": 16, "shop-c1": 16}


def test_a_single_node_is_the_first_of_a_compact_layout(cluster: Any) -> None:
    def lasting(node: Node) -> tuple[Any, ...]:
        return node.name, node.addresses, node.roles, node.sentinel_id, node.volume

    (single,) = cluster(SINGLE).nodes
    assert [str(address) for address in single.addresses] == ["10.60.0.4", "10.60.0.5", "10.60.0.6"]
    assert lasting(single) == lasting(cluster(COMPACT).nodes[0])
    assert cluster(SINGLE).floating == cluster(COMPACT).floating


def test_a_single_gateway_elects_nobody_and_takes_the_floating_pair_on_by_itself(cluster: Any) -> None:
    single = cluster(SINGLE)
    files = render_files(single, single.nodes[0])
    assert "/etc/holdfast/keepalived.conf" not in files
    assert "keepalived" not in files["/etc/systemd/system/holdfast.target"]
    assert "keepalived" not in files["/etc/holdfast/packages.json"]
    pair = [str(address) for address in single.floating.addresses]
    assert json.loads(files["/etc/holdfast/node.json"])["floating"] == pair
    assert f"bind {pair[0]}:6379" in files["/etc/holdfast/haproxy.cfg"]


def test_a_single_node_takes_writes_without_a_replica(cluster: Any) -> None:
    single, compact = cluster(SINGLE), cluster(COMPACT)
    assert "min-replicas-to-write 0" in render_files(single, single.nodes[0])["/etc/holdfast/redis.conf"]
    assert "min-replicas-to-write 1" in render_files(compact, compact.nodes[0])["/etc/holdfast/redis.conf"]


@pytest.mark.parametrize(
    ("data", "durability", "needed"), [(2, None, 0), (3, None, 1), (2, "replicated", 1), (3, "available", 0)]
)
def test_writes_need_a_replica_unless_the_loss_of_one_node_would_stop_them(
    cluster: Any, data: int, durability: str | None, needed: int
) -> None:
    redis = {"memory": "8GB"} | ({"durability": durability} if durability else {})
    found = cluster(TIERED, layout={"kind": "tiered", "data": data}, redis=redis)
    assert f"min-replicas-to-write {needed}\n" in render_files(found, found.nodes[0])["/etc/holdfast/redis.conf"]


def test_tiered_has_three_data_nodes_two_gateways_and_three_sentinels_where_the_file_says_nothing(cluster: Any) -> None:
    found = cluster(TIERED, layout="tiered")
    assert [len(found.having(role)) for role in (Role.DATA, Role.GATEWAY, Role.SENTINEL)] == [3, 2, 3]


@pytest.mark.parametrize(
    ("content", "changes", "problems"),
    [
        (
            SINGLE,
            {"redis": {"memory": "4GB", "durability": "replicated"}},
            {"redis.durability": ("replicated in the layout single", "available, nothing")},
        ),
        (
            SINGLE,
            {"redis": {"memory": "4GB", "durability": "strict"}},
            {"redis.durability": ("strict in the layout single", "available, nothing")},
        ),
        (SINGLE, {"zones": ["a", "b"]}, {"zones": ("2 zones for 1 node", "at most 1 zone")}),
        (SINGLE, {"layout": {"kind": "single", "nodes": 1}}, {"layout.nodes": ("an unknown key", "kind")}),
        (COMPACT, {"layout": "huge"}, {"layout": ("'huge'", "compact, single, tiered")}),
        (
            COMPACT,
            {"layout": {"kind": "cluster", "shards": 3}},
            {"layout": ("'cluster', which is planned and not there yet", "compact, single, tiered")},
        ),
        (COMPACT, {"layout": 3}, {"layout": ("3", "")}),
        (COMPACT, {"machines": TIERED["machines"]}, {"machines": ("data, gateway, sentinel", "node alone")}),
        (TIERED, {"machines": NODE, "redis": {"memory": "4GB"}}, {"machines": ("node", "data, gateway and sentinel")}),
        (
            TIERED,
            {"machines": {key: TIERED["machines"][key] for key in ("data", "gateway")}},
            {"machines": ("data, gateway", "data, gateway and sentinel once each")},
        ),
        (
            TIERED,
            {
                "layout": SHARED["layout"],
                "machines": TIERED["machines"] | {"gateway+sentinel": {"type": "t3.small"}},
            },
            {"machines": ("data, gateway, gateway+sentinel, sentinel", "once each")},
        ),
        (
            TIERED,
            {"machines": SHARED["machines"] | {"sentinel+gateway": {"type": "t3.small"}}},
            {"machines.sentinel+gateway": ("an unknown key", "gateway+sentinel")},
        ),
        (
            TIERED,
            {"machines": SHARED["machines"]},
            {"machines.gateway+sentinel": ("3 of role sentinel on the 2 machines of role gateway", "at most as many")},
        ),
        (TIERED, {"layout": {"kind": "tiered", "data": 1}}, {"layout.data": ("1", "greater than or equal to 2")}),
        (TIERED, {"layout": {"kind": "tiered", "sentinels": 4}}, {"layout.sentinels": ("4", "3 or 5")}),
        (TIERED, {"layout": {"kind": "tiered", "nodes": 4}}, {"layout.nodes": ("unknown", "kind, data, gateways")}),
        (
            TIERED,
            {"zones": ["a", "b"]},
            {"zones": ("3 Sentinels over 2 zones: losing one zone may take 2 of 3", "three or more zones")},
        ),
        (TIERED, {"zones": ["a", "b", "c", "d"]}, {"zones": ("4 zones for 3 nodes", "at most 3")}),
        (TIERED, {"network": {"cidr": "10.60.0.0/24"}}, {"network.cidr": ("11 addresses", "a larger network")}),
        (
            TIERED,
            {"machines": TIERED["machines"] | {"gateway": {"type": "t3.micro"}}},
            {"machines.gateway.type": ("t3.micro, whose interface holds 2 addresses", "a type that holds 3")},
        ),
        (
            TIERED,
            {"machines": TIERED["machines"] | {"data": {"type": "t3.small"}}},
            {"redis.memory": ("8192MB on t3.small", "or a larger machines.data.type")},
        ),
        (
            TIERED,
            {"machines": TIERED["machines"] | {"sentinel": {"type": "t3.nano", "data_volume_gib": 8}}},
            {"machines.sentinel.data_volume_gib": ("8, on machines without data", "nothing")},
        ),
        (TIERED, {"network": {"cidr": "10.60.0.0/16", "domain": "a b"}}, {"network.domain": ("'a b'", "or none")}),
    ],
)
def test_a_wrong_layout_is_refused_with_what_would_be_accepted(
    cluster: Any, content: dict[str, Any], changes: dict[str, Any], problems: dict[str, tuple[str, str]]
) -> None:
    with pytest.raises(InvalidEnvironment) as refused:
        cluster(content, **changes)
    assert {problem.path for problem in refused.value.problems} == set(problems)
    for problem in refused.value.problems:
        found, accepted = problems[problem.path]
        assert found in problem.found
        assert accepted in problem.accepted


KEYS = [
    ("data", "gateway", "sentinel"),
    ("data+gateway", "sentinel"),
    ("data+sentinel", "gateway"),
    ("data", "gateway+sentinel"),
    ("data+gateway+sentinel",),
]


@pytest.mark.parametrize("keys", KEYS, ids="-".join)
def test_every_tiered_layout_that_is_accepted_survives_the_loss_of_any_one_zone(
    cluster: Any, keys: tuple[str, ...]
) -> None:
    machines = {key: {"type": "r6i.large"} for key in keys}
    accepted = 0
    for data, gateways, sentinels, zones in itertools.product(range(2, 6), range(2, 6), (3, 5), ("ab", "abc", "abcde")):
        layout = {"kind": "tiered", "data": data, "gateways": gateways, "sentinels": sentinels}
        try:
            found = cluster(TIERED, layout=layout, machines=machines, zones=list(zones))
        except InvalidEnvironment:
            continue
        accepted += 1
        counts = {role: len(found.having(role)) for role in Role}
        assert counts == {Role.DATA: data, Role.GATEWAY: gateways, Role.SENTINEL: sentinels}
        for zone in found.zones:
            left = [node for node in found.nodes if node.zone != zone]
            assert sum(Role.SENTINEL in node.roles for node in left) > sentinels / 2
            assert any(Role.DATA in node.roles for node in left)
            assert any(Role.GATEWAY in node.roles for node in left)
        everything = [address for node in found.slots for address in node.addresses]
        assert len(everything) == len(set(everything))
        assert {node.name for node in found.nodes} <= {slot.name for slot in found.slots}
    assert accepted


@pytest.mark.parametrize("keys", KEYS[:4], ids="-".join)
def test_machines_that_are_added_change_nothing_for_those_that_are_there(cluster: Any, keys: tuple[str, ...]) -> None:
    machines = {key: {"type": "r6i.large"} for key in keys}
    small, large = (
        cluster(TIERED, layout={"kind": "tiered", **counts}, machines=machines)
        for counts in (
            {"data": 3, "gateways": 3, "sentinels": 3},
            {"data": 5, "gateways": 5, "sentinels": 3},
        )
    )
    after = {node.name: node for node in large.nodes}
    assert len(after) > len(small.nodes)
    for node in small.nodes:
        assert after[node.name] == node
        assert user_data(large, after[node.name]) == user_data(small, node)


EVERYWHERE = {
    "/etc/apt/apt.conf.d/zz-holdfast",
    "/etc/needrestart/conf.d/holdfast.conf",
    "/etc/holdfast/node.json",
    "/etc/holdfast/packages.json",
    "/etc/sysctl.d/60-holdfast.conf",
    "/etc/security/limits.d/60-holdfast.conf",
    "/usr/local/lib/holdfast/aws.py",
    "/usr/local/sbin/holdfast-fetch",
    "/usr/local/sbin/holdfast-first-boot",
    "holdfast-first-boot.service",
    "holdfast-node.service",
    "holdfast-secrets.service",
    "holdfast-renew.path",
    "holdfast-renew.service",
    "holdfast.target",
}
RESTORES = {f"holdfast-{name}.{kind}" for name in ("restore", "generation") for kind in ("path", "service")}
DATA = {
    "/etc/holdfast/redis.conf",
    "/etc/holdfast/users.acl",
    "holdfast-kernel.service",
    "holdfast-redis.service",
    "holdfast-handover.service",
    *RESTORES,
    "holdfast-volume.service",
    "holdfast-begin.service",
}
GATEWAY = {
    "/etc/holdfast/haproxy.cfg",
    "/etc/holdfast/keepalived.conf",
    "holdfast-haproxy.service",
    "holdfast-keepalived.service",
    "holdfast-addresses.service",
}
SENTINEL = {
    "/etc/holdfast/sentinel.conf",
    "/etc/holdfast/sentinel-users.acl",
    "holdfast-sentinel.service",
    "holdfast-volume.service",
    "holdfast-begin.service",
}


@pytest.mark.parametrize(
    ("content", "node", "files", "packages"),
    [
        (TIERED, "shop-data-a1", DATA, "redis-server redis-tools"),
        (TIERED, "shop-gateway-a1", GATEWAY, "redis-tools haproxy keepalived"),
        (TIERED, "shop-sentinel-a1", SENTINEL, "redis-sentinel redis-tools"),
        (
            SHARED,
            "shop-gateway-a1",
            GATEWAY | SENTINEL,
            "redis-sentinel redis-tools haproxy keepalived",
        ),
        (
            COMPACT,
            "shop-a1",
            DATA | GATEWAY | SENTINEL,
            "redis-server redis-sentinel redis-tools haproxy keepalived",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_machine_gets_only_what_its_roles_need(
    cluster: Any, content: dict[str, Any], node: str, files: set[str], packages: str
) -> None:
    found = cluster(content)
    rendered = render_files(found, found.node(node))
    assert {path.removeprefix("/etc/systemd/system/") for path in rendered} == EVERYWHERE | files
    assert json.loads(rendered["/etc/holdfast/packages.json"]) == dict.fromkeys(packages.split())
    target = rendered["/etc/systemd/system/holdfast.target"]
    wanted = {unit for line in target.splitlines() if line.startswith("Wants=") for unit in line[6:].split()}
    # The others are required by these.
    everywhere = {"holdfast-node.service", "holdfast-renew.path"}
    started = {file for file in files if file.endswith((".service", ".path"))}
    assert wanted == everywhere | started - {
        "holdfast-restore.service",
        "holdfast-generation.service",
        "holdfast-volume.service",
        "holdfast-addresses.service",
    }
    assert check_user_data(found) == []


@pytest.mark.parametrize("image", list(Distribution))
@pytest.mark.parametrize("images", ["stock", "baked"])
@pytest.mark.parametrize("content", [TIERED, SHARED, SINGLE], ids=["tiered", "shared", "single"])
def test_user_data_fits_with_every_distribution(
    cluster: Any, content: dict[str, Any], images: str, image: Distribution
) -> None:
    machines = {key: machine | {"image": image.value} for key, machine in content["machines"].items()}
    assert check_user_data(cluster(content, machines=machines, images=images)) == []


@pytest.mark.parametrize("file", sorted((ENVIRONMENTS / "examples").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_is_valid(file: Path) -> None:
    assert check_user_data(Cluster.of(load_environment(file))) == []


def test_nodes_are_placed_apart_where_the_layout_has_or_can_have_two_in_a_zone(cluster: Any) -> None:
    def apart(content: dict[str, Any], **changes: Any) -> str:
        found = cluster(content, **changes)
        return "".join(zone.letter for zone in found.zones if found.shared(zone))

    assert apart(TIERED) == "abc"
    assert apart(COMPACT) == apart(COMPACT, layout={"kind": "compact", "nodes": 5}) == "ab"
    assert apart(COMPACT, zones=list("abcde"), layout={"kind": "compact", "nodes": 5}) == ""
    assert apart(SINGLE) == ""


def test_no_zone_has_more_nodes_than_run_in_a_placement_group(cluster: Any) -> None:
    """Seven, by the EC2 user guide. The largest: each role on five machines of its own, over as few zones as may be."""
    layout = {"kind": "tiered", "data": 5, "gateways": 5, "sentinels": 5}
    largest = cluster(TIERED, layout=layout)
    assert max(len(largest.nodes_in(zone)) for zone in largest.zones) == 6
