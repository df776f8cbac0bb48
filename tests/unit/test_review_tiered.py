"""Roles on machines of their own: majority, copies and gateways are each counted over the machines that have them.

The machines' user-data is the real one; what surrounds it is fragments of plans.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holdfast import rendering
from holdfast.ops.review.drawing import draw
from holdfast.ops.review.facts import Facts
from holdfast.ops.review.meaning import explain
from holdfast.ops.review.nodes import nodes
from holdfast.ops.review.rules import RULES
from holdfast.ops.status import SentinelStatus, Status
from holdfast.topology import Cluster, Environment, Node, load_environment
from tests.unit.review_values import CREATE, DELETE, NONE, REPLACE, Values, change, stack

EXAMPLES = Path(__file__).parents[2] / "environments" / "examples"
TIERED = load_environment(EXAMPLES / "tiered.yaml")


def tiered(**changes: Any) -> Environment:
    return Environment.model_validate(TIERED.model_dump(mode="json") | {"redis": {"memory": "8GB"}} | changes)


def between(before: Environment, after: Environment, leader: str | None = None, lost: str = "") -> Facts:
    """The facts of a change from one environment to another. `lost`: the node whose volume is replaced."""
    old, new = ({node.name: node for node in Cluster.of(side).nodes} for side in (before, after))
    known = old | new
    stacks = []
    for zone in Cluster.of(after).zones:
        changes = []
        for name in sorted(name for name, node in known.items() if node.zone.letter == zone.letter):
            changes += parts(name, instance(before, old.get(name)), instance(after, new.get(name)), known[name], lost)
        stacks.append(stack(f"zone-{zone.letter}", *changes))
    status = Status("tiered", leader, (), SentinelStatus(3, 3), {}, None) if leader else None
    return Facts("shop", tuple(stacks), status=status, status_unknown="nothing was asked")


def instance(environment: Environment, node: Node | None) -> Values | None:
    if node is None:
        return None
    values = {"ami": "ami-1", "availability_zone": node.zone.name, "instance_type": node.machine.type}
    return values | {"user_data_base64": rendering.user_data_base64(Cluster.of(environment), node)} | tags(node)


def tags(node: Node) -> Values:
    return {"tags": {"Name": node.name, "Node": node.name, "Zone": node.zone.letter, "Image": "debian-12"}}


def parts(name: str, before: Values | None, after: Values | None, node: Node, lost: str) -> list[Values]:
    def sides(values: Values) -> tuple[Values | None, Values | None]:
        return values if before else None, values if after else None

    same = CREATE if before is None else DELETE if after is None else NONE
    interface = tags(node) | {"private_ip_list": [str(address) for address in node.addresses]}
    found = [
        change(f"aws_instance.{name}", REPLACE if same == NONE and before != after else same, before, after),
        change(f"aws_network_interface.{name}-interface", same, *sides(interface)),
    ]
    if node.volume is not None:
        volume = tags(node) | {"size": node.volume.gib, "availability_zone": node.zone.name}
        found.append(change(f"aws_ebs_volume.{name}-data", REPLACE if name == lost else same, *sides(volume)))
    return found


def meaning(known: Facts) -> dict[str, tuple[str, ...]]:
    return {section.name: section.sentences for section in explain(known)}


def findings(known: Facts) -> dict[str, list[str]]:
    """But for the versions of packages, of which none is pinned here."""
    found = {rule.name: [hit.sentence for hit in rule.check(known)] for rule in RULES}
    del found["packages-unpinned"]
    return {name: sentences for name, sentences in found.items() if sentences}


def test_another_memory_replaces_the_data_nodes_alone() -> None:
    before = tiered(redis={"memory": "6GB", "durability": "replicated"})
    larger = {"type": "r6i.large", "data_volume_gib": 32}
    after = tiered(redis={"memory": "7GB", "durability": "replicated"}, machines={**machines(), "data": larger})
    told = meaning(between(before, after, leader="tiered-data-a1"))
    assert told["Nodes"][0] == (
        "2 nodes are replaced, in this order: zone a (tiered-data-a1), then zone b (tiered-data-b1)."
    )
    assert told["Leader"] == (
        "tiered-data-a1 leads now, and hands over when zone a is reached: the leader moves 2 times.",
    )
    assert told["Redundancy"] == (
        "While zone a or b is away, 3 of 3 Sentinels are left, and 2 are a majority: 1 more may fail meanwhile; "
        "1 of 2 data nodes and every one of 2 gateways.",
    )
    assert told["Data"] == ("Kept: every data volume (tiered-data-a1, tiered-data-b1).",)
    assert told["Settings"][:2] == (
        "Redis `client-output-buffer-limit normal`: 768mb 0 0 → 896mb 0 0 (tiered-data-a1, tiered-data-b1).",
        "Redis `maxmemory`: 6144mb → 7168mb (tiered-data-a1, tiered-data-b1).",
    )
    assert told["Write pause"] == (
        "**While zone a or b is away**: fewer replicas are left than a write needs (`redis.durability`).",
    )
    assert findings(between(before, after)) == {}


def test_settings_of_redis_are_told_by_their_names() -> None:
    given = {"hz": 20, "client-output-buffer-limit": "pubsub 64mb 0 0", "tcp-keepalive": 30, "databases": 32}
    after = tiered(redis={"memory": "8GB", "settings": given})
    where = "(tiered-data-a1, tiered-data-b1)"
    assert meaning(between(tiered(), after))["Settings"] == (
        f"Redis `client-output-buffer-limit pubsub`: (absent) → 64mb 0 0 {where}.",
        f"Redis `databases`: 16 (Redis' own) → 32 {where}.",
        f"Redis `hz`: 10 (Redis' own) → 20 {where}.",
        f"Redis `tcp-keepalive`: 60 → 30 {where}.",
    )
    assert findings(between(tiered(), after)) == {}
    assert set(findings(between(after, tiered()))) == {"databases-lowered"}


def test_memory_whose_fork_takes_longer_gives_the_leader_more_time() -> None:
    before, after = (
        tiered(redis={"memory": memory}, machines=machines() | {"data": {"type": "r6i.xlarge", "data_volume_gib": 64}})
        for memory in ("8GB", "16GB")
    )
    told = meaning(between(before, after, leader="tiered-data-a1"))
    assert "A leader counts as lost after 0.8 s without an answer, 0.6 s before (every node)." in told["Settings"]


def test_writes_that_need_no_replica_pause_only_while_the_leader_moves() -> None:
    after = tiered(redis={"memory": "8GB", "eviction": "allkeys-lru"})
    assert meaning(between(tiered(), after, leader="tiered-data-b1"))["Write pause"] == (
        "Writes pause when the leader moves (once): about 1 s each time, 5 s at most as tested.",
    )


def test_other_sentinels_leave_the_leader_and_the_writes_alone() -> None:
    after = tiered(machines={**machines(), "sentinel": {"type": "t3.micro"}})
    known = between(tiered(), after, leader="tiered-data-a1")
    told = meaning(known)
    assert told["Leader"] == ("tiered-data-a1 leads now, and stays the leader.",)
    assert told["Redundancy"] == (
        "While zone a, b or c is away, 2 of 3 Sentinels are left, and 2 are a majority: "
        "it holds, and no other one may fail meanwhile; every one of 2 data nodes and every one of 2 gateways.",
    )
    assert told["Write pause"] == ("None is expected.",)
    assert findings(known) == {}


def test_a_third_data_node_raises_no_quorum() -> None:
    available = {"memory": "8GB", "durability": "available"}
    grown = tiered(layout={"kind": "tiered", "data": 3}, redis=available)
    known = between(tiered(redis=available), grown, leader="tiered-data-a1")
    told = meaning(known)
    assert told["Nodes"] == ("1 node is added: tiered-data-c1 in zone c.",)
    assert told["Redundancy"] == (
        "3 Sentinels, of which 2 are a majority: 1 may fail.",
        "3 data nodes and 2 gateways: the last one of each must not fail.",
    )
    assert told["Endpoints"] == ("Every leader and replica endpoint keeps its address.",)
    assert findings(known) == {}


def test_writes_that_come_to_need_a_replica_need_it_from_the_first_node_with_the_new_setting() -> None:
    """With a third data node `redis.durability` becomes `replicated`, and that node comes last."""
    told = meaning(between(tiered(), tiered(layout={"kind": "tiered", "data": 3}), leader="tiered-data-a1"))
    assert "Redis `min-replicas-to-write`: 0 → 1 (tiered-data-a1, tiered-data-b1)." in told["Settings"]
    assert told["Write pause"] == (
        "**While zone b is away**: fewer replicas are left than a write needs (`redis.durability`).",
    )


def test_fewer_sentinels_lower_the_quorum_and_fewer_gateways_take_endpoints_away() -> None:
    before = tiered(layout={"kind": "tiered", "data": 3, "gateways": 3, "sentinels": 5})
    after = tiered(layout={"kind": "tiered", "data": 3, "gateways": 2, "sentinels": 3})
    assert findings(between(before, after)) == {
        "quorum-lowered": ["its Sentinel goes: 5 become 3, a majority of 3 is still asked"] * 2,
        "address-changed": ["10.71.32.11 and 10.71.32.12, its endpoints, go with tiered-gateway-c1"],
    }


def test_sentinels_that_move_to_the_gateways_are_not_forgotten() -> None:
    """As many as before; the old ones still count for the majority."""
    wanted = {"kind": "tiered", "data": 2, "gateways": 3, "sentinels": 3}
    joined = {"data": {"type": "r6i.large"}, "gateway+sentinel": {"type": "t3.small"}}
    known = between(tiered(layout=wanted), tiered(layout=wanted, machines=joined))
    assert findings(known)["quorum-lowered"] == ["its Sentinel goes: 3 become 3, a majority of 4 is still asked"] * 3
    roles = "Roles gateway → gateway, sentinel: tiered-gateway-a1, tiered-gateway-b1, tiered-gateway-c1."
    assert roles in meaning(known)["Nodes"]


def test_a_sentinels_volume_holds_votes_and_no_data() -> None:
    assert findings(between(tiered(), tiered(), lost="tiered-sentinel-c1")) == {
        "votes-destroyed": ["the volume of tiered-sentinel-c1 is destroyed, and its Sentinel goes on without it"]
    }
    assert findings(between(tiered(), tiered(), lost="tiered-data-a1")) == {
        "data-destroyed": ["the data volume is destroyed"]
    }


def test_a_drawing_tells_the_roles_and_has_a_disk_only_where_there_is_a_volume() -> None:
    drawn = draw(nodes(between(tiered(), tiered())), after=True, leader=None)
    assert drawn.count('class="volume none"') == 5  # two with data, three with Sentinels, and none of two gateways
    for line in ("data · 32 GiB", "gateway", "sentinel · 1 GiB"):
        assert f">{line}</text>" in drawn


def test_a_single_node_has_nobody_to_hand_over_to() -> None:
    single = load_environment(EXAMPLES / "single.yaml")
    after = Environment.model_validate(single.model_dump(mode="json") | {"redis": {"memory": "300MB"}})
    told = meaning(between(single, after, leader="single-a1"))
    assert told["Leader"] == ("single-a1 leads now, and there is nobody to hand over to while zone a is away.",)
    assert told["Redundancy"] == (
        "While zone a is away, 0 of 1 nodes are left, and 1 are a majority: "
        "**the majority is lost, and with it failover and writes**.",
    )
    assert told["Write pause"] == ("**From the loss of the majority until it is back.**",)


def machines() -> dict[str, Any]:
    content: dict[str, Any] = TIERED.model_dump(mode="json")["machines"]
    return content
