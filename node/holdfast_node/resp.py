"""Redis' protocol, as far as this program speaks it: commands out, replies in; and a client that waits for answers."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, NamedTuple

Reply = Any
"""A text, a number, None, a list of replies, or a `Refused`."""


class Credentials(NamedTuple):
    """With which one gets in somewhere."""

    user: str
    password: str
    tls: ssl.SSLContext | None = None
    """For the connection; None where it is plaintext."""


Login = Callable[[], Credentials]
"""Those to use now: they change."""


class Refused(Exception):
    """An error that the server answered with, as it words it."""


class _Incomplete(Exception):
    pass


def encode(*words: object) -> bytes:
    """One command."""
    parts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Parser:
    """Turns what arrives, however it is cut, into replies."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Every reply that is whole by now.

        Raises:
            ValueError: this is not Redis' protocol.
        """
        self._buffer += data
        while self._buffer:
            try:
                reply, end = _parse(self._buffer, 0)
            except _Incomplete:
                return
            self._buffer = self._buffer[end:]
            yield reply


def _parse(buffer: bytes, start: int) -> tuple[Reply, int]:
    line_end = buffer.find(b"\r\n", start)
    if line_end < 0:
        raise _Incomplete
    kind, line, after = buffer[start : start + 1], buffer[start + 1 : line_end], line_end + 2
    if kind == b"+":
        return line.decode(), after
    if kind == b"-":
        return Refused(line.decode()), after
    if kind == b":":
        return int(line), after
    length = int(line)
    if kind == b"$":
        if length < 0:
            return None, after
        if len(buffer) < after + length + 2:
            raise _Incomplete
        return buffer[after : after + length].decode(errors="replace"), after + length + 2
    if kind != b"*":
        raise ValueError(f"not a reply of Redis: {buffer[start:line_end]!r}")
    items = []
    for _ in range(length):
        item, after = _parse(buffer, after)
        items.append(item)
    return items, after


def fields(info: str) -> dict[str, str]:
    """What `INFO` answers, as names and values."""
    return dict(line.split(":", 1) for line in info.splitlines() if ":" in line)


def pairs(flat: list[str]) -> dict[str, str]:
    """A list of names and values as a dictionary: how Sentinel answers."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


class Client:
    """A connection for one who can wait: a command at a time, within `timeout` seconds each."""

    def __init__(self, address: str, port: int, credentials: Credentials, timeout: float = 1.0) -> None:
        """Raises OSError where nobody answers, `Refused` where the credentials are not taken."""
        self.address = address
        self._parser, self._waiting = Parser(), list[Reply]()
        self._socket = socket.create_connection((address, port), timeout=timeout)
        if credentials.tls:
            self._socket = credentials.tls.wrap_socket(self._socket, server_hostname=address)
        self.call("AUTH", credentials.user, credentials.password)

    def call(self, *words: object) -> Reply:
        """The answer to a command.

        Raises:
            OSError: none within the time-out.
            Refused: the server's own error.
        """
        self._socket.sendall(encode(*words))
        return self.read()

    def read(self, timeout: float | None = None) -> Reply:
        """The next reply, or message of a channel, within another time-out than the usual; raises as `call`."""
        if timeout is not None:
            self._socket.settimeout(max(timeout, 0.001))
        while not self._waiting:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the connection was closed")
            self._waiting += self._parser.feed(data)
        reply = self._waiting.pop(0)
        if isinstance(reply, Refused):
            raise reply
        return reply

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
