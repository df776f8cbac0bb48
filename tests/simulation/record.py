"""Records what real Sentinels say when a leader is lost, for the test that holds their model against it.

`PYTHONPATH=.:node python -m tests.simulation.record [ENVIRONMENT [RUNS]]` writes traces.json anew; as root, with a
`compact` environment of three nodes up (`make up`).
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from holdfast.drill.cluster import Cluster
from holdfast.topology import find_environment
from tests.simulation import traces
from tests.simulation.traces import Trace

LINE = re.compile(r"\d+:X (\d+ \w+ \d+ [\d:.]+) [#*] ([+-].*)")
"""As a Sentinel logs an event."""

STRIKES: dict[str, Callable[[Cluster, str], object]] = {
    "Redis killed": lambda cluster, leader: cluster.fault("kill", leader),
    "Redis and node program killed": lambda cluster, leader: cluster.exec(
        leader, "systemctl", "kill", "-s", "KILL", "holdfast-redis", "holdfast-node"
    ),
    "Redis frozen for 5 s": lambda cluster, leader: cluster.fault("freeze", leader, "--for", "5"),
    "power cut for 8 s": lambda cluster, leader: cluster.fault("power-cut", leader),
    "isolated for 8 s": lambda cluster, leader: cluster.fault("isolate", leader),
}
LASTS = 8.0
"""Seconds of what lasts until it is healed."""


def record(cluster: Cluster, fault: str) -> Trace:
    """One trace."""
    status = cluster.wait_healthy()
    leader, nodes = status["leader"], [node["name"] for node in status["nodes"]]
    version = next(node["version"] for node in status["nodes"] if node["name"] == leader)
    place, struck = traces.places(leader, nodes), time.time()
    STRIKES[fault](cluster, leader)
    time.sleep(LASTS)
    cluster.heal()
    time.sleep(traces.WATCHED - LASTS)
    said = [(at, place[node], what) for node in nodes for at, what in _said(cluster, node) if at >= struck]
    cluster.wait_healthy()
    return traces.trace(fault, version, [one for one in said if one[0] < struck + traces.WATCHED])


def _said(cluster: Cluster, node: str) -> Iterator[tuple[float, str]]:
    lines = cluster.exec(node, "journalctl", "--unit=holdfast-sentinel", "--output=cat", "--since=-60s").splitlines()
    for found in filter(None, map(LINE.fullmatch, lines)):
        at = datetime.strptime(found[1], "%d %b %Y %H:%M:%S.%f").replace(tzinfo=UTC)
        yield at.timestamp(), found[2]


def main(name: str = "local", runs: str = "4") -> None:
    file = find_environment(name)
    cluster = Cluster(file.stem, file)
    traces.keep([record(cluster, fault) for fault in STRIKES for _ in range(int(runs))])


if __name__ == "__main__":
    main(*sys.argv[1:])
