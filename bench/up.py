"""Times a warm `make up` (images cached) on this machine, and each machine's boot until its Redis is in sync.

Ends whatever runs in the environment `local` first. Bounds, on two cores: 150 s for `make up`, 20 s for a boot.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from bench.record import Figure, record
from holdfast.errors import HoldfastError
from holdfast.ops import cloud, reports
from holdfast.topology import Environment, find_environment, load_environment

REPOSITORY = Path(__file__).resolve().parents[1]
POLL = 0.5
"""Seconds between two looks: the error of a boot's time."""


class Boots:
    """Watches an environment come up: when each instance was first seen, and when its node was first ready."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._launched: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Boots:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(POLL):
            try:
                self._look()
            except HoldfastError:
                continue

    def _look(self) -> None:
        now = time.monotonic()
        try:
            answer = cloud.client(self._environment, "ec2").describe_instances()
        except (BotoCoreError, ClientError) as error:
            raise cloud.explain(self._environment, "looking at instances", error) from None
        for reservation in answer["Reservations"]:
            for instance in reservation["Instances"]:
                self._launched.setdefault(instance["InstanceId"], now)
        for report in reports.fetch(self._environment).values():
            if isinstance(report, reports.Report) and report.ready and report.instance_id in self._launched:
                self.seconds.setdefault(report.node, now - self._launched[report.instance_id])


def main() -> None:
    environment = load_environment(find_environment("local"))
    subprocess.run(["make", "setup"], cwd=REPOSITORY, check=True)
    subprocess.run(["make", "down"], cwd=REPOSITORY, check=True)
    started = time.monotonic()
    with Boots(environment) as boots:
        subprocess.run(["make", "up"], cwd=REPOSITORY, check=True)
    up = time.monotonic() - started
    print(json.dumps({"make up": up, "boots": boots.seconds}, indent=2))
    record(
        Figure("warm `make up`, images cached", f"{up:.0f} s", "150 s", up <= 150),
        Figure(
            "machine boot until its Redis is in sync, baked image, slowest of three",
            f"{max(boots.seconds.values()):.1f} s",
            "20 s",
            max(boots.seconds.values()) <= 20,
        ),
    )


if __name__ == "__main__":
    main()
