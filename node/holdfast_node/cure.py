"""All Sentinels are restarted at the same moment when forged greetings keep them from
their work: a leader or an epoch that is none, or ghosts that outvote them.

Sentinels adopt every greater epoch from each other's greetings, of which each makes one every two seconds: one that is
restarted alone learns it again. Before its start each has its configuration cleaned (see sentinel_config.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from holdfast_node.log import say

SETTLES = 3.0
"""Seconds for which it must be so: what a single Sentinel believes the greetings of the others mend within two."""
TURN = 5.0
"""Seconds for which each waits for the one before it to do it. The first must be quick: where the leader is lost,
replicas count as too old for Sentinel six seconds later, by the time at which a restarted one misses it."""
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
        self._me, self._order = me, order
        self._restart_all, self._clock = restart_all, clock
        self._since: float | None = None
        self._done_at = float("-inf")

    def look(self, *, poisoned: bool, answering: Collection[str]) -> None:
        """To be called every second. `answering`: the Sentinels that do."""
        now = self._clock()
        self._since = (self._since if self._since is not None else now) if poisoned else None
        if self._since is None or self._me not in answering or now - self._done_at < APART:
            return
        before = [address for address in self._order[: self._order.index(self._me)] if address in answering]
        if now - self._since >= SETTLES + TURN * len(before):
            self._done_at = now
            say("forged greetings keep the Sentinels from their work: restarts all, which begin with what is true")
            self._restart_all()
