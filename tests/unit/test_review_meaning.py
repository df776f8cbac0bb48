"""What a change means is said in the words of the cluster: nodes, leader, majority, data, endpoints, settings."""

import json
from typing import Any

from holdfast.ops.review.facts import UNKNOWN, Facts
from holdfast.ops.review.meaning import explain
from tests.unit.review_values import (
    CREATE,
    DELETE,
    REPLACE,
    UPDATE,
    change,
    facts,
    instance,
    of,
    replaced,
    stack,
    status,
    user_data,
    zone,
)


def meaning(known: Facts) -> dict[str, tuple[str, ...]]:
    return {section.name: section.sentences for section in explain(known)}


def rollout(**more: Any) -> Facts:
    return facts(*(zone(letter, replaced(letter)) for letter in "abc"), **more)


def test_nothing_changes() -> None:
    assert meaning(facts(status=status("shop-b1"))) == {
        "Nodes": ("No node is replaced, restarted, added or removed.",),
        "Leader": ("shop-b1 leads now, and stays the leader.",),
        "Redundancy": ("3 Sentinels, of which 2 are a majority: 1 may fail.",),
        "Data": ("Kept: every data volume (shop-a1, shop-b1, shop-c1).",),
        "Reach": ("Who may reach what stays as it is.",),
        "Endpoints": ("Every leader and replica endpoint keeps its address.",),
        "Settings": ("No setting of Redis, Sentinel or HAProxy changes.",),
        "Write pause": ("None is expected.",),
    }


def test_a_rollout_is_told_zone_by_zone() -> None:
    told = meaning(rollout(status=status("shop-b1")))
    assert told["Nodes"] == (
        "3 nodes are replaced, in this order: zone a (shop-a1), then zone b (shop-b1), then zone c (shop-c1).",
        "Files in the user-data change: shop-a1, shop-b1, shop-c1.",
    )
    assert told["Redundancy"] == (
        "While zone a, b or c is away, 2 of 3 nodes are left, and 2 are a majority: "
        "it holds, and no other node may fail meanwhile.",
    )
    assert told["Settings"] == ("Redis `maxmemory`: 256mb → 300mb (every node).",)


def users(*, shop: str = "", more: str = "") -> dict[str, str]:
    """User-data with an ACL file, and the rules of `shop` in it."""
    text = f"user default off\n# A comment\nuser shop on #<shop> ~* +@all +info{shop} (+psubscribe &*)\n{more}"
    return {"user_data_base64": user_data({"/etc/holdfast/users.acl": text})}


def told_of_users(before: dict[str, str], after: dict[str, str]) -> tuple[str, ...]:
    changes = [
        change(f"aws_instance.shop-{letter}1", REPLACE, instance(letter, **before), instance(letter, **after))
        for letter in "abc"
    ]
    return meaning(facts(*(zone(letter, it) for letter, it in zip("abc", changes, strict=True))))["Settings"]


def test_what_a_preset_gives_is_told_once_for_all_nodes() -> None:
    given = users(shop=" +keys|a:* +keys|b:* +client|list")
    assert told_of_users(users(), given) == (
        "User `shop` of Redis gets `+keys|a:* +keys|b:* +client|list` (every node).",
        "User `shop` may call `KEYS` (list-keys): names of keys in one answer, for which all other commands wait "
        "(every node).",
        "User `shop` may call `CLIENT LIST` (list-clients): addresses, names, users and last commands of all "
        "connections, those of other applications too (every node).",
    )
    assert told_of_users(given, users(shop=" +flushdb +client|list")) == (
        "User `shop` of Redis gets `+flushdb` (every node).",
        "User `shop` of Redis loses `+keys|a:* +keys|b:*` (every node).",
        "User `shop` may call `FLUSHDB` (flush-database): it can delete all keys of a database at once, those of "
        "other applications too (every node).",
    )


