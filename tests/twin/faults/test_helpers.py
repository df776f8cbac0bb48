"""A process beside Redis may be killed at any time: nothing but that process restarts."""

import time

import pytest

from holdfast.drill.cluster import Cluster

UNITS = ("holdfast-redis", "holdfast-sentinel", "holdfast-haproxy", "holdfast-node", "holdfast-keepalived")


@pytest.mark.parametrize("unit", ["holdfast-haproxy", "holdfast-sentinel", "holdfast-node", "holdfast-keepalived"])
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
