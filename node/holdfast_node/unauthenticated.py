"""Ends who is connected to this node's Redis and does not log in, where they are many.

Redis itself keeps them for ever, and each holds a place at a gateway and at Redis.
"""

from __future__ import annotations

INTERVAL = 10.0
"""Seconds between two times: as long as a gateway waits for a client's first bytes."""

NOBODY = "default"
"""Redis' name for who has not logged in. This user is off, so nobody is it afterwards."""


class Unauthenticated:
    """`crowded`: clients of one Redis, above which they are ended. Below, a login is never disturbed."""

    def __init__(self, crowded: int) -> None:
        self._crowded, self._ended_at = crowded, float("-inf")

    def due(self, clients: int, now: float) -> tuple[str, ...]:
        """The command to give to Redis now, or nothing; `now` in monotonic seconds."""
        if clients <= self._crowded or now - self._ended_at < INTERVAL:
            return ()
        self._ended_at = now
        return "CLIENT", "KILL", "USER", NOBODY
