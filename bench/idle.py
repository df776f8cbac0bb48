"""Measures what an idle node spends on looking after itself: processor time and memory, over a minute, on every node.

`python -m bench.idle [SECONDS]`, as root, with the cluster up (`make up`) and nobody using it. Bounds, on two cores: 2
percent of a core for Sentinel, HAProxy, keepalived and the node program together; 40 MB for the node program.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.failover import switch
from bench.record import Figure, record
from holdfast.errors import HoldfastError
from holdfast.topology import Cluster, find_environment, load_environment
from holdfast.twin import cgroups

SECONDS = 60

PARTS = {
    "holdfast-sentinel.service": "Sentinel",
    "holdfast-haproxy.service": "HAProxy",
    "holdfast-keepalived.service": "keepalived",
    "holdfast-node.service": "node program",
}
"""Unit → what people call it. Whatever runs of these counts; Redis does not, for which all of them are there."""

PROGRAM = "holdfast-node.service"

CPU_BOUND, MEMORY_BOUND = 2.0, 40.0
"""Percent of a core, and MB."""


@dataclass(frozen=True)
class Spent:
    """One node's. `percent`: part → percent of a core; `megabytes`: the most that the node program held."""

    node: str
    percent: dict[str, float]
    megabytes: float

    @property
    def total(self) -> float:
        return sum(self.percent.values())

    def __str__(self) -> str:
        parts = ", ".join(f"{part} {percent:.2f}" for part, percent in self.percent.items())
        return f"{self.node}: {self.total:.2f} % of a core ({parts}), node program {self.megabytes:.1f} MB"


def main() -> None:
    seconds = _seconds(sys.argv[1:])
    services = {node: cgroups.group(instance) / "payload" / "system.slice" for node, instance in _machines().items()}
    before = {node: _usage(folder) for node, folder in services.items()}
    held = dict.fromkeys(services, 0.0)
    started = time.monotonic()
    # The memory is looked at all the time: what is held for a moment is held.
    while time.monotonic() - started < seconds:
        for node, folder in services.items():
            held[node] = max(held[node], _megabytes(folder / PROGRAM))
        time.sleep(1)
    after = {node: _usage(folder) for node, folder in services.items()}
    passed = time.monotonic() - started
    spent = [Spent(node, percentages(before[node], after[node], passed), held[node]) for node in services]
    for one in spent:
        print(one, flush=True)
    busiest, largest = max(spent, key=lambda one: one.total), max(one.megabytes for one in spent)
    parts = ", ".join(f"{part} {percent:.2f}" for part, percent in busiest.percent.items())
    record(
        Figure(
            "idle node: Sentinel, checks, keepalived and node program together, busiest of three",
            f"{busiest.total:.2f} % of a core ({parts}) over {seconds} s",
            f"{CPU_BOUND:g} %",
            busiest.total <= CPU_BOUND,
        ),
        Figure(
            "memory of the node program, resident, largest of three",
            f"{largest:.1f} MB",
            f"{MEMORY_BOUND:g} MB",
            largest <= MEMORY_BOUND,
        ),
    )


def percentages(before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> dict[str, float]:
    """Part → percent of a core, from the microseconds of its unit before and after.

    Raises:
        HoldfastError: one of them restarted meanwhile, or was started or stopped: then the node was not idle.
    """
    changed = [
        unit for unit in PARTS if (unit in before) != (unit in after) or after.get(unit, 0) < before.get(unit, 0)
    ]
    if changed:
        raise HoldfastError(f"{', '.join(changed)}: started, stopped or restarted meanwhile; measure an idle cluster")
    return {PARTS[unit]: (after[unit] - before[unit]) / seconds / 1e4 for unit in after}


def _seconds(given: list[str]) -> int:
    if len(given) > 1 or not all(one.isdecimal() and int(one) > 0 for one in given):
        raise HoldfastError(f"{' '.join(given)}: accepted is one whole number of seconds (default: {SECONDS})")
    return int(given[0]) if given else SECONDS


def _machines() -> dict[str, str]:
    """Node → instance id of the running environment `local`."""
    if os.geteuid() != 0:
        raise HoldfastError("the machines' control groups are root's: sudo")
    nodes = Cluster.of(load_environment(find_environment("local"))).nodes
    return {node.name: switch.instance(node) for node in nodes}


def _usage(services: Path) -> dict[str, int]:
    """Unit → microseconds that it and all that it ever started have run."""
    found = {}
    for unit in PARTS:
        file = services / unit / "cpu.stat"
        if file.exists():
            stated = dict(line.split() for line in file.read_text(encoding="ascii").splitlines())
            found[unit] = int(stated["usage_usec"])
    return found


def _megabytes(group: Path) -> float:
    """What the processes of a group hold of the machine's memory: shared pages count in full."""
    total = 0
    for pid in cgroups.processes(group):
        try:
            lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return total * 1024 / 1e6


if __name__ == "__main__":
    try:
        main()
    except HoldfastError as error:
        sys.exit(str(error))
