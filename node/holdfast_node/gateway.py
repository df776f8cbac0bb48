"""This node's HAProxy: which of its servers may be used, and its runtime socket, through which it is told at once.

Every server starts in maintenance, and none gets a session until this program says `ready`. HAProxy's own checks ask
this program again (see lease.py): they close what must not be used when nobody says so any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast_node.decision import Role
from holdfast_node.link import State
from holdfast_node.log import say
from holdfast_node.servers import Sight

SOCKET = Path("/run/holdfast-haproxy/admin.sock")
RETRY = 0.1
"""Seconds until the next attempt to connect, while HAProxy restarts."""
SILENT_AFTER = 1.0
"""Seconds without one of its checks, of which it makes more than two a second for each server that is open."""

BUSY_FOR = 30.0
"""Seconds for which a replica may be busy until its sessions end, and it counts as absent. Its leader takes it for one
that follows as long (see agent.py), and keeps its link for longer (`repl-timeout`)."""

CLOSES_BEFORE = 0.05
"""Seconds before the Sentinels take a silent leader for lost, at which its sessions end. This program could stall right
then: HAProxy notices within 0.32 s and closes by itself, before they have promoted another one and the old one answers
again. They need some 0.3 s for it."""

OUT_OF_REACH_FOR = 2.0
"""Seconds for which the leader's machine may be out of this one's reach, at most, while a majority still names it,
until its sessions end: clients find it through another gateway."""

AGAIN = 5.0
"""Seconds after which HAProxy is told everything once more: while it was stopped, the last words of a program that has
ended since may have waited for it, and were read after those of this one."""

PROMPT = b"> "

Server = tuple[str, str]
"""Backend (`leader` or `replicas`) and the server's name in it."""


@dataclass(frozen=True)
class Open:
    """What may be used, by the word of a majority for `leader`."""

    leader: str | None = None
    ready: frozenset[Server] = frozenset()
    draining: frozenset[Server] = frozenset()
    """Whose sessions stay, and who gets no new ones."""

    def __contains__(self, server: object) -> bool:
        return server in self.ready or server in self.draining

    @property
    def has_leader(self) -> bool:
        """Whether applications can write."""
        return any(backend == "leader" for backend, _ in self.ready)

    def state(self, server: Server) -> str:
        """HAProxy's word for it."""
        return "ready" if server in self.ready else "drain" if server in self.draining else "maint"


def usable(
    leader: str | None,
    data: Mapping[str, str],
    seen: Callable[[str], Sight],
    before: Open,
    *,
    keep: float,
    contested: bool,
) -> Open:
    """What may be used, if `leader` is the address proven to lead. `data`: node name → address.

    The leader, once it says itself that it leads; replicas, once they follow it in sync. Then they are kept while the
    same leader is proven, also when they are too busy to answer (the leader for `keep` seconds): to end their sessions
    would not make them faster. A busy replica gets new sessions only where all are busy: the leader's are for a time
    without replicas. `contested`: whether a Sentinel stands for election to replace the leader. It is not opened then,
    nor kept while it is silent: it would answer again, and take writes, just when another one is promoted.
    """
    if leader is None:
        return Open()
    ready, busy = set[Server](), set[Server]()
    for name, address in data.items():
        sight, at_leader, at_replicas = seen(address), ("leader", name), ("replicas", name)
        if sight.details is not None:
            leads = address == leader and sight.details.server.role is Role.LEADER
            if leads and (at_leader in before or not contested):
                ready.add(at_leader)
            if sight.details.may_be_read(leader):
                ready.add(at_replicas)
        elif before.leader != leader:
            continue
        elif at_leader in before and not contested and sight.silent_for < keep and (sight.busy or _is_late(sight)):
            ready.add(at_leader)
        elif at_replicas in before and sight.busy and sight.silent_for < BUSY_FOR:
            busy.add(at_replicas)
    if not any(backend == "replicas" for backend, _ in ready):
        return Open(leader, frozenset(ready | busy))
    return Open(leader, frozenset(ready), frozenset(busy))


def _is_late(sight: Sight) -> bool:
    """Whether its machine is out of reach for a moment; where nothing listens any more, the process is gone."""
    return sight.state is State.SILENT and sight.silent_for < OUT_OF_REACH_FOR


class Haproxy(asyncio.Protocol):
    """The connection to the runtime socket, made anew whenever HAProxy was."""

    def __init__(self, data: Mapping[str, str]) -> None:
        self._servers = [(backend, name) for backend in ("leader", "replicas") for name in data]
        self._wanted = Open()
        self._told: Open | None = None
        """What HAProxy was told to use; None while nothing is known of it."""
        self._told_at = 0.0
        """When it was last told everything."""
        self._transport: asyncio.WriteTransport | None = None
        self._answer = b""
        self._heard = 0.0
        self._loop = asyncio.get_running_loop()
        self._connecting = self._loop.create_task(self._connect(0))

    def use(self, wanted: Open) -> None:
        """Have exactly these used. The sessions of all others end."""
        if not self._wanted.ready:
            self.hear()
        self._wanted = wanted
        self._tell()

    def hear(self) -> None:
        """Note that it has just made one of its checks."""
        self._heard = self._loop.time()

    @property
    def works(self) -> bool:
        """Whether it runs, and is not frozen as far as anybody can tell: without an open server it checks nothing."""
        silent = bool(self._wanted.ready) and self._loop.time() - self._heard > SILENT_AFTER
        return self._transport is not None and not silent

    def _tell(self) -> None:
        told, now = self._told, self._loop.time()
        if now - self._told_at >= AGAIN:
            told = None
        if self._transport is None or told == self._wanted:
            return
        changed = [one for one in self._servers if told is None or told.state(one) != self._wanted.state(one)]
        # First what closes: no moment has two leaders.
        changed.sort(key=lambda one: one in self._wanted)
        if changed:
            self._transport.write(";".join(_commands(changed, self._wanted)).encode() + b"\n")
        if told is None:
            self._told_at = now
        self._told = self._wanted

    async def _connect(self, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            await self._loop.create_unix_connection(lambda: self, str(SOCKET))
        except OSError:
            self._connecting = self._loop.create_task(self._connect(RETRY))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport, self._told, self._answer = transport, None, b""
        transport.write(b"prompt\n")
        self._tell()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self._answer.endswith(PROMPT):
            complaint = self._answer.replace(PROMPT, b"").decode(errors="replace").strip()
            if complaint:
                say(f"HAProxy: {complaint}")
            self._answer = b""

    def connection_lost(self, _: Exception | None) -> None:
        self._transport, self._told = None, None
        self._connecting = self._loop.create_task(self._connect(RETRY))


def _commands(changed: list[Server], wanted: Open) -> Iterator[str]:
    for backend, name in changed:
        yield f"set server {backend}/{name} state {wanted.state((backend, name))}"
        if (backend, name) not in wanted:
            yield f"shutdown sessions server {backend}/{name}"
