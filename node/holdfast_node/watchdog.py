"""Tells systemd that this program is alive: one that hangs is ended, and started anew."""

from __future__ import annotations

import os
import socket


class Watchdog:
    """`alive` is to be said more often than the unit's WatchdogSec; without systemd nobody hears it."""

    def __init__(self) -> None:
        path = os.environ.get("NOTIFY_SOCKET", "")
        # A name with @ is an abstract one, which begins with a zero byte.
        self._path = f"\0{path[1:]}" if path.startswith("@") else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def alive(self) -> None:
        if self._path:
            self._socket.sendto(b"WATCHDOG=1", self._path)
