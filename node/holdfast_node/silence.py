"""Why the own Redis does not answer, as far as the kernel can tell: it is slow, stopped, or waits for its disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from holdfast_node.log import say

PROC = Path("/proc")
REDIS = "redis-server"

WORTH_SAYING = 0.5
"""Seconds of silence from which on it is noted: long enough to be felt by a client."""

DOES_NOT_ANSWER, IS_BUSY = "does not answer", "is busy with a command"
STATES = {"T": "is stopped by a signal", "t": "is stopped by a debugger", "D": "waits for its disk"}


class Sample(NamedTuple):
    """One look at a process: its state, as `ps` shows it, and the seconds of a core that it has used so far."""

    state: str
    cpu: float


class Silence:
    """`because` is what is wrong with it now, to be said of the own Redis; `seconds`: for how long."""

    def __init__(self, sample: Callable[[], Sample | None] | None = None) -> None:
        self._sample = sample or sample_redis
        self._first: tuple[float, Sample] | None = None
        self.because, self.seconds = DOES_NOT_ANSWER, 0.0

    def look(self, silent_for: float, now: float) -> None:
        """To be called several times a second. `silent_for`: seconds since it last answered, 0 while it does."""
        if silent_for == 0.0:
            if self.seconds >= WORTH_SAYING and self.because != DOES_NOT_ANSWER:
                say(f"its Redis answers again; for {self.seconds:.1f} s it {_past(self.because)}")
            self._first, self.because = None, DOES_NOT_ANSWER
        elif (sample := self._sample()) is not None:
            self._first = self._first or (now, sample)
            self.because = self._judge(sample, now)
        else:
            self._first, self.because = None, DOES_NOT_ANSWER
        self.seconds = silent_for

    def _judge(self, sample: Sample, now: float) -> str:
        assert self._first is not None
        since, first = self._first
        if sample.state in STATES:
            return STATES[sample.state]
        worked = sample.cpu - first.cpu
        # Of a process that waits for clients, or for its turn on a core, nothing else can be said.
        return IS_BUSY if now > since and worked >= (now - since) / 2 else self.because


def sample_redis() -> Sample | None:
    """Of this machine's Redis; None where there is none."""
    for folder in PROC.glob("[0-9]*"):
        try:
            if (folder / "comm").read_text(encoding="utf-8").strip() == REDIS:
                return parse((folder / "stat").read_text(encoding="utf-8"))
        except OSError:
            # It has ended meanwhile.
            continue
    return None


def parse(stat: str) -> Sample:
    """`/proc/PID/stat`, see proc(5)."""
    fields = stat.rpartition(")")[2].split()
    return Sample(fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))


def _past(because: str) -> str:
    return because.replace("is ", "was ", 1).replace("waits ", "waited ", 1)
