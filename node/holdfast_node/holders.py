"""Who has everything: the leader, and the replicas in sync with it, as the leader last wrote into the bucket.

It outlives everybody. When a whole site restarts, and the leader does not come back, this tells whose data may be led
with: a Redis itself does not know after a restart how old its data is.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from holdfast_node.cloud import Cloud
from holdfast_node.decision import Role
from holdfast_node.generation import FIRST
from holdfast_node.handover import in_touch
from holdfast_node.servers import Details

FRESH = 10.0
"""Seconds for which what was read counts."""


class Holders:
    """For the thread that talks to the cloud, but for `include_me`."""

    def __init__(
        self,
        me: str,
        cloud: Cloud,
        clock: Callable[[], float] = time.monotonic,
        generation: Callable[[], str] = lambda: FIRST,
    ) -> None:
        """`generation`: of this node's data."""
        self._me, self._cloud, self._clock, self._generation = me, cloud, clock, generation
        self._written: tuple[frozenset[str], str] | None = None
        self._read: tuple[frozenset[str], float] = (frozenset(), float("-inf"))

    def look(self, own: Details | None, proven: str | None) -> None:
        """Write them, where this node leads; read them, where its Redis is not in its place. To be called every second.

        Raises what the cloud does.
        """
        if own and own.server.role is Role.LEADER and proven == self._me:
            holders, generation = frozenset({self._me, *(one.address for one in in_touch(own))}), self._generation()
            if (holders, generation) != self._written:
                self._cloud.put_holders(sorted(holders), generation)
                self._written = holders, generation
            return
        self._written = None
        if own is None or not own.follows_in_sync(proven):
            asked_at = self._clock()
            self._read = frozenset(self._cloud.holders()), asked_at

    def include_me(self) -> bool:
        holders, at = self._read
        return self._me in holders and self._clock() - at < FRESH
