"""What a base backup is: when it is due, which tier keeps it, and whether it is in a history that counts."""

from __future__ import annotations

import calendar
import time

import pytest
from holdfast_node import base
from holdfast_node.base import DAILY, MONTHLY, WEEKLY, Facts, Part, Plan

DAY = 86400
PLAN = Plan("holdfast-local-saved", every=DAY, at=3 * 3600, tiers=(DAILY, WEEKLY, MONTHLY))
SAID = """\
[offset 0] Checking RDB file base.rdb
[offset 27] AUX FIELD redis-ver = '7.0.15'
[offset 68] AUX FIELD used-mem = '1500000'
[offset 86] AUX FIELD repl-stream-db = '3'
[offset 136] AUX FIELD repl-id = '6ea3d06cac6eff09e4e741ba51ba84f33e206a45'
[offset 152] AUX FIELD repl-offset = '281'
[offset 235] Selecting DB ID 0
[offset 259] Selecting DB ID 3
[offset 276] Checksum OK
[offset 276] \\o/ RDB looks OK! \\o/
[info] 3 keys read
[info] 1 expires
[info] 0 already expired
"""
FACTS = Facts("7.0.15", 3, 1, (0, 3), "6ea3d06cac6eff09e4e741ba51ba84f33e206a45", 281, 1_500_000)


def at(text: str) -> float:
    return float(calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S")))


@pytest.mark.parametrize(
    ("every", "now", "slot"),
    [
        (24, "2026-11-29 03:00:00", "2026-11-29 03:00:00"),
        (24, "2026-11-29 02:59:59", "2026-11-28 03:00:00"),
        (24, "2026-11-29 23:59:59", "2026-11-29 03:00:00"),
        (1, "2026-11-29 02:59:59", "2026-11-29 02:00:00"),
        (8, "2026-11-29 02:59:59", "2026-11-28 19:00:00"),
    ],
)
def test_the_last_one_counts_that_was_taken_since_it_was_due(every: int, now: str, slot: str) -> None:
    plan = Plan("b", every * 3600, 3 * 3600, (DAILY,))
    assert plan.slot(at(now)) == at(slot)


def test_names_sort_as_times_do_and_say_when() -> None:
    name = base.name_of("prod-c1", at("2026-11-29 03:00:07"))
    assert name == "2026-11-29T03-00-07Z-prod-c1"
    assert base.taken_at(name) == at("2026-11-29 03:00:07")
    assert base.taken_at("lost+found") is None
    assert base.prefix(DAILY, name) == "base/daily/2026-11-29T03-00-07Z-prod-c1/"


@pytest.mark.parametrize(
    ("now", "monthly", "weekly", "tiers", "kept"),
    [
        ("2026-11-29 03:00:00", [], [], PLAN.tiers, MONTHLY),
        ("2026-11-29 03:00:00", ["2026-10-31 23:00:00"], [], PLAN.tiers, MONTHLY),
        ("2026-11-29 03:00:00", ["2026-11-01 03:00:00"], [], PLAN.tiers, WEEKLY),
        # A Sunday: its week began on the 23rd.
        ("2026-11-29 03:00:00", ["2026-11-01 03:00:00"], ["2026-11-22 03:00:00"], PLAN.tiers, WEEKLY),
        ("2026-11-29 03:00:00", ["2026-11-01 03:00:00"], ["2026-11-23 03:00:00"], PLAN.tiers, DAILY),
        ("2026-11-29 03:00:00", [], [], (DAILY,), DAILY),
        ("2026-11-29 03:00:00", [], [], (DAILY, MONTHLY), MONTHLY),
    ],
)
def test_the_first_one_of_a_month_is_kept_as_monthly_else_the_first_of_a_week_as_weekly(
    now: str, monthly: list[str], weekly: list[str], tiers: tuple[str, ...], kept: str
) -> None:
    plan = Plan("b", DAY, 0, tiers)
    assert base.tier(plan, at(now), 1, [*map(at, monthly)], [*map(at, weekly)]) == kept


def test_a_base_without_keys_is_not_all_that_stays_of_a_month() -> None:
    assert base.tier(PLAN, at("2026-11-29 03:00:00"), 0, [], []) == DAILY


def test_what_the_check_of_a_file_says_is_read() -> None:
    assert base.facts(SAID) == FACTS


def test_one_that_never_had_a_replica_has_no_history() -> None:
    said = "\n".join(line for line in SAID.splitlines() if "repl-" not in line)
    assert base.facts(said) == Facts("7.0.15", 3, 1, (0, 3), None, None, 1_500_000)


@pytest.mark.parametrize("missing", ["Checksum OK", "RDB looks OK", "keys read", "[info] 1 expires"])
def test_a_file_that_the_check_does_not_take_for_whole_is_none(missing: str) -> None:
    """A checksum that is switched off proves nothing."""
    said = "\n".join(line for line in SAID.splitlines() if missing not in line)
    with pytest.raises(ValueError, match="already expired"):
        base.facts(said)


INFO = {
    "master_replid": "b" * 40,
    "master_replid2": FACTS.replication_id or "",
    "master_repl_offset": "400",
    "second_repl_offset": "300",
}


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({}, True),
        ({"second_repl_offset": "282"}, True),
        # The last leader had written 281 bytes, and its successor had only 280 of them.
        ({"second_repl_offset": "281"}, False),
        ({"master_replid2": "0" * 40, "second_repl_offset": "-1"}, False),
        ({"master_replid": FACTS.replication_id or "", "master_replid2": "0" * 40}, True),
        ({"master_replid": FACTS.replication_id or "", "master_repl_offset": "280"}, False),
    ],
)
def test_what_was_saved_counts_only_up_to_where_the_next_leader_took_over(
    changed: dict[str, str], counts: bool
) -> None:
    assert base.belongs(FACTS, INFO | changed) is counts


