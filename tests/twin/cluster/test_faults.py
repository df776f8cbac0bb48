"""The leader may die in any way: writes through the surviving gateways resume, and nobody else ever leads beside it."""

import time
from collections.abc import Callable

import pytest

from tests.twin.cluster.conftest import Cluster
from tests.twin.cluster.writers import Writers

LIMIT = 3.0
"""Seconds without an acknowledged write that a fault may cost."""


@pytest.mark.parametrize("kind", ["kill", "freeze", "power-cut", "isolate"])
def test_writes_resume_and_the_old_leader_returns_as_a_replica(
    healthy: Cluster, writers: Writers, kind: str, record_outage: Callable[[str, float], None]
) -> None:
    old = healthy.status()["leader"]
    zone = next(node["zone"] for node in healthy.status()["nodes"] if node["name"] == old)

    struck = time.monotonic()
    healthy.fault(kind, zone if kind == "isolate" else "leader")
    new = healthy.wait("another leader", lambda status: status["leader"] not in (None, old), 30)["leader"]
    writers.wait_writing(gateways=2)

    healthy.heal()
    status = healthy.wait_healthy()
    assert status["leader"] == new
    assert {node["name"]: node["role"] for node in status["nodes"]}[old] == "replica"
    writers.wait_writing(gateways=3)

    outage = writers.outage(since=struck)
    record_outage(kind, outage)
    assert outage <= LIMIT
    assert len(writers.leaders_one_after_the_other()) == 2


def test_a_lost_replica_costs_nothing(healthy: Cluster, writers: Writers) -> None:
    leader = healthy.status()["leader"]
    struck = time.monotonic()
    healthy.fault("power-cut", "replica")
    healthy.wait("the loss to be seen", lambda status: not status["healthy"], 30)
    writers.wait_writing(gateways=2)
    assert writers.outage(since=struck) < 1.0
    assert healthy.status()["leader"] == leader


@pytest.mark.parametrize("unit", ["holdfast-haproxy", "holdfast-sentinel", "holdfast-node"])
def test_a_killed_helper_process_restarts_alone(healthy: Cluster, unit: str) -> None:
    before = healthy.status()
    leader = before["leader"]
    pids = {name: healthy.exec(leader, "systemctl", "show", "-P", "MainPID", name) for name in UNITS}
    healthy.exec(leader, "systemctl", "kill", "-s", "KILL", unit)
    deadline = time.monotonic() + 20
    while healthy.exec(leader, "systemctl", "show", "-P", "MainPID", unit) in (pids[unit], "0\n"):
        assert time.monotonic() < deadline, f"{unit} did not restart"
        time.sleep(0.2)
    after = healthy.wait_healthy()
    assert after["leader"] == leader
    for name in set(UNITS) - {unit}:
        assert healthy.exec(leader, "systemctl", "show", "-P", "MainPID", name) == pids[name]


UNITS = ("holdfast-redis", "holdfast-sentinel", "holdfast-haproxy", "holdfast-node")
