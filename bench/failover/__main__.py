"""`python -m bench.failover [--settings NAME …] [--faults NAME …] [--runs N] [--environment ENV]`, run as root.

With the cluster up. In every round each of the settings loses its leader once in each way, and ours the gateway of its
floating pair; so wherever it is interrupted, what it has can be compared. Afterwards, and when it is interrupted, the
machines have our own settings again. Another one may run beside it, with the machines of another environment on the
same twin.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import NoReturn

import redis

from bench import peers
from bench.failover import page, switch
from bench.failover.losses import LOSSES, PAIR_LOSSES
from bench.failover.measure import measure, measure_pair
from bench.failover.names import OURS, TITLES
from bench.failover.runs import KEPT, Outcome, Run, alone, keep, load, outcome
from bench.failover.settings import Ours, Settings, Site, Theirs
from bench.record import Figure, record
from holdfast.drill.checker import Verdict
from holdfast.errors import HoldfastError

GIVE_UP_AFTER = 3
"""Failed runs in a row after which settings are left alone."""


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description="Write outages, ours and others'.")
    names, faults = list(TITLES), [loss.name for loss in (*LOSSES, *PAIR_LOSSES)]
    parser.add_argument("--settings", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--faults", nargs="+", choices=faults, default=faults, metavar="NAME", help=", ".join(faults))
    parser.add_argument("--environment", default="local", metavar="ENV", help="a name or a file (default: local)")
    parser.add_argument("--runs", type=_runs, default=KEPT, metavar="N", help=f"of each (default, and most: {KEPT})")
    return parser.parse_args(given)


def _runs(given: str) -> int:
    if not given.isdecimal() or not 1 <= int(given) <= KEPT:
        raise argparse.ArgumentTypeError(f"{given!r}: accepted is 1 to {KEPT}, because so many are kept")
    return int(given)


def main(given: Sequence[str]) -> int:
    chosen = arguments(given)
    if os.geteuid() != 0:
        raise HoldfastError("the benchmark breaks machines of the twin, and so needs root: sudo")
    site = Site(chosen.environment)
    for node in site.layout.nodes:
        switch.instance(node)
    known: list[Settings] = [Ours(site), *(Theirs(site, peer) for peer in peers.PEERS)]
    # As Ctrl-C does: the machines are given back.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        broken = _measure(
            [settings for settings in known if settings.name in chosen.settings],
            chosen.faults,
            chosen.runs,
        )
    finally:
        with alone():
            page.write(load())
        site.restore()
    if OURS in chosen.settings:
        _record()
    return 1 if broken else 0


def _measure(compared: Sequence[Settings], faults: Collection[str], rounds: int) -> bool:
    """Returns whether one of our own runs failed, or broke what is held."""
    broken, failed = False, Counter[str]()
    for number in range(1, rounds + 1):
        for settings in compared:
            for lost, one in _ways(settings, faults):
                if failed[settings.name] >= GIVE_UP_AFTER:
                    continue
                what = f"round {number}, {settings.name}, {lost}"
                try:
                    run, verdict = one()
                except (HoldfastError, redis.RedisError, OSError) as error:
                    print(f"{what}: no run: {error}", flush=True)
                    failed[settings.name] += 1
                    broken |= settings.name == OURS
                    settings.site.heal()
                    continue
                failed[settings.name] = 0
                with alone():
                    page.write(keep(run))
                print(
                    f"{what}: {_said(run.seconds, run.ended)}, lost {run.lost} + {run.lost_with_wait}, "
                    f"by two leaders {run.doubled}",
                    flush=True,
                )
                if settings.name == OURS and verdict.problems:
                    broken = True
                    print(f"{what}: {verdict.problems}", file=sys.stderr, flush=True)
    return broken


def _ways(settings: Settings, faults: Collection[str]) -> Iterator[tuple[str, Callable[[], tuple[Run, Verdict]]]]:
    """What is lost, and how it is measured once."""
    for loss in LOSSES:
        if loss.name in faults:
            yield loss.what, partial(measure, settings, loss)
    if isinstance(settings, Ours):
        for lost in PAIR_LOSSES:
            if lost.name in faults:
                yield lost.what, partial(measure_pair, settings, lost)


def _said(seconds: float, ended: bool) -> str:
    return f"{seconds:.2f} s" if ended else f"no end within {seconds:.0f} s"


def _record() -> None:
    """Our own figures beside their bounds, in docs/benchmarks.md."""
    runs = load()
    for loss in LOSSES:
        if found := outcome(runs, OURS, loss.name):
            held = found.p50 <= loss.p50 and found.p99 <= loss.p99
            record(_figure(loss.what, found, f"{loss.p50} s, {loss.p99} s", held))
    for lost in PAIR_LOSSES:
        if found := outcome(runs, OURS, lost.name):
            record(_figure(lost.what, found, f"p99 {lost.p99} s", found.p99 <= lost.p99))


def _figure(what: str, found: Outcome, bound: str, held: bool) -> Figure:
    safe = found.ended and not found.lost_with_wait and not found.doubled
    measured = f"{found.p50:.2f} s, {found.p99:.2f} s of {found.runs} runs"
    return Figure(f"write outage, {what}: p50 and p99", measured, bound, safe and held)


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except HoldfastError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted; what was measured is kept, and the machines have our own settings again")