def test_rights_that_no_preset_gives_are_told_by_their_rules() -> None:
    reports = "user reports on #<reports> ~orders:* +@read\n"
    assert told_of_users(users(), users(more=reports)) == (
        "User `reports` of Redis gets `~orders:* +@read` (every node).",
    )
    assert told_of_users(users(more=reports), users(shop=" -sort")) == (
        "User `reports` of Redis loses `~orders:* +@read` (every node).",
        "User `shop` of Redis gets `-sort` (every node).",
    )


def test_of_a_machine_that_first_has_users_no_rights_are_told() -> None:
    other = {"user_data_base64": user_data({"/etc/holdfast/haproxy.cfg": "x"})}
    assert not [it for it in told_of_users(other, users()) if "User" in it]


def test_packages_whose_version_changes() -> None:
    def installing(packages: dict[str, str | None]) -> dict[str, str]:
        return {"user_data_base64": user_data({"/etc/holdfast/packages.json": json.dumps(packages)})}

    before = instance("a", **installing({"haproxy": "2.6.12-1", "redis-server": None, "redis-tools": "5:7"}))
    after = instance("a", **installing({"haproxy": "2.6.12-2", "redis-server": "5:7", "redis-tools": "5:7"}))
    machine = change("aws_instance.shop-a1", REPLACE, before, after, replace_paths=[["user_data_base64"]])
    assert meaning(facts(zone("a", machine)))["Nodes"][1:] == (
        "Package haproxy 2.6.12-1 → 2.6.12-2: shop-a1.",
        "Package redis-server newest → 5:7: shop-a1.",
        "Files in the user-data change: shop-a1.",
    )


def test_a_machine_that_is_placed_apart_is_replaced_for_that() -> None:
    apart = {"user_data_base64": instance("a")["user_data_base64"], "placement_group": "holdfast-shop-spread.a"}
    told = meaning(facts(zone("a", replaced("a", **apart)), status=status("shop-b1")))
    assert told["Nodes"] == (
        "1 node is replaced, in this order: zone a (shop-a1).",
        "Hardware apart from other nodes of the zone: shop-a1.",
    )


def test_a_placement_that_nobody_asked_for_is_not_told() -> None:
    """Where the file names no group, a plan calls the group of a new machine unknown."""
    anywhere = {"user_data_base64": instance("a")["user_data_base64"], "placement_group": UNKNOWN}
    told = meaning(facts(zone("a", replaced("a", **anywhere)), status=status("shop-b1")))
    assert told["Nodes"] == ("1 node is replaced, in this order: zone a (shop-a1).",)


def test_a_leader_moves_at_most_once_for_each_zone_from_its_own_on() -> None:
    def leader(name: str) -> tuple[str, ...]:
        told = meaning(rollout(status=status(name)))
        return told["Leader"] + told["Write pause"]

    pause = "about 1 s each time, 5 s at most as tested."
    assert leader("shop-a1") == (
        "shop-a1 leads now, and hands over when zone a is reached: the leader moves between 2 and 3 times.",
        f"Writes pause when the leader moves (between 2 and 3 times): {pause}",
    )
    assert leader("shop-c1") == (
        "shop-c1 leads now, and hands over when zone c is reached: the leader moves once.",
        f"Writes pause when the leader moves (once): {pause}",
    )


def test_a_leader_that_cannot_be_asked_for_is_unknown() -> None:
    told = meaning(rollout(status_unknown="no answer"))
    assert told["Leader"] == (
        "Who leads now is unknown (no answer).",
        "The leader moves at least once if it is in zone a, b or c.",
    )
    assert told["Write pause"] == (
        "Writes pause when the leader moves (at most 3 times): about 1 s each time, 5 s at most as tested.",
    )


def test_a_leader_in_a_zone_that_is_not_touched_stays() -> None:
    told = meaning(facts(zone("a", replaced("a")), status=status("shop-c1")))
    assert told["Leader"] == ("shop-c1 leads now, and stays the leader.",)
    assert told["Write pause"] == ("None is expected.",)


