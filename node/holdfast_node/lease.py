"""Answers HAProxy's question whether a server may be used: it closes by itself when this program does not answer.

One line in, one line out: `leader NAME` or `replicas NAME` → `yes` or `no`. HAProxy asks some ten times a second, each
time over a new connection. The kernel gives one here only when the question is there too, so that it is read, answered
and closed at once. A connection of asyncio for each would be a third of what this program spends.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

LONGEST = 256
"""Bytes of a question."""

ASKS_WITHIN = 1
"""Seconds after which a connection without a question is closed."""

May = Callable[[str, str], bool]


def serve(port: int, may: May) -> None:
    """Answer on 127.0.0.1:`port`, in the running event loop; `may(backend, name)` decides."""
    listener = socket.create_server(("127.0.0.1", port), backlog=256)
    listener.setblocking(False)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, ASKS_WITHIN)
    asyncio.get_running_loop().add_reader(listener, _answer, listener, may)


def _answer(listener: socket.socket, may: May) -> None:
    # Whoever asked and did not wait is gone: nothing to do for that one.
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        with connection:
            connection.setblocking(False)
            question = connection.recv(LONGEST)
            if question.endswith(b"\n"):
                backend, _, name = question.decode(errors="replace").strip().partition(" ")
                connection.send(b"yes\n" if may(backend, name) else b"no\n")
