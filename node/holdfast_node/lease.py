"""Answers HAProxy's question whether a server may be used: it closes by itself when this program does not answer.

One line in, one line out: `leader NAME` or `replica NAME` → `yes` or `no`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

PATIENCE = 0.2
"""Seconds for a question to arrive. One that does not holds up the others for so long: less than `timeout check`."""

LONGEST = 256
"""Bytes of a question."""

May = Callable[[str, str], bool]


def serve(port: int, may: May) -> None:
    """Answer on 127.0.0.1:`port` from a thread of its own; `may(kind, name)` decides."""
    server = socket.create_server(("127.0.0.1", port), backlog=256)
    threading.Thread(target=_answer_for_ever, args=(server, may), daemon=True).start()


def _answer_for_ever(server: socket.socket, may: May) -> None:
    # One after the other: a hundred questions a second cost asyncio twice as much.
    while True:
        connection, _ = server.accept()
        with connection:
            try:
                connection.settimeout(PATIENCE)
                connection.sendall(_answer(_read_line(connection), may))
            except Exception:
                # Whatever it was: no answer is `no`, and the next question is another one.
                continue


def _answer(line: bytes, may: May) -> bytes:
    kind, _, name = line.decode(errors="replace").strip().partition(" ")
    return b"yes\n" if may(kind, name) else b"no\n"


def _read_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        received = connection.recv(LONGEST)
        line += received
        if not received or len(line) > LONGEST:
            raise ValueError("no question")
    return line
