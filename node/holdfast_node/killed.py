"""When the kernel last killed this node's Redis for want of memory.

Its unit notes it (templates/systemd/holdfast-redis.service), on tmpfs: the note is gone with the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NOTE = Path("/run/holdfast-redis/killed-for-memory")
"""Seconds since 1970, and MiB that it was allowed."""

TOLD_FOR = 24 * 3600.0
"""Seconds for which it is told."""


@dataclass(frozen=True)
class Killed:
    at: float
    limit_mib: int


def last(now: float) -> Killed | None:
    """None where it was not within the last day."""
    try:
        at, limit = NOTE.read_text(encoding="ascii").split()
        killed = Killed(float(at), int(limit))
    except (OSError, ValueError):
        # None yet, or just being written.
        return None
    return killed if now - killed.at < TOLD_FOR else None