def test_without_a_history_nothing_is_proven() -> None:
    assert not base.belongs(Facts("7.0.15", 3, 1, (0,), None, None), INFO | {"master_replid": ""})


DATA = {"local-a1": "10.40.0.4", "local-b1": "10.40.16.4", "local-c1": "10.40.32.4"}


@pytest.mark.parametrize(
    ("leader", "in_sync", "turn"),
    [
        ("10.40.0.4", ["10.40.16.4", "10.40.32.4"], "local-c1"),
        ("10.40.32.4", ["10.40.0.4", "10.40.16.4"], "local-b1"),
        ("10.40.0.4", ["10.40.16.4"], "local-b1"),
        ("10.40.0.4", [], "local-a1"),
        # A stranger is nobody.
        ("10.40.0.4", ["10.9.9.9"], "local-a1"),
        ("10.9.9.9", [], None),
    ],
)
def test_the_last_replica_by_name_that_is_in_sync_takes_the_backup(
    leader: str, in_sync: list[str], turn: str | None
) -> None:
    assert base.whose_turn(DATA, leader, in_sync) == turn


def test_a_manifest_has_what_it_takes_to_put_the_parts_together_and_to_load_them() -> None:
    made = base.manifest(
        environment="local",
        node="local-c1",
        name="2026-11-29T03-00-07Z-local-c1",
        tier=DAILY,
        rdb_version=10,
        found=FACTS,
        parts=[Part("00001", 7, "a" * 64), Part("00002", 2, "b" * 64)],
        sha256="c" * 64,
    )
    assert made == {
        "version": 1,
        "id": "2026-11-29T03-00-07Z-local-c1",
        "environment": "local",
        "node": "local-c1",
        "tier": "daily",
        "rdb_version": 10,
        "redis_version": "7.0.15",
        "keys": 3,
        "expires": 1,
        "databases": (0, 3),
        "replication_id": FACTS.replication_id,
        "offset": 281,
        "used_memory": 1_500_000,
        "bytes": 9,
        "sha256": "c" * 64,
        "parts": [
            {"name": "00001", "bytes": 7, "sha256": "a" * 64},
            {"name": "00002", "bytes": 2, "sha256": "b" * 64},
        ],
    }
