"""Applications that write through the gateway beside them, and remember what was acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation import redis_model
from tests.simulation.haproxy_model import ENDPOINT
from tests.simulation.world import End, Process

EVERY, DIRECTLY_EVERY, SELDOM = 0.02, 0.05, 0.5
"""Seconds between an answer and the next write, and until the next attempt to connect: through a gateway, without one,
and where time shall pass."""
PATIENCE = 0.5
"""Seconds for an answer."""
COPIES_WITHIN = 0.3
"""Seconds for another node to have it too (WAIT)."""


@dataclass
class Acknowledged:
    number: int
    sent: float
    at: float
    term: int
    """Of the leader that acknowledged it."""
    copies: int = 0
    """Replicas that had it when it was asked for."""


class Writer:
    """Writes one number after the other, and asks for a copy of each."""

    def __init__(self) -> None:
        self.acknowledged: list[Acknowledged] = []
        self.every = EVERY
        self.process: Process
        self._end: End | None = None
        self._asked: tuple[int, float] | None = None
        """The number that is not answered yet, and when it was sent."""

    def main(self) -> None:
        self._end = self._asked = None
        self._connect()

    def _connect(self) -> None:
        self.process.connect(self.process.host.address, ENDPOINT, self._made, self._again)

    def _made(self, end: End) -> None:
        self._end = end
        end.received, end.ended = self._received, self._again
        self._write()

    def _again(self) -> None:
        self._end = self._asked = None
        self.process.later(self.every, self._connect)

    def _write(self) -> None:
        end, world = self._end, self.process.world
        if end is None or not end.open:
            return
        world.writes += 1
        asked = self._asked = world.writes, world.now
        end.send(("write", world.writes))

        def overdue() -> None:
            if self._asked == asked:
                end.close()
                self._again()

        self.process.later(PATIENCE, overdue)

    def _received(self, message: tuple[Any, ...]) -> None:
        kind, number, result, *term = message
        if self._asked is None or number != self._asked[0] or self._end is None:
            return
        if kind == "written" and isinstance(result, int):
            self.acknowledged.append(Acknowledged(number, self._asked[1], self.process.world.now, term[0]))
            self._end.send(("wait", number, 1, result, COPIES_WITHIN))
            return
        if kind == "copies":
            self.acknowledged[-1].copies = result
        self._asked = None
        self.process.later(self.every, self._write)


class Direct(Writer):
    """Goes to the leader that a Sentinel names, without a gateway."""

    def __init__(self, named: Callable[[], str | None]) -> None:
        super().__init__()
        self._named, self.every = named, DIRECTLY_EVERY

    def _connect(self) -> None:
        leader = self._named()
        if leader is None:
            self._again()
        else:
            self.process.connect(leader, redis_model.PORT, self._made, self._again)
