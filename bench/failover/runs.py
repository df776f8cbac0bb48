"""What every run measured, kept in docs/failover.json, one line each, and what several runs together say."""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.record import DOCS
from holdfast.errors import HoldfastError

FILE = DOCS / "failover.json"

KEPT = 20
"""Runs of the same fault with the same settings: the newest count."""


@dataclass(frozen=True)
class Run:
    settings: str
    fault: str
    seconds: float
    """The longest time in which one of the surviving gateways acknowledged no write."""
    ended: bool
    """Whether all of them wrote again. Where not, `seconds` is how long somebody waited for it."""
    acknowledged: int
    """Writes in the run."""
    lost: int
    """Of those without WAIT: acknowledged, and not in the data set of who leads in the end."""
    lost_with_wait: int
    """Of those that a replica had, by WAIT's word."""
    doubled: int
    """Acknowledged by an old leader after its successor's first acknowledgement."""
    on: str
    at: str
    """ISO date and time."""


@dataclass(frozen=True)
class Outcome:
    """All kept runs of one fault with one settings. Counts are those of the worst run."""

    runs: int
    p50: float
    p99: float
    ended: bool
    """Whether every run's outage ended while somebody waited."""
    lost: int
    lost_with_wait: int
    doubled: int


def load(file: Path = FILE) -> list[Run]:
    """Every kept run, the oldest first.

    Raises:
        HoldfastError: the file is no such list.
    """
    if not file.exists():
        return []
    try:
        return [Run(**entry) for entry in json.loads(file.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise HoldfastError(f"{file}: no list of runs ({error}); take the file from git, or delete it") from None


@contextmanager
def alone(file: Path = FILE) -> Iterator[None]:
    """Nobody else adds runs, or writes pages of them, meanwhile."""
    # Of the folder, because the file is another one after every run.
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def keep(run: Run, file: Path = FILE) -> list[Run]:
    """Add a run, whole or not at all; returns all that are kept."""
    same = [old for old in load(file) if (old.settings, old.fault) == (run.settings, run.fault)]
    too_old = same[: max(0, len(same) + 1 - KEPT)]
    kept = [*(old for old in load(file) if old not in too_old), run]
    unfinished = file.with_suffix(".new")
    lines = ",\n".join(json.dumps(asdict(one)) for one in kept)
    unfinished.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    unfinished.replace(file)
    return kept


def outcome(runs: Iterable[Run], settings: str, fault: str) -> Outcome | None:
    """What the runs of one fault with one settings say; None where there is none."""
    of = [run for run in runs if (run.settings, run.fault) == (settings, fault)]
    if not of:
        return None
    seconds = sorted(run.seconds for run in of)
    return Outcome(
        runs=len(of),
        p50=quantile(seconds, 0.5),
        p99=quantile(seconds, 0.99),
        ended=all(run.ended for run in of),
        lost=max(run.lost for run in of),
        lost_with_wait=max(run.lost_with_wait for run in of),
        doubled=max(run.doubled for run in of),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that so many of all are not above (nearest rank): p99 of twenty is the worst."""
    return ordered[math.ceil(share * len(ordered)) - 1]
