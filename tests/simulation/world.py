"""A world without real time and without sockets: machines, their processes, and a network that can be cut.

Everything happens in the order of one queue, and by one random generator: a seed is a schedule.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

LATENCY = (0.0001, 0.001)
"""Seconds for a segment, at least and at most."""

RETRANSMISSION, RETRANSMISSION_AT_MOST = 0.2, 2.0
"""Seconds until a lost segment is sent again, twice as long after each: as Linux does. What is behind it waits."""

RESTART = 0.2
"""Seconds after which systemd starts a service again."""

SYN_AGAIN = 1.0
"""Seconds until a lost attempt to connect is repeated."""


class World:
    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self.hosts: dict[str, Host] = {}
        """By address."""
        self.errors: list[BaseException] = []
        """What the node program did not expect."""
        self.story: list[tuple[float, str, str]] = []
        """When, who, what."""
        self.terms = self.writes = 0
        """How many leaderships, and how many writes, there have been."""
        self.current: Process | None = None
        """Whose code is running."""
        self.threads: list[Any] = []
        self.thread: Any = None
        """Of the code that waits (see waiting.py): all, and the one that is running."""
        self.cut: set[frozenset[str]] = set()
        """Pairs of addresses that do not reach each other."""
        self._traps: list[tuple[str, Callable[[str], None]]] = []
        self._queue: list[tuple[float, int, Timer]] = []
        self._number = 0

    def tell(self, who: str, what: str) -> None:
        self.story.append((self.now, who, what))
        for trap in self._traps:
            beginning, do = trap
            if what.startswith(beginning):
                self._traps.remove(trap)
                self.later(0, None, partial(do, who))
                return

    def upon(self, beginning: str, do: Callable[[str], None]) -> None:
        """Do it, once, right after somebody has told what begins so; `do` gets who."""
        self._traps.append((beginning, do))

    def forget_traps(self) -> None:
        self._traps.clear()

    def later(self, delay: float, process: Process | None, do: Callable[[], None]) -> None:
        """Do it after so many seconds, if that process still runs then; `process` None: in any case."""
        self._number += 1
        timer = Timer(process, process.generation if process else 0, do)
        heapq.heappush(self._queue, (self.now + delay, self._number, timer))

    def run(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            when, _, timer = heapq.heappop(self._queue)
            self.now = max(self.now, when)
            timer.fire()
            if self.errors:
                raise self.errors[0]
        self.now = until

    def reaches(self, one: str, other: str) -> bool:
        if one == other:
            return self.hosts[one].up
        return self.hosts[one].up and self.hosts[other].up and frozenset((one, other)) not in self.cut


@dataclass
class Timer:
    process: Process | None
    generation: int
    do: Callable[[], None]

    def fire(self) -> None:
        if self.process is None:
            self.do()
        elif self.process.running and self.process.generation == self.generation:
            self.process.execute(self.do)


@dataclass
class Host:
    name: str
    address: str
    world: World
    up: bool = True
    boots: int = 0
    processes: dict[str, Process] = field(default_factory=dict)
    listeners: dict[int, tuple[Process, Callable[[End], None]]] = field(default_factory=dict)
    hearers: dict[int, tuple[Process, Callable[[Any], None]]] = field(default_factory=dict)
    """The same of datagrams."""

    def fall_dark(self) -> None:
        """Its power is cut: nobody gets a goodbye."""
        self.up = False
        for process in self.processes.values():
            process.end(goodbye=False)

    def boot(self) -> None:
        self.up, self.boots = True, self.boots + 1
        for process in self.processes.values():
            process.start()


class Process:
    """A process of a machine. `main` is called at each start, and makes everything anew."""

    def __init__(self, name: str, host: Host, main: Callable[[], None]) -> None:
        self.name, self.host, self.world, self._main = name, host, host.world, main
        self.running, self.frozen, self.generation = False, False, 0
        self.connections: list[End] = []
        self._waiting: deque[Callable[[], None]] = deque()
        host.processes[name] = self

    def start(self) -> None:
        if self.running or not self.host.up:
            return
        self.running, self.frozen, self.generation = True, False, self.generation + 1
        self._waiting.clear()
        self.execute(self._main)

    def end(self, *, goodbye: bool = True) -> None:
        if not self.running:
            return
        self.running = False
        self.host.listeners = {port: one for port, one in self.host.listeners.items() if one[0] is not self}
        self.host.hearers = {port: one for port, one in self.host.hearers.items() if one[0] is not self}
        for end in list(self.connections):
            end.die(goodbye=goodbye)
        self.connections.clear()

    def restart(self, after: float = RESTART) -> None:
        """It ends, and systemd starts it again."""
        self.end()
        self.world.later(after, None, self.start)

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        """What arrived meanwhile is read connection by connection, in whatever order: as a poll returns them."""
        if not self.running:
            return
        self.frozen = False
        waiting, self._waiting = self._waiting, deque()
        by_connection: dict[int, list[Callable[[], None]]] = {}
        for do in waiting:
            by_connection.setdefault(id(getattr(do, "connection", do)), []).append(do)
        order = list(by_connection.values())
        self.world.random.shuffle(order)
        for calls in order:
            for do in calls:
                if self.running:
                    self.execute(do)

    def execute(self, do: Callable[[], None]) -> None:
        if self.frozen:
            self._waiting.append(do)
            return
        before, self.world.current = self.world.current, self
        try:
            do()
        finally:
            self.world.current = before

    def later(self, delay: float, do: Callable[[], None]) -> None:
        self.world.later(delay, self, do)

    def every(self, seconds: float, do: Callable[[], None]) -> None:
        def again() -> None:
            do()
            self.later(seconds, again)

        self.later(seconds, again)

    def listen(self, port: int, accept: Callable[[End], None]) -> None:
        self.host.listeners[port] = (self, accept)

    def hear(self, port: int, heard: Callable[[Any], None]) -> None:
        self.host.hearers[port] = (self, heard)

    def tell(self, address: str, port: int, what: Any) -> None:
        """A datagram: it arrives, or it does not, and nobody is told."""
        world = self.world

        def arrive() -> None:
            if port in world.hosts[address].hearers:
                process, heard = world.hosts[address].hearers[port]
                process.later(0, partial(heard, what))

        if world.reaches(self.host.address, address):
            world.later(_latency(world), None, arrive)

    def connect(
        self, address: str, port: int, made: Callable[[End], None], refused: Callable[[], None] = lambda: None
    ) -> None:
        """`made` gets this side's end. Nothing at all happens while that machine cannot be reached."""
        world, generation = self.world, self.generation

        def attempt() -> None:
            if not self.running or self.generation != generation:
                return
            if not world.reaches(self.host.address, address):
                world.later(SYN_AGAIN, self, attempt)
                return
            listener = world.hosts[address].listeners.get(port)
            if listener is None:
                self.later(_latency(world), refused)
                return
            process, accept = listener
            ours, theirs = End(self), End(process)
            ours.other, theirs.other = theirs, ours
            self.connections.append(ours)
            process.connections.append(theirs)
            # Before anything that either side says arrives.
            process.later(0, Of(theirs, lambda: accept(theirs)))
            self.later(0, Of(ours, lambda: made(ours)))

        world.later(_latency(world), self, attempt)