def test_zones_that_go_together_lose_the_majority() -> None:
    subnets = [
        change(f"aws_subnet.nodes-{letter}", REPLACE, {"availability_zone": f"eu-central-1{letter}"}, {})
        for letter in "ab"
    ]
    told = meaning(facts(stack("network", *subnets)))
    assert told["Redundancy"] == ("**Zones a, b go at once** with shop-network: no majority meanwhile.",)
    assert told["Write pause"] == ("**From the loss of the majority until it is back.**",)


def test_a_lost_volume_and_a_resized_one_are_told() -> None:
    volume = of("a", size=16)
    lost = change("aws_ebs_volume.shop-a1-data", REPLACE, volume, volume)
    grown = change("aws_ebs_volume.shop-b1-data", UPDATE, of("b", size=16), of("b", size=32))
    assert meaning(facts(zone("a", lost), zone("b", grown)))["Data"] == (
        "Lost: the data volumes of shop-a1. Kept: those of shop-b1, shop-c1.",
        "The volume grows from 16 to 32 GiB, its file system at the next boot: shop-b1.",
    )


def test_a_renamed_volume_is_a_lost_one() -> None:
    renamed = [
        change("aws_ebs_volume.shop-a1-data", DELETE, of("a", size=16), None),
        change("aws_ebs_volume.shop-a1-disk", CREATE, None, of("a", size=16)),
    ]
    assert meaning(facts(zone("a", *renamed)))["Data"] == (
        "Lost: the data volumes of shop-a1. Kept: those of shop-b1, shop-c1.",
    )


def test_the_loss_of_every_volume_is_the_loss_of_the_data() -> None:
    zones = [
        zone(letter, change(f"aws_ebs_volume.shop-{letter}1-data", REPLACE, of(letter, size=16), of(letter, size=16)))
        for letter in "abc"
    ]
    assert meaning(facts(*zones))["Data"] == (
        "**Every copy of the data is lost**: the volumes of shop-a1, shop-b1, shop-c1 are destroyed.",
    )


def test_an_endpoint_that_changes_comes_or_goes_is_named() -> None:
    moved = change(
        "aws_network_interface.shop-a1-interface",
        REPLACE,
        of("a", private_ip_list=["10.0.0.4", "10.0.0.5", "10.0.0.6"]),
        of("a", private_ip_list=["10.9.0.4", "10.9.0.5", "10.9.0.6"]),
    )
    gone = [
        change("aws_instance.shop-b1", DELETE, instance("b"), None),
        change("aws_network_interface.shop-b1-interface", DELETE, of("b", private_ip_list=["1", "2", "3"]), None),
    ]
    assert meaning(facts(zone("a", moved), zone("b", *gone)))["Endpoints"] == (
        "**Changed**: shop-a1 from leader endpoint 10.0.0.5 and replica endpoint 10.0.0.6 "
        "to leader endpoint 10.9.0.5 and replica endpoint 10.9.0.6.",
        "Gone: shop-b1 with leader endpoint 2 and replica endpoint 3.",
    )


def test_public_addresses_that_come_and_go_are_named() -> None:
    leader, replica = ({"tags": {"Name": f"shop-a1-{kind}", "Node": "shop-a1"}} for kind in ("leader", "replica"))
    changes = (
        change("aws_eip.shop-a1-leader-address", DELETE, leader, None),
        change("aws_eip.shop-a1-replica-address", CREATE, None, replica),
    )
    assert meaning(facts(zone("a", *changes)))["Endpoints"] == (
        "**Gone**: public address shop-a1-leader.",
        "New: public address shop-a1-replica.",
    )


def test_a_new_environment_is_told_as_one() -> None:
    told = meaning(Facts("shop", (stack("zone-a", change("aws_instance.shop-a1", CREATE, None, instance("a"))),)))
    assert told["Nodes"] == ("Nothing of shop exists yet. 1 node is made: shop-a1 in zone a.",)
    assert told["Leader"] == ("There is none yet: the first data node that boots leads, decided once.",)
    assert told["Data"] == told["Write pause"] == ()
