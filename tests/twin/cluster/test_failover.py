"""`holdfast failover`: another node leads, and nothing that was acknowledged is lost."""

from __future__ import annotations

import json
import time

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.drill.writers import Writers
from tests.twin.conftest import Judge
from tests.twin.measured import in_time

pytestmark = pytest.mark.timed

ACCEPTED_PAUSE = 1.0
"""Seconds without an acknowledged write at any gateway: four times what it takes on two idle cores."""


def test_the_one_that_is_asked_for_leads_and_no_write_is_lost(healthy: Cluster, judge: Judge) -> None:
    status = healthy.status()
    heir = next(node["name"] for node in status["nodes"] if node["role"] == "replica")
    with Writers(healthy.gateways()) as writers:
        writers.wait_writing()
        struck = time.monotonic()
        done = json.loads(healthy.holdfast("failover", healthy.environment, "--to", heir, "--yes", "--json").stdout)
        assert (done["from"], done["to"], done["done"]) == (status["leader"], heir, True)
        assert done["says"].startswith("handed over to ")
        writers.watch(1.0)
        after = healthy.wait_healthy()
        verdict = judge("planned failover", writers, struck=struck, surviving=[node["name"] for node in after["nodes"]])
    assert after["leader"] == heir
    assert verdict.problems == ()
    assert verdict.lost == ()
    in_time(verdict, ACCEPTED_PAUSE, leaders=2)


def test_who_cannot_lead_is_refused_and_nothing_moves(healthy: Cluster) -> None:
    leader = healthy.status()["leader"]
    refused = healthy.holdfast("failover", healthy.environment, "--to", leader, "--yes", check=False)
    assert refused.returncode != 0
    assert f"--to {leader}: it is no replica in sync; accepted: " in refused.stderr
    unasked = healthy.holdfast("failover", healthy.environment, check=False)
    assert unasked.returncode == 1
    assert "not a terminal, so nobody can be asked: say --yes" in unasked.stderr
    assert healthy.status()["leader"] == leader
