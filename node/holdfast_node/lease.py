"""Answers HAProxy's question whether a server may be used: it closes by itself when this program does not answer.

One line in, one line out: `leader NAME` or `replicas NAME` → `yes` or `no`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LONGEST = 256
"""Bytes of a question."""

May = Callable[[str, str], bool]


async def serve(port: int, may: May) -> None:
    """Answer on 127.0.0.1:`port`; `may(backend, name)` decides."""
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: _Question(may), "127.0.0.1", port, backlog=256)


class _Question(asyncio.Protocol):
    """One connection, one question."""

    def __init__(self, may: May) -> None:
        self._may = may
        self._line = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._line += data
        if len(self._line) <= LONGEST:
            if not self._line.endswith(b"\n"):
                return
            backend, _, name = self._line.decode(errors="replace").strip().partition(" ")
            self._transport.write(b"yes\n" if self._may(backend, name) else b"no\n")
        self._transport.close()
