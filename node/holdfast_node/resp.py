"""Redis' protocol, as far as this program speaks it: commands out, replies in; and a client that waits for answers."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, NamedTuple

LARGEST, LONGEST_LINE, DEEPEST = 8 * 1024 * 1024, 64 * 1024, 4
"""Bytes of one reply and of one line, and lists in each other. A Sentinel that thousands of forged greetings reached
lists them all, with a thousand bytes each."""

AFTER_REPLICAS = {"master_repl_offset"}
"""What `INFO` tells after the replicas, of all that is read here."""

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


def encode(*words: object) -> bytes:
    """One command."""
    parts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Parser:
    """Turns what arrives, however it is cut, into replies. Each byte is looked at once, and there are limits: what
    another machine sends may come from whoever took it over."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lists: list[tuple[list[Reply], int]] = []
        """Those that are not whole yet, the outermost first, and how many items each will have."""
        self._size = 0
        """Bytes of the present reply that are parsed already."""

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Every reply that is whole by now.

        Raises:
            ValueError: this is not Redis' protocol, or is larger or deeper than anything that Redis is asked for here.
        """
        self._buffer += data
        at = 0
        while (found := _next(self._buffer, at)) is not None:
            reply, items, end = found
            self._size, at = self._size + end - at, end
            if items:
                self._lists.append((reply, items))
                if len(self._lists) > DEEPEST:
                    raise ValueError(f"lists in each other; accepted: {DEEPEST}")
                continue
            while self._lists:
                outer, length = self._lists.pop()
                outer.append(reply)
                if len(outer) < length:
                    self._lists.append((outer, length))
                    break
                reply = outer
            else:
                self._size = 0
                yield reply
        del self._buffer[:at]
        if self._size + len(self._buffer) > LARGEST:
            raise ValueError(f"a reply of more than {LARGEST:,} bytes")


def _next(buffer: bytearray, start: int) -> tuple[Reply, int, int] | None:
    """What begins there, how many items of it follow, and where it ends; None where it is not whole yet."""
    line_end = buffer.find(b"\r\n", start, start + LONGEST_LINE)
    if line_end < 0:
        if len(buffer) - start >= LONGEST_LINE:
            raise ValueError(f"a line of more than {LONGEST_LINE:,} bytes")
        return None
    kind, line, after = buffer[start : start + 1], buffer[start + 1 : line_end], line_end + 2
    if kind == b"+":
        return line.decode(), 0, after
    if kind == b"-":
        return Refused(line.decode()), 0, after
    if kind == b":":
        return int(line), 0, after
    if kind == b"*":
        return [], max(int(line), 0), after
    if kind != b"$":
        raise ValueError(f"not a reply of Redis: {bytes(buffer[start:line_end])[:100]!r}")
    length = int(line)
    if length < 0:
        return None, 0, after
    if length > LARGEST:
        raise ValueError(f"a text of {length:,} bytes; accepted: {LARGEST:,} at most")
    if len(buffer) < after + length + 2:
        return None
    return buffer[after : after + length].decode(errors="replace"), 0, after + length + 2


def fields(info: str) -> dict[str, str]:
    """What `INFO` answers, as names and values.

    A replica may announce an address with line breaks, and so further lines. Of a name that is there twice Redis itself
    wrote the first, before its list of replicas; or for a few the last, after it.
    """
    found = dict[str, str]()
    for line in info.splitlines():
        name, colon, value = line.partition(":")
        if colon and (name not in found or name in AFTER_REPLICAS):
            found[name] = value
    return found


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

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
