"""Simulates for some seconds on all cores: `make simulate SECONDS=60`, or one schedule: `make simulate SEED=7`.

A schedule in which something does not hold is told as a story, without what it does not need; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from tests.simulation.schedule import Played, draw, dumps, play, shrink

MOST_PROBLEMS = 3
"""After which it stops."""


def simulate(seconds: float, first: int, processes: int) -> int:
    """Play one seed after the other, from `first` on; the exit code."""
    deadline, played, simulated = time.monotonic() + seconds, 0, 0.0
    found: list[int] = []
    seeds = itertools.count(first)
    with ProcessPoolExecutor(processes) as pool:
        running: dict[Future[Played], int] = {}
        while True:
            while len(running) < 2 * processes and time.monotonic() < deadline and len(found) < MOST_PROBLEMS:
                seed = next(seeds)
                running[pool.submit(play, draw(seed))] = seed
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                seed, one = running.pop(future), future.result()
                played, simulated = played + 1, simulated + one.seconds
                if one.problems:
                    found.append(seed)
    for seed in sorted(found):
        tell(seed)
    print(
        f"{played} schedules from seed {first} on, {simulated / 3600:.2f} simulated hours: {len(found)} with a problem"
    )
    return 1 if found else 0


def tell(seed: int) -> int:
    """Play one seed, and tell what happened if something does not hold; the exit code."""
    schedule = draw(seed)
    whole = play(schedule)
    if not whole.problems:
        print(f"seed {seed}: all holds, {whole.seconds:.0f} simulated seconds")
        return 0
    shrunk = shrink(schedule)
    needed = play(shrunk)
    print(f"seed {seed}: {'; '.join(whole.problems)}")
    print("with what it needs for a problem:", "; ".join(needed.problems))
    for when, who, what in needed.story:
        print(f"{when:8.3f}  {who:22} {what}")
    print(f"to keep it, with a name, in tests/simulation/regressions.json:\n{dumps(shrunk)}")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--first", type=int, default=0, help="the seed to begin with, where many are played")
    given = parser.parse_args()
    if given.seed is not None:
        return tell(given.seed)
    return simulate(given.seconds, given.first, os.cpu_count() or 1)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # A seed is a schedule: also where the order of a set decides.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {"PYTHONHASHSEED": "0"})
    sys.exit(main())
