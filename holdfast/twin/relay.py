"""Two TCP connections joined: what arrives on one leaves on the other, their ends and resets as well."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any, cast

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""For SO_LINGER."""

Learn = Callable[[bool], None]
"""Told once whether a gateway answered, or hung up without a word on a client that was still there."""
Connect = Callable[[], Coroutine[Any, Any, tuple[Learn, socket.socket] | None]]
"""Finds a gateway; None: there is none."""


class _Side(asyncio.Protocol):
    """One of the two."""

    def __init__(self) -> None:
        self.other: _Side | None = None
        self.transport: asyncio.Transport | None = None
        self.ended = False
        """It said that nothing more comes from here."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """True keeps the other direction open."""
        self.ended = True
        if self.other is None or self.other.transport is None or self.other.ended:
            return False
        self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is None or self.other.transport is None or self.other.transport.is_closing():
            return
        if exc is None:
            self.other.transport.close()
        else:
            end = self.other.transport.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.other.transport.abort()


class Gateway(_Side):
    """The side inside the VPC."""

    def __init__(self, learn: Learn) -> None:
        super().__init__()
        self._learn: Learn | None = learn

    def data_received(self, data: bytes) -> None:
        self._tell(True)
        super().data_received(data)

    def eof_received(self) -> bool:
        self._tell(False)
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell(False)
        super().connection_lost(exc)

    def _tell(self, answered: bool) -> None:
        learn, self._learn = self._learn, None
        if learn is not None and (answered or (self.other is not None and not self.other.ended)):
            learn(answered)


class Client(_Side):
    """The side on this host. It is not read from until the other one is there."""

    def __init__(self, connect: Connect) -> None:
        super().__init__()
        self._connect = connect
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        client = self.transport = cast(asyncio.Transport, transport)
        client.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._join(client))

    async def _join(self, transport: asyncio.Transport) -> None:
        found = await self._connect()
        if found is None:
            transport.abort()
            return
        learn, inside = found
        gateway = Gateway(learn)
        self.other, gateway.other = gateway, self
        await asyncio.get_running_loop().create_connection(lambda: gateway, sock=inside)
        transport.resume_reading()