class Of:
    """Something to do of one connection: its order among others of that connection is kept."""

    def __init__(self, connection: End, do: Callable[[], None]) -> None:
        self.connection, self._do = connection, do

    def __call__(self) -> None:
        if self.connection.open:
            self._do()


class End:
    """One side of a connection. What it sends arrives in order, late, or not at all once one side is gone."""

    other: End

    def __init__(self, process: Process) -> None:
        self.process, self.open = process, True
        self.received: Callable[[Any], None] = lambda _: None
        self.ended: Callable[[], None] = lambda: None
        self._sending: deque[Any] = deque()
        self._under_way = False

    def send(self, what: Any) -> None:
        if self.open:
            self._sending.append(what)
            if not self._under_way:
                self._attempt(RETRANSMISSION)

    def close(self) -> None:
        """In order, after what was sent before."""
        if self.open:
            self.send(_CLOSED)
            self._forget()

    def die(self, *, goodbye: bool) -> None:
        """Its process is gone. The other side hears of it when it can be reached, at the latest when it sends."""
        if self.open:
            self._sending.clear()
            self._forget()
            if goodbye:
                self._sending.append(_CLOSED)
                if not self._under_way:
                    self._attempt(RETRANSMISSION)

    def _forget(self) -> None:
        self.open = False
        if self in self.process.connections:
            self.process.connections.remove(self)

    def _attempt(self, again: float) -> None:
        self._under_way = True
        world, here, there = self.process.world, self.process.host.address, self.other.process.host.address
        if world.reaches(here, there):
            world.later(_latency(world), None, self._arrive)
        else:
            following = min(2 * again, RETRANSMISSION_AT_MOST)
            world.later(again, None, lambda: self._attempt(following))

    def _arrive(self) -> None:
        self._under_way = False
        if not self._sending:
            return
        what, other = self._sending.popleft(), self.other
        if other.open:
            if what is _CLOSED:
                other.process.world.later(0, other.process, Of(other, other._over))
            else:
                other.process.world.later(0, other.process, Of(other, lambda: other.received(what)))
        elif self.open:
            # Nobody has that connection any more: a reset comes back.
            self._sending.clear()
            self.process.world.later(_latency(self.process.world), self.process, Of(self, self._over))
            return
        if self._sending:
            self._attempt(RETRANSMISSION)

    def _over(self) -> None:
        self._forget()
        self.ended()


_CLOSED = object()


def _latency(world: World) -> float:
    return world.random.uniform(*LATENCY)
