"""Makes docs/failover.md and its picture of the runs that are kept: `python -m bench.failover.page`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench import peers
from bench.failover import picture
from bench.failover.losses import LOSSES, PAIR_LOSSES
from bench.failover.names import OURS, TITLES
from bench.failover.runs import KEPT, Outcome, Run, load, outcome
from bench.record import DOCS

HEAD = f"""\
# Write outages, beside other published settings

`python -m bench.failover` adds runs, and rewrites this page and its picture after each run.
Compare the rows with each other, not with another machine's.

![Seconds without a write, for each fault and each of the settings](failover.svg)

## Seconds without a write

The longest time without an acknowledged write at one of the surviving gateways.
Each cell is p50 / p99 of the newest {KEPT} runs; a number in brackets is a smaller number of runs.
"""

COSTS = """
## Lost writes

Each cell is the worst run, with three numbers:

1. acknowledged writes lost, without `WAIT`;
2. acknowledged writes lost, with `WAIT 1`;
3. split brain: writes still acknowledged by an old leader after its successor's first.
"""

PAIR = """
## At our floating pair

One machine in the network writes to the floating pair, while the machine with the pair is power-cut.

| lost | seconds without a write, p50 / p99 | accepted p99 | acknowledged writes lost, without `WAIT` / with `WAIT 1` |
| --- | --- | --- | --- |
"""

METHOD = """
## How it is measured

- **Machines.** Three machines of one environment on the twin run the same Redis, Sentinel and HAProxy for all rows.
  Only the settings differ.
  Ours run as deployed.
  The others are in `bench/peers/`, and no part of Holdfast runs beside them.
- **Load.** Ours were measured alone, the others side by side, each in its own environment on the same twin
  (`--environment`).
  Their time-outs are seconds, and the machine had time to spare.
- **Writers.** Each gateway has two writers, one with `WAIT 1` and one without.
  A writer waits half a second for an answer, and 0.02 s between two writes.
- **Fresh clusters.** The others get a fresh, empty cluster for each run, so no run loses more than its own writes.
- ***Killed***: the process gets SIGKILL, and its machine restarts it according to the settings.
- ***Killed for good***: nobody restarts it.
  A restart can cost more.
  A Redis with snapshots only comes back empty, and its replicas follow.
  Quiq's comes back as a replica of itself, and Sentinel then waits 25 s.
- ***Planned***: `holdfast failover` for ours, `SENTINEL FAILOVER` for the others.
  Quiq's own script closes the gateways first; this is not measured here.
- ***Lost***: an acknowledged write missing from the data set of the final leader.
"""


def write(runs: Sequence[Run], folder: Path = DOCS) -> None:
    (folder / "failover.md").write_text(text(runs), encoding="utf-8")
    (folder / "failover.svg").write_text(picture.svg(runs), encoding="utf-8")


def text(runs: Sequence[Run]) -> str:
    return "".join(
        [
            HEAD,
            _table(runs, _seconds),
            COSTS,
            _table(runs, lambda found: f"{found.lost} / {found.lost_with_wait} / {found.doubled}"),
            PAIR,
            *_pair(runs),
            "\n## What is compared\n\n",
            *(f"- **{peer.title}** (`{peer.name}`): {peer.ships}.\n" for peer in peers.PEERS),
            METHOD,
            _when(runs),
        ]
    )


def _table(runs: Sequence[Run], cell: Callable[[Outcome], str]) -> str:
    lines = [["", *(loss.what for loss in LOSSES)], ["---"] * (1 + len(LOSSES))]
    for name, title in TITLES.items():
        found = [outcome(runs, name, loss.name) for loss in LOSSES]
        lines.append([f"**{title}**" if name == OURS else title, *("–" if one is None else cell(one) for one in found)])
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _pair(runs: Sequence[Run]) -> Iterator[str]:
    for loss in PAIR_LOSSES:
        found = outcome(runs, OURS, loss.name)
        cells = ("–", "–") if found is None else (_seconds(found), f"{found.lost} / {found.lost_with_wait}")
        yield f"| {loss.what} | {cells[0]} | {loss.p99:g} | {cells[1]} |\n"


def _seconds(found: Outcome) -> str:
    more = "" if found.ended else "> "
    count = "" if found.runs == KEPT else f" ({found.runs})"
    return f"{found.p50:.2f} / {more}{found.p99:.2f}{count}"


def _when(runs: Sequence[Run]) -> str:
    if not runs:
        return "\nNothing has been measured yet.\n"
    days = sorted(run.at.partition("T")[0] for run in runs)
    where = ", ".join(sorted({run.on for run in runs}))
    return f"\nMeasured on {where}, {' to '.join(dict.fromkeys((days[0], days[-1])))}.\n"


if __name__ == "__main__":
    write(load())
