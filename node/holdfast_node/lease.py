"""Answers HAProxy's question whether a server may be used: it closes by itself when this program does not answer.

One line in, one line out: `leader NAME` or `replica NAME` → `yes` or `no`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

IDLE = 5.0
"""Seconds after which a connection that asks nothing is closed."""


def serve(port: int, may: Callable[[str, str], bool]) -> None:
    """Answer on 127.0.0.1:`port` from a thread of its own; `may(kind, name)` decides."""
    threading.Thread(target=lambda: asyncio.run(_serve(port, may)), daemon=True).start()


async def _serve(port: int, may: Callable[[str, str], bool]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), IDLE)
            kind, _, name = line.decode(errors="replace").strip().partition(" ")
            writer.write(b"yes\n" if may(kind, name) else b"no\n")
            await writer.drain()
        except (OSError, asyncio.TimeoutError, ValueError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=256)
    async with server:
        await server.serve_forever()
