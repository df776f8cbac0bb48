"""Sentinels never forget: what they know of nodes that are gone for good still counts for their majority.

Which nodes there are is in the bucket, written by the deploy. A Sentinel that knows others, who have been silent for
half a minute, or strangers that a forged greeting told it of, is reset, so that it learns anew who is there: one
Sentinel at a time, half a minute apart, and only while all the others agree on a leader that is well. A reset at any
other moment has cost others a day.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from holdfast_node.log import say

SILENT_FOR = 30.0
"""Seconds: a node that has just been deployed may be seen before the deploy that wrote of it is read."""
APART = 30.0
"""Seconds in which nothing may have changed before one is reset; the next one comes as long after it."""


class Seen(Protocol):
    """What this node sees of the cluster: see agent.py."""

    def known_by(self) -> Mapping[str, frozenset[str]]:
        """Sentinel → all addresses that it knows, of those that answer; of strangers `ADDRESS:PORT`."""

    def answers(self, address: str) -> bool: ...

    def steady(self, members: Collection[str]) -> bool:
        """Whether every Sentinel among the members names the same leader, which leads, and nobody is being promoted."""

    def forget(self, gone: frozenset[str]) -> None:
        """Count exactly these Sentinels no more, whoever still knows them."""

    def reset_own(self) -> None: ...


def whose_turn(order: Sequence[str], known_by: Mapping[str, frozenset[str]], gone: frozenset[str]) -> str | None:
    """The first Sentinel, in this order, that still knows somebody who is gone."""
    return next((address for address in order if known_by.get(address, frozenset()) & gone), None)


class Membership:
    """`order`: all Sentinels' slots, the same on every node. Looks once a second, and mostly finds nothing to do."""

    def __init__(self, me: str, order: Sequence[str], seen: Seen, clock: Callable[[], float] = time.monotonic) -> None:
        self._me, self._order, self._seen, self._clock = me, order, seen, clock
        self.members = frozenset[str]()
        """Addresses of the nodes that there are; empty while that is not known."""
        self._silent_since: dict[str, float] = {}
        self._gone = frozenset[str]()
        self._calm: tuple[object, float] = (None, 0.0)
        """What the Sentinels knew of those that are gone, and since when."""

    def look(self) -> None:
        if not self.members:
            return
        now, known_by = self._clock(), self._seen.known_by()
        # Who is gone stays gone: what one knew that is silent now counts still.
        strangers = self._gone.union(*known_by.values()) - self.members
        silent = {address for address in strangers if not self._seen.answers(address)}
        self._silent_since = {address: self._silent_since.get(address, now) for address in silent}
        gone = frozenset(address for address, since in self._silent_since.items() if now - since >= SILENT_FOR)
        steady = self._seen.steady(self.members)
        # Nobody becomes uncounted in a partition, where silence may be one's own.
        self._gone = gone if steady else self._gone & gone
        self._seen.forget(self._gone)
        still = {address: known & gone for address, known in known_by.items() if known & gone}
        if still != self._calm[0] or not steady:
            self._calm = (still, now)
        elif whose_turn(self._order, known_by, gone) == self._me and now - self._calm[1] >= APART:
            say(f"its Sentinel still counts {', '.join(sorted(gone))}, of which no node is left: resets it")
            self._calm = (None, now)
            self._seen.reset_own()
