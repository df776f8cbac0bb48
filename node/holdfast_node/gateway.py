"""This node's HAProxy: which of its servers may be used, and its runtime socket, through which it is told at once.

Every server starts in maintenance, and none gets a session until this program says `ready`. HAProxy's own checks ask
this program again (see lease.py), and without TLS the server itself: they close what must not be used when nobody says
so any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from holdfast_node.decision import Role
from holdfast_node.log import say
from holdfast_node.servers import Details

SOCKET = Path("/run/holdfast-haproxy/admin.sock")
RETRY = 0.1
"""Seconds until the next attempt to connect, while HAProxy restarts."""
SILENT_AFTER = 1.0
"""Seconds without one of its checks, of which it makes more than two a second for each server that is open."""

PROMPT = b"> "

Server = tuple[str, str]
"""Backend (`leader` or `replicas`) and the server's name in it."""


def usable(leader: str | None, data: Mapping[str, str], seen: Callable[[str], Details | None]) -> frozenset[Server]:
    """What may be used, if `leader` is the address proven to lead.

    The leader only while it says itself that it leads; replicas only while they follow it, in sync. `data`: node name →
    address; `seen`: what the Redis at an address last said, None when it does not answer.
    """
    found = set[Server]()
    for name, address in data.items():
        details = seen(address)
        if leader is None or details is None:
            continue
        if address == leader and details.server.role is Role.LEADER:
            found.add(("leader", name))
        if details.follows_in_sync(leader):
            found.add(("replicas", name))
    return frozenset(found)


class Haproxy(asyncio.Protocol):
    """The connection to the runtime socket, made anew whenever HAProxy was."""

    def __init__(self, data: Mapping[str, str]) -> None:
        self._servers = [(backend, name) for backend in ("leader", "replicas") for name in data]
        self._wanted = frozenset[Server]()
        self._told: frozenset[Server] | None = None
        """What HAProxy was told to use; None while nothing is known of it."""
        self._transport: asyncio.WriteTransport | None = None
        self._answer = b""
        self._heard = 0.0
        self._loop = asyncio.get_running_loop()
        self._connecting = self._loop.create_task(self._connect(0))

    def use(self, wanted: frozenset[Server]) -> None:
        """Have exactly these used. The sessions of all others end."""
        if not self._wanted:
            self.hear()
        self._wanted = wanted
        self._tell()

    def hear(self) -> None:
        """Note that it has just made one of its checks."""
        self._heard = self._loop.time()

    @property
    def works(self) -> bool:
        """Whether it runs, and is not frozen as far as anybody can tell: without an open server it checks nothing."""
        silent = bool(self._wanted) and self._loop.time() - self._heard > SILENT_AFTER
        return self._transport is not None and not silent

    def _tell(self) -> None:
        if self._transport is None or self._told == self._wanted:
            return
        told = self._told
        changed = [one for one in self._servers if told is None or (one in told) != (one in self._wanted)]
        # First what closes: no moment has two leaders.
        changed.sort(key=lambda one: one in self._wanted)
        self._transport.write(";".join(_commands(changed, self._wanted)).encode() + b"\n")
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


def _commands(changed: list[Server], wanted: frozenset[Server]) -> Iterator[str]:
    for backend, name in changed:
        yield f"set server {backend}/{name} state {'ready' if (backend, name) in wanted else 'maint'}"
        if (backend, name) not in wanted:
            yield f"shutdown sessions server {backend}/{name}"
