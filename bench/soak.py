"""`make soak`: every fault, many times over, on an environment that is up; goes on where it stopped.

`python -m bench.soak [--environment ENV] [--runs N] [--faults NAME …] [--minutes M]`, as root, with a `compact`
environment of three nodes up (`make up`). A run counts for the node program, layout and image that it was made with.
docs/soak.md has what is known of each. Interrupted, it loses the run that it was in.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from bench.record import DOCS
from holdfast.drill.cluster import Cluster
from holdfast.drill.faults import SOAKED, Row, endure
from holdfast.drill.waiting import NotInTime
from holdfast.errors import HoldfastError
from holdfast.rendering.program import program
from holdfast.topology import Cluster as Topology
from holdfast.topology import Environment, Role, find_environment

FILE = DOCS / "soak.json"
RUNS = 20


@dataclass(frozen=True)
class Run:
    fault: str
    program: str
    """The first digits of the node program's SHA-256."""
    layout: str
    """With the image of its data nodes."""
    outage: float | None
    """Seconds without an acknowledged write at a surviving gateway; None where it never went on."""
    problems: tuple[str, ...]
    on: str
    at: str


def load(file: Path = FILE) -> list[Run]:
    """Every run that was kept, the oldest first.

    Raises:
        HoldfastError: the file is no such list.
    """
    if not file.exists():
        return []
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        return [Run(**entry | {"problems": tuple(entry["problems"])}) for entry in entries]
    except (ValueError, TypeError, KeyError) as error:
        raise HoldfastError(f"{file}: no list of runs ({error}); take the file from git, or delete it") from None


def keep(run: Run, file: Path = FILE) -> list[Run]:
    """Add a run, whole or not at all; returns all of them. Runs of an older program go as those of a newer one come."""
    same = (run.fault, run.layout)
    kept = [old for old in load(file) if (old.fault, old.layout) != same or old.program == run.program]
    kept.append(run)
    unfinished = file.with_suffix(".new")
    lines = ",\n".join(json.dumps(asdict(one)) for one in kept)
    unfinished.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    unfinished.replace(file)
    file.with_suffix(".md").write_text(page(kept), encoding="utf-8")
    return kept


def missing(kept: Iterable[Run], rows: Sequence[Row], made_with: tuple[str, str], runs: int) -> list[Row]:
    """What is to be run still, in rounds: wherever it stops, every fault has had as many runs as the others."""
    done = [run.fault for run in kept if (run.program, run.layout) == made_with]
    return [row for number in range(runs) for row in rows if done.count(row.name) <= number]


def page(kept: Collection[Run]) -> str:
    lines = [
        "# Soak runs",
        "",
        "Made by `make soak`, which adds runs and rewrites this page.",
        "Outages are seconds without an acknowledged write at a surviving gateway.",
        "",
        "| fault | layout, image | runs | p50 | maximum | failed | node program |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key in dict.fromkeys((run.fault, run.layout, run.program) for run in kept):
        of_it = [run for run in kept if (run.fault, run.layout, run.program) == key]
        outages = sorted(run.outage for run in of_it if run.outage is not None)
        p50, most = (f"{outages[len(outages) // 2]:.2f}", f"{outages[-1]:.2f}") if outages else ("–", "–")
        failed = sum(bool(run.problems) for run in of_it)
        lines.append(f"| {key[0]} | {key[1]} | {len(of_it)} | {p50} | {most} | {failed} | `{key[2]}` |")
    failures = [f"- {run.at}, {run.fault}: {problem}" for run in kept for problem in run.problems]
    return "\n".join([*lines, *(["", "## What failed", "", *failures] if failures else [])]) + "\n"


def trial(row: Row, cluster: Cluster, made_with: tuple[str, str]) -> Run:
    outage: float | None = None
    problems: tuple[str, ...] = ()
    try:
        cluster.wait_healthy()
        found = endure(row, cluster)
        outage, problems = round(found.verdict.outage, 3), found.problems
    except NotInTime as error:
        problems = (str(error).splitlines()[0],)
    finally:
        cluster.heal()
    on = f"{os.cpu_count()} cores"
    return Run(row.name, *made_with, outage, problems, on, datetime.now().isoformat(timespec="seconds"))


def usable(environment: Environment) -> Topology:
    """Its nodes.

    Raises:
        HoldfastError: the faults are not meant for it.
    """
    nodes = Topology.of(environment).nodes
    if environment.layout.kind != "compact" or len(nodes) != 3:
        raise HoldfastError(
            f"{environment.name} is {environment.layout.kind} of {len(nodes)} nodes; accepted: compact of 3 nodes"
        )
    return Topology.of(environment)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Every fault, many times over.")
    names = [row.name for row in SOAKED]
    parser.add_argument("--environment", default="local", metavar="ENV", help="name or file (default: local)")
    parser.add_argument("--faults", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--runs", type=int, default=RUNS, help="of each fault, with those that are kept already")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run later than that")
    return parser.parse_args(given)


def main(given: Sequence[str]) -> int:
    chosen = arguments(given)
    file = find_environment(chosen.environment)
    cluster = Cluster(file.stem, file)
    data = usable(cluster.read()).having(Role.DATA)
    made_with = (program().sha256[:12], f"compact, {data[0].machine.image}")
    rows = [row for row in SOAKED if row.name in chosen.faults]
    ends, failed = time.monotonic() + 60 * chosen.minutes, 0
    for row in missing(load(), rows, made_with, chosen.runs):
        if time.monotonic() > ends:
            break
        run = trial(row, cluster, made_with)
        keep(run)
        failed += bool(run.problems)
        print(f"{run.at}  {run.fault:40} {run.outage}  {'; '.join(run.problems)}".rstrip(), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except HoldfastError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        sys.exit(130)
