"""Tells systemd that this program is alive: one that hangs is ended, and started anew."""

from __future__ import annotations

import os
import socket


def alive() -> None:
    """To be said more often than the unit's WatchdogSec; without systemd nobody hears it."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            # A name with @ is an abstract one, which begins with a zero byte.
            notify.sendto(b"WATCHDOG=1", f"\0{path[1:]}" if path.startswith("@") else path)
