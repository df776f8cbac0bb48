"""asyncio on a simulated world: what the node program's own code runs in, one loop for each process."""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Coroutine
from typing import Any

from tests.simulation.world import End, Process


class Loop(asyncio.AbstractEventLoop):
    """Of one process: its callbacks stop with it, and wait while it is frozen."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def time(self) -> float:
        return self._process.world.now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._process.later(0, lambda: self._run(handle))
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._process.later(max(when - self.time(), 0), lambda: self._run(handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is looked at when its time has come."""

    def _run(self, handle: asyncio.Handle) -> None:
        if not handle.cancelled():
            self.enter(handle._run)

    def enter(self, do: Callable[[], Any]) -> Any:
        """Call something in this loop."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            return do()
        finally:
            events._set_running_loop(before)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        # Tasks that end with their process are no error.
        if "exception" in context:
            self._process.world.errors.append(context["exception"])

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, name=name)

    async def create_connection(  # type: ignore[override]
        self, factory: Callable[[], Any], host: str, port: int, **_: Any
    ) -> tuple[Transport, Any]:
        return await self._connect(factory, host, port)

    async def create_unix_connection(  # type: ignore[override]
        self, factory: Callable[[], Any], path: str, **_: Any
    ) -> tuple[Transport, Any]:
        return await self._connect(factory, self._process.host.address, UNIX)

    async def _connect(self, factory: Callable[[], Any], host: str, port: int) -> tuple[Transport, Any]:
        made = self.create_future()

        def refuse() -> None:
            if not made.done():
                made.set_exception(ConnectionRefusedError())

        def accept(end: End) -> None:
            if made.done():
                end.close()
            else:
                made.set_result(end)

        self._process.connect(host, port, accept, refuse)
        end = await made
        protocol = factory()
        transport = Transport(end, protocol, self)
        protocol.connection_made(transport)
        return transport, protocol


UNIX = 0
"""The port that stands for HAProxy's socket, on its own machine."""


class Transport(asyncio.Transport):
    def __init__(self, end: End, protocol: Any, loop: Loop) -> None:
        super().__init__()
        self._end, self._protocol, self._loop = end, protocol, loop
        self._over = False
        end.received = lambda data: loop.enter(lambda: self._receive(data))
        end.ended = lambda: loop.enter(lambda: self._lost(None))

    def write(self, data: Any) -> None:
        self._end.send(bytes(data))

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self._end.close()
        self._loop.call_soon(self._lost, None)

    def is_closing(self) -> bool:
        return self._over

    def _receive(self, data: bytes) -> None:
        if not hasattr(self._protocol, "get_buffer"):
            self._protocol.data_received(data)
            return
        while data:
            buffer = self._protocol.get_buffer(-1)
            part, data = data[: len(buffer)], data[len(buffer) :]
            buffer[: len(part)] = part
            self._protocol.buffer_updated(len(part))

    def _lost(self, error: Exception | None) -> None:
        if not self._over:
            self._over = True
            self._protocol.connection_lost(error)


def start(process: Process, make: Callable[[], Coroutine[Any, Any, Any]]) -> Loop:
    """Run a coroutine in a process, for as long as that runs."""
    loop = Loop(process)
    loop.enter(lambda: loop.create_task(make()))
    return loop
