"""Times the synth of one three-zone environment, and of fifty. Bounds, on two cores: 1.5 s and 15 s.

Both are the whole command, interpreter start included, as `cdktf` runs it; the best of three runs after one to warm up.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.record import Figure, record
from holdfast.topology import load_environment, pins

REPOSITORY = Path(__file__).resolve().parents[1]
RUNS = 3

ENVIRONMENT = """\
name: {name}
region: eu-central-1
zones: [a, b, c]
network: {{cidr: 10.{number}.0.0/16}}
machines:
  node: {{type: m6i.large, image: debian-12}}
redis: {{memory: 1GB}}
tls: off
"""


def seconds(environments: int) -> float:
    """The shortest wall time of a synth of so many environments."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(environments):
            _write(Path(folder), number)
        variables = os.environ | {"HOLDFAST_ENVIRONMENTS_DIR": folder, "CDKTF_OUTDIR": f"{folder}/out"}
        variables.pop("HOLDFAST_ENVIRONMENTS", None)
        times = []
        for _ in range(1 + RUNS):
            started = time.monotonic()
            subprocess.run(
                [sys.executable, "main.py"], cwd=REPOSITORY, env=variables, check=True, stderr=subprocess.DEVNULL
            )
            times.append(time.monotonic() - started)
        return min(times[1:])


def _write(folder: Path, number: int) -> None:
    file = folder / f"bench-{number:02}.yaml"
    file.write_text(ENVIRONMENT.format(name=file.stem, number=number))
    environment = load_environment(file)
    key = pins.key(environment, environment.machines["node"])
    pins.write(environment, {key: pins.Pin("ami-0123456789abcdef0", "none", "made up for a benchmark")}, folder)


def main() -> None:
    one, fifty = seconds(1), seconds(50)
    print(f"synth of one environment {one:.2f} s, of fifty {fifty:.1f} s")
    record(
        Figure("synth of one three-zone environment", f"{one:.2f} s", "1.5 s", one <= 1.5),
        Figure("synth of 50 environments", f"{fifty:.1f} s", "15 s", fifty <= 15),
    )


if __name__ == "__main__":
    main()
