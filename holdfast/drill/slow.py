"""A Redis that is there and answers nobody, as while it runs one slow command."""

from __future__ import annotations

import time
from dataclasses import replace

from holdfast.drill.cluster import Cluster
from holdfast.drill.steady import Application, applications
from holdfast.drill.waiting import NotInTime

STALL = """
pid=$(systemctl show --property=MainPID --value holdfast-redis)
began=$(date +%s%N); kill -STOP "$pid"
sleep "$0"
kill -CONT "$pid"; echo $(( $(date +%s%N) - began ))
"""
SPARE = 0.06
"""Seconds by which a stall may be longer than it should be."""

NOTICED_WITHIN = 2.0
"""Seconds in which a session that was ended is noticed, and a leader that was lost replaced."""


def stall(cluster: Cluster, node: str, seconds: float) -> float:
    """Have the Redis of a node answer nobody for so long; how long it was. Seconds."""
    return int(cluster.exec(node, "sh", "-c", STALL, str(seconds))) / 1e9


def stall_leader(cluster: Cluster, seconds: float, attempts: int = 5) -> tuple[str, list[str]]:
    """Stall the leader under applications that wait for longer: who it was, and which of their commands failed.

    A busy host may stall it until it counts as lost, which is another case: then it is tried again.

    Raises:
        NotInTime: it was so each time.
    """
    for _ in range(attempts):
        leader: str = cluster.wait_healthy()["leader"]
        running = [Application(replace(gateway, timeout=4 * seconds + 1)) for gateway in cluster.gateways()]
        with applications(running):
            lasted = stall(cluster, leader, seconds)
            time.sleep(NOTICED_WITHIN)
        if lasted <= seconds + SPARE:
            return leader, [failure for one in running for failure in one.failures]
    raise NotInTime(f"of {attempts} stalls of {seconds} s none was as short")
