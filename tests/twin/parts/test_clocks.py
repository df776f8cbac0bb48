"""The time of day of a process that runs can be stepped, and nothing else of it changes. Needs root, no machines."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from holdfast.twin import clocks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="another process's memory needs root")

CLOCK = """
import sys, threading, time
def read_without_pause():
    while True:
        time.time()
threading.Thread(target=read_without_pause, daemon=True).start()
for _ in sys.stdin:
    print(time.time(), time.clock_gettime(5), time.monotonic(), flush=True)
"""


class Clock:
    """A process with two threads, one of which reads the time all the while."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLOCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        # Its first answer comes late: it has to start.
        self.off()

    def off(self) -> list[int]:
        """By how many seconds it is off: time of day, the coarse one (clock 5), monotonic."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(file=self.process.stdin, flush=True)
        right = (time.time(), time.time(), time.monotonic())
        return [round(float(a) - b) for a, b in zip(self.process.stdout.readline().split(), right, strict=True)]


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    yield clock
    clock.process.kill()
    clock.process.wait()


def test_a_clock_is_stepped_again_and_put_right(clock: Clock) -> None:
    assert clock.off() == [0, 0, 0]
    clocks.step(clock.process.pid, 60)
    assert clock.off() == [60, 60, 0]
    clocks.step(clock.process.pid, -3600)
    assert clock.off() == [-3600, -3600, 0]
    clocks.step(clock.process.pid, 0)
    assert clock.off() == [0, 0, 0]


def test_the_clocks_of_others_stay_right(clock: Clock) -> None:
    clocks.step(clock.process.pid, 60)
    another = Clock()
    assert another.off() == [0, 0, 0]
    another.process.kill()
    another.process.wait()


def test_nobody_has_no_clock() -> None:
    with pytest.raises(ProcessLookupError):
        clocks.step(2**22 + 1, 60)
