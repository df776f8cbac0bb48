"""A whole site stops, and starts again: led by who has the most recent data, whoever comes back first, or never."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.drill.services import start, stop

KEYS = 1000

LATE = 5.0
"""Seconds by which the leader is later than the others: more than a Sentinel needs to miss it and to stand."""

COMES_BACK_WITHIN = 90.0
"""Seconds: 30 in which a lost leader may return, up to 12 between two attempts of a Sentinel, and the start itself."""


@pytest.fixture
def stopped(healthy: Cluster) -> Iterator[Cluster]:
    """Whatever a test has stopped runs again afterwards."""
    yield healthy
    start(healthy, [node["name"] for node in healthy.status()["nodes"]])
    healthy.wait_healthy()


@pytest.mark.timed
@pytest.mark.parametrize("leader_returns", [True, False], ids=["the leader late", "the leader not at all"])
def test_who_had_been_away_before_leads_nobody(stopped: Cluster, leader_returns: bool) -> None:
    status = stopped.status()
    leader = status["leader"]
    away, kept = (node["name"] for node in status["nodes"] if node["name"] != leader)
    stop(stopped, [away])
    stopped.wait("the one that is away counts no more", lambda seen: unhealthy(seen) == [away])
    with stopped.client() as client:
        written = [f"while it was away:{uuid.uuid4()}" for _ in range(KEYS)]
        for key in written:
            client.set(key, "x", ex=3600)
        assert client.execute_command("WAIT", 1, 1000) == 1
    # Until the leader has written that who is away does not have them.
    stopped.wait("the leader has another replica only", lambda seen: seen["leader"] == leader, lasting=12)
    stop(stopped, [leader, kept])
    start(stopped, [away])
    start(stopped, [kept])
    if leader_returns:
        time.sleep(LATE)
        start(stopped, [leader])
        stopped.wait_healthy()
        assert stopped.status()["leader"] == leader
    else:
        stopped.wait("who was in sync leads", lambda seen: seen["leader"] == kept, COMES_BACK_WITHIN)
    with stopped.client() as client:
        assert client.exists(*written) == KEYS


def unhealthy(status: dict[str, list[dict[str, object]]]) -> list[object]:
    return [node["name"] for node in status["nodes"] if not node["healthy"]]
