"""What a cut-off leader took and nobody else ever saw is gone from the cluster, but not from the world."""

from __future__ import annotations

import time

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.drill.writers import Writers
from tests.twin.conftest import Judge

pytestmark = pytest.mark.timed

PORT = "7999"


def test_writes_that_a_cut_off_leader_took_alone_are_in_what_it_sets_aside(healthy: Cluster, judge: Judge) -> None:
    leader = healthy.wait_healthy()["leader"]
    with Writers(healthy.gateways()) as writers:
        writers.wait_writing()
        old = writers.leaders()
        struck = time.monotonic()
        healthy.fault("isolate", leader)
        writers.wait_leader(other_than=old)
        healthy.heal()
        status = healthy.wait(
            "what the old leader set aside", lambda seen: seen["healthy"] and bool(_aside(seen, leader)), seconds=60
        )
        verdict = judge("leader isolated: set aside", writers, struck=struck, surviving=[status["leader"]])
    assert verdict.problems == ()
    assert verdict.lost_without, "the leader took nothing alone: this test shows nothing"
    folder, _, file = str(_aside(status, leader)).rpartition("/")
    healthy.exec(
        leader,
        *("redis-server", "--port", PORT, "--dir", folder, "--dbfilename", file),
        *("--daemonize", "yes", "--save", "", "--appendonly", "no"),
    )
    try:
        answers = f"until redis-cli -p {PORT} PING | grep -q PONG; do sleep 0.1; done"
        healthy.exec(leader, "timeout", "10", "sh", "-c", answers)
        records = [ack.record for ack in verdict.lost_without]
        there = healthy.exec(leader, "redis-cli", "-p", PORT, "EXISTS", *records)
        assert int(there) == len(records)
    finally:
        healthy.exec(leader, "redis-cli", "-p", PORT, "SHUTDOWN", "NOSAVE", check=False)
    said = healthy.holdfast("status", healthy.environment).stdout
    assert f"{leader}: gave up leading beside another leader at " in said


def _aside(status: dict[str, object], node: str) -> str | None:
    nodes: list[dict[str, object]] = status["nodes"]  # type: ignore[assignment]
    (found,) = (one["aside"] for one in nodes if one["name"] == node)
    return found["file"] if isinstance(found, dict) else None
