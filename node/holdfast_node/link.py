"""A connection that stays: asked again and again, made anew when it ends, never waited for."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from enum import Enum

from holdfast_node.log import say
from holdfast_node.resp import Login, Parser, Refused, Reply, encode

TIMEOUT = 0.2
"""Seconds for a connection, and for an answer. Shorter than the lease, so that a silent peer is noticed within it."""

RETRY, SLOW_RETRY, SLOWEST_RETRY = 0.1, 1.0, 5.0
"""Seconds until the next attempt to connect: at first, after `PATIENCE` failed, and after twice as many where
no machine answers: there may never be one, as at the address of a node that the layout only has room for."""

BUSY_RETRY = 0.02
"""The same where a process is busy: it is heard as soon as it is not."""

PATIENCE = 20

BUFFER = 16 * 1024
"""Bytes taken in at once, into memory that stays: asyncio's own buffer is a mapping of 256 KiB for every answer."""

Then = Callable[[Reply], None]


class State(Enum):
    UP = "up"
    REFUSED = "refused"
    """Nobody listens there: the process certainly does not run."""
    BUSY = "busy"
    """No answer in time, from a machine that takes connections: a slow command runs, or the process is frozen."""
    SILENT = "silent"
    """No connection in time, or none yet: its machine is off or cut off."""


class Link(asyncio.BufferedProtocol):
    """One connection to a Redis or a Sentinel. `changed` is called after every change of `state`."""

    def __init__(self, address: str, port: int, login: Login, changed: Callable[[], None] = lambda: None) -> None:
        self.address, self.state = address, State.SILENT
        self._port, self._changed, self._login = port, changed, login
        self._transport: asyncio.Transport | None = None
        self._parser, self._buffer = Parser(), memoryview(bytearray(BUFFER))
        self._asked: deque[tuple[float, Then]] = deque()
        self._failures = 0
        self._complaint = ""
        """What was last said of TLS with it."""
        self._strange = False
        """Whether it was said that it answers what no Redis does."""
        self._greeted = False
        self.serial = 0
        """Which connection this is: a new one has a new number."""
        self._loop = asyncio.get_running_loop()
        self._connecting = self._loop.create_task(self._connect(0))

    @property
    def logged_in(self) -> bool:
        """Whether the present connection is, and all that is done first on it has been confirmed."""
        return self._greeted

    @property
    def idle(self) -> bool:
        """Whether it is up, and has answered everything."""
        return self._transport is not None and not self._asked

    def ask(self, then: Then, *words: object) -> None:
        """Send a command; `then` gets the answer, if there ever is one. Nothing happens while it is not up."""
        if self._transport is not None:
            self._asked.append((self._loop.time() + TIMEOUT, then))
            self._transport.write(encode(*words))

    def expire(self) -> None:
        """Give up a connection whose answer is overdue: to be called often."""
        if self._asked and self._asked[0][0] < self._loop.time():
            self._end(State.BUSY)

    async def _connect(self, delay: float) -> None:
        await asyncio.sleep(delay)
        connected = False

        def protocol() -> Link:
            # Before the handshake, where there is one: that waits for the process, this only for the kernel.
            nonlocal connected
            connected = True
            return self

        try:
            tls = self._login().tls
            name = self.address if tls else None
            connecting = self._loop.create_connection(protocol, self.address, self._port, ssl=tls, server_hostname=name)
            await asyncio.wait_for(connecting, TIMEOUT)
        except ConnectionRefusedError:
            self._end(State.REFUSED)
        except ssl.SSLCertVerificationError as error:
            self._complain(error.verify_message)
            self._end(State.SILENT)
        except (OSError, asyncio.TimeoutError):
            self._end(State.BUSY if connected else State.SILENT)

    def _complain(self, why: str) -> None:
        """Once, and not at every attempt."""
        if why != self._complaint:
            say(f"no TLS with {self.address}:{self._port}: {why}")
        self._complaint = why

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._parser = transport, Parser()
        self.serial += 1
        credentials = self._login()
        self.ask(self._answered, "AUTH", credentials.user, credentials.password)

    def begin(self) -> None:
        """What is done first on a new connection."""
        self._be_up()

    def _answered(self, reply: Reply) -> None:
        if isinstance(reply, Refused):
            self._end(State.SILENT)
        else:
            self.begin()

    def _be_up(self) -> None:
        self._failures, self._greeted, self._complaint = 0, True, ""
        self._become(State.UP)

    def get_buffer(self, _: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            for reply in self._parser.feed(bytes(self._buffer[:nbytes])):
                self.received(reply)
        except Exception as error:
            # Whatever it is: a machine in other hands answers as it likes, and must not stop what asks all the others.
            if not self._strange:
                say(f"{self.address}:{self._port} answers what no Redis or Sentinel does: {repr(error)[:200]}")
            self._strange, self._failures = True, max(self._failures, PATIENCE)
            self._end(State.SILENT)

    def received(self, reply: Reply) -> None:
        if self._asked:
            self._asked.popleft()[1](reply)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is None:
            return
        if not self._greeted:
            # Nobody was let in. With TLS 1.3 one hears only now that one's own certificate is not believed.
            if isinstance(error, ssl.SSLError):
                self._complain(str(error))
            self._end(State.SILENT)
            return
        # Ended by the other side: a new attempt tells at once whether somebody still listens there.
        self._transport, self._greeted = None, False
        self._asked.clear()
        self._connecting = self._loop.create_task(self._connect(0))

    def _end(self, state: State) -> None:
        transport, self._transport, self._greeted = self._transport, None, False
        self._asked.clear()
        if transport is not None:
            transport.abort()
        self._failures += 1
        self._connecting = self._loop.create_task(self._connect(_pause(self._failures, state)))
        self._become(state)

    def _become(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._changed()


def _pause(failures: int, state: State) -> float:
    """Seconds until the next attempt, after so many failed in a row, the last one so."""
    if state is State.BUSY:
        return BUSY_RETRY
    if failures < PATIENCE:
        return RETRY
    return SLOWEST_RETRY if failures >= 2 * PATIENCE and state is State.SILENT else SLOW_RETRY


class Subscription(Link):
    """A connection that only listens to some channels: `heard(channel, message)` for each message.

    `begun` is called when it listens, after each of its starts: what was said before was not heard.
    """

    def __init__(
        self,
        address: str,
        port: int,
        login: Login,
        channels: tuple[str, ...],
        heard: Callable[[str, str], None],
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        self._channels, self._heard, self._begun = channels, heard, begun
        super().__init__(address, port, login)

    def begin(self) -> None:
        self.ask(self._confirmed, "SUBSCRIBE", *self._channels)

    def _confirmed(self, _: Reply) -> None:
        self._be_up()
        self._begun()

    def renew(self) -> None:
        """Begin anew, with another connection: this one may be broken without anybody knowing."""
        if self._transport is not None:
            self._end(State.SILENT)

    def probe(self) -> None:
        """Find out whether somebody is still there: a channel without messages says nothing."""
        if self.idle:
            self.ask(lambda _: None, "PING")

    def received(self, reply: Reply) -> None:
        if isinstance(reply, list) and reply[0] == "message":
            self._heard(reply[1], reply[2])
        elif not (isinstance(reply, list) and reply[0] == "subscribe" and reply[2] != 1):
            # Of the confirmations, one for each channel, the first is the answer.
            super().received(reply)
