"""Times a warm `holdfast review` of a three-zone environment with a change in it. Bound, on two cores: 40 s.

`python -m bench.review [RUNS]`. The environment is applied to the emulated API first, without machines, which takes
some minutes; what is timed is the whole command: synth, a plan of each of its seven stacks, checkov on what differs
from the base. The best of the runs (three) after one to warm up: whatever else the machine does makes it slower.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.record import Figure, record
from holdfast.drill.emulated import ENVIRONMENT, ORDER, driven, emulated, reporting, written
from holdfast.mirror import REPOSITORY

RUNS = 3
BOUND = 40


def seconds(runs: int) -> float:
    """The shortest wall time of a review."""
    with tempfile.TemporaryDirectory() as folder, emulated() as api:
        environment = written(Path(folder), "planned", ENVIRONMENT.format(endpoint=api.url, memory="256MB"))
        terraform = driven(Path(folder), environment.name)
        with reporting(environment):
            terraform.each(terraform.apply, ORDER)
            written(Path(folder), "planned", ENVIRONMENT.format(endpoint=api.url, memory="300MB"))
            times = []
            for _ in range(1 + runs):
                started = time.monotonic()
                command = [str(REPOSITORY / ".venv/bin/holdfast"), "review", environment.name, "--base", "HEAD"]
                subprocess.run(command, cwd=REPOSITORY, env=terraform.variables, check=True, capture_output=True)
                times.append(time.monotonic() - started)
            return min(times[1:])


def main() -> None:
    best = seconds(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
    print(f"review of a three-zone environment {best:.1f} s")
    record(Figure("warm `holdfast review` of a three-zone environment", f"{best:.1f} s", f"{BOUND} s", best <= BOUND))


if __name__ == "__main__":
    main()
