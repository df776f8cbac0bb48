"""All Sentinels are restarted at the same moment when one believes in a forged leader or epoch.

Sentinels adopt every greater epoch from each other's greetings, of which each makes one every two seconds: one that is
restarted alone learns it again. Before its start each has its configuration cleaned (see sentinel_config.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from holdfast_node.log import say

SETTLES = 3.0
"""Seconds for which it must be so: what a single Sentinel believes the greetings of the others mend within two."""
TURN = 5.0
"""Seconds for which each waits for the one before it to do it."""
APART = 60.0
"""Seconds between two restarts. A Sentinel that missed the first one has spread it again."""


class Cure:
    """`order`: all Sentinels' slots, the same on every node. `restart_all`: ends all Sentinels that can be reached."""

    def __init__(
        self,
        me: str,
        order: Sequence[str],
        restart_all: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rank = order.index(me) if me in order else None
        self._restart_all, self._clock = restart_all, clock
        self._since: float | None = None
        self._done_at = float("-inf")

    def look(self, *, poisoned: bool) -> None:
        """To be called every second."""
        now = self._clock()
        self._since = (self._since if self._since is not None else now) if poisoned else None
        if self._since is None or self._rank is None or now - self._done_at < APART:
            return
        if now - self._since >= SETTLES + TURN * self._rank:
            self._done_at = now
            say(
                "a Sentinel believes in a forged leader or epoch: restarts all Sentinels, which begin with what is true"
            )
            self._restart_all()
