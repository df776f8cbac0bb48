"""Times the write outage when the leader is lost or hands over, many times each, on this machine's environment `local`.

`python -m bench.failover [RUNS]`, with the cluster up (`make up`). The outage is the longest time in which one of the
gateways that survive acknowledged no write; each has a writer with WAIT 1 and one without. The bounds are the project's
own goals, for two shared cores.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.record import Figure, record
from tests.twin.conftest import Cluster
from tests.twin.faults import checker
from tests.twin.writers import Writers

RUNS = 20


@dataclass(frozen=True)
class Loss:
    """One way to lose the leader, and the seconds that it may cost."""

    what: str
    strike: Callable[[Cluster, str, str], object]
    """What is done to the cluster; the leader's name and zone follow."""
    p50: float
    p99: float
    survives: bool = False
    """Whether the leader's own gateway goes on."""


LOSSES = (
    Loss("leader process killed", lambda cluster, leader, _: cluster.fault("kill", leader), 0.35, 0.6, survives=True),
    Loss("leader frozen", lambda cluster, leader, _: cluster.fault("freeze", leader), 1.2, 1.8, survives=True),
    Loss("leader's machine power-cut", lambda cluster, leader, _: cluster.fault("power-cut", leader), 1.2, 1.8),
    Loss("leader's zone isolated", lambda cluster, _, zone: cluster.fault("isolate", zone), 1.2, 1.8),
    Loss(
        "planned",
        lambda cluster, *_: cluster.holdfast("failover", cluster.environment, "--yes"),
        0.25,
        0.4,
        survives=True,
    ),
)


def outage(cluster: Cluster, loss: Loss) -> float:
    """One run. Seconds; the cluster is healthy before and after."""
    status = cluster.wait_healthy()
    leader = next(node for node in status["nodes"] if node["role"] == "leader")
    with Writers(cluster.gateways()) as writers:
        writers.wait_writing()
        old = writers.leaders()
        struck = time.monotonic()
        loss.strike(cluster, leader["name"], leader["zone"])
        writers.wait_leader(other_than=old)
        writers.watch(1.0)
        surviving = {node["name"] for node in status["nodes"]} - (set() if loss.survives else {leader["name"]})
        writers.wait_writing(gateways=len(surviving))
        ended = writers.stop()
        cluster.heal()
        cluster.wait_healthy()
        with cluster.client(socket_timeout=10) as reader:
            present = writers.present(reader)
    verdict = checker.judge(
        writers.acknowledged,
        writers.reads,
        present,
        struck=struck,
        ended=ended,
        surviving=surviving,
        wait_is_safe=True,
    )
    if verdict.problems:
        sys.exit(f"{loss.what}: {verdict.problems}")
    return verdict.outage


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    cluster = Cluster()
    for loss in LOSSES:
        seconds = sorted(outage(cluster, loss) for _ in range(runs))
        p50, p99 = statistics.median(seconds), seconds[min(runs - 1, round(0.99 * runs))]
        print(f"{loss.what}: {' '.join(f'{second:.2f}' for second in seconds)}", flush=True)
        record(
            Figure(
                f"write outage, {loss.what}: p50 and p99 of {runs} runs",
                f"{p50:.2f} s, {p99:.2f} s",
                f"{loss.p50} s, {loss.p99} s",
                p50 <= loss.p50 and p99 <= loss.p99,
            )
        )


if __name__ == "__main__":
    main()
