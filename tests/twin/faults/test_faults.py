"""Whatever breaks: one leader at a time, nothing lost that WAIT acknowledged, and healthy again by itself."""

from __future__ import annotations

import time

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.drill.writers import Writers
from tests.twin.conftest import Judge
from tests.twin.faults.rows import ROWS, Row, Site

pytestmark = pytest.mark.timed

HEALTHY_WITHIN = 60
"""Seconds after `heal`: a machine boots in 5, and a Sentinel whose clock was stepped does nothing for 30."""


def site_of(cluster: Cluster, writers: Writers) -> Site:
    nodes = cluster.wait_healthy()["nodes"]
    leader = next(node for node in nodes if node["role"] == "leader")
    first, second = (node["name"] for node in nodes if node is not leader)
    return Site(cluster, writers, leader["name"], (first, second), leader["zone"])


@pytest.mark.parametrize("row", [pytest.param(row, marks=[pytest.mark.alone] * row.alone, id=row.name) for row in ROWS])
def test_one_leader_at_a_time_nothing_lost_and_healthy_by_itself(healthy: Cluster, row: Row, judge: Judge) -> None:
    row.before(healthy)
    with Writers(healthy.gateways()) as writers:
        writers.wait_writing()
        site = site_of(healthy, writers)
        old = writers.leaders()

        struck = time.monotonic()
        row.strike(site)
        if row.moves:
            writers.wait_leader(other_than=old)
        writers.watch(row.hold)
        if not row.stops:
            writers.wait_writing(gateways=2 if row.lost else 3)

        healthy.heal()
        if row.moves is not None:
            # Where the API was away, the reports are as old as that.
            moved = "reports of who leads"
            healthy.wait(moved, lambda seen: (seen["leader"] != site.leader) is row.moves, HEALTHY_WITHIN)
        status = healthy.wait_healthy(HEALTHY_WITHIN)
        writers.wait_writing(gateways=3)

        surviving = row.surviving(site, status["leader"])
        verdict = judge(row.name, writers, struck=struck, surviving=surviving, wait_is_safe=row.wait_is_safe)
    assert verdict.problems == ()
    if row.moves is not None:
        assert (status["leader"] != site.leader) is row.moves
        assert len(verdict.leaders) == (row.leaders if row.moves else 1)
    if not row.stops:
        assert verdict.outage <= row.limit
