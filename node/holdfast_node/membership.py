"""Sentinels never forget: what they know of nodes that are gone for good still counts for their majority.

Which nodes there are is in the bucket, written by the deploy. A Sentinel that knows others, who have been silent for
half a minute, or strangers that a forged greeting told it of, is reset, so that it learns anew who is there: one
Sentinel at a time, half a minute apart, and only while all the others agree on a leader that is well. A reset at any
other moment has cost others a day.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from holdfast_node.decision import Role
from holdfast_node.log import say
from holdfast_node.sentinels import Sentinels
from holdfast_node.servers import Servers

SILENT_FOR = 30.0
"""Seconds: a node that has just been deployed may be seen before the deploy that wrote of it is read."""
APART = 30.0
"""Seconds in which nothing may have changed before one is reset; the next one comes as long after it."""


def whose_turn(order: Sequence[str], known_by: Mapping[str, frozenset[str]], gone: frozenset[str]) -> str | None:
    """The first Sentinel, in this order, that still knows somebody who is gone."""
    return next((address for address in order if known_by.get(address, frozenset()) & gone), None)


class Membership:
    """`order`: all Sentinels' slots, the same on every node. Looks once a second, and mostly finds nothing to do."""

    def __init__(
        self,
        me: str,
        order: Sequence[str],
        sentinels: Sentinels,
        servers: Servers,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._me, self._order, self._sentinels, self._servers, self._clock = me, order, sentinels, servers, clock
        self.members = frozenset[str]()
        """Addresses of the nodes that there are; empty while that is not known."""
        self._silent_since: dict[str, float] = {}
        self._gone = frozenset[str]()
        self._calm: tuple[object, float] = (None, 0.0)
        """What the Sentinels knew of those that are gone, and since when."""

    def look(self) -> None:
        if not self.members:
            return
        now, known_by = self._clock(), self._sentinels.known_by()
        # Who is gone stays gone: what one knew that is silent now counts still.
        strangers = self._gone.union(*known_by.values()) - self.members
        silent = {address for address in strangers if not self._answers(address)}
        self._silent_since = {address: self._silent_since.get(address, now) for address in silent}
        gone = frozenset(address for address, since in self._silent_since.items() if now - since >= SILENT_FOR)
        steady = self._steady()
        # Nobody becomes uncounted in a partition, where silence may be one's own.
        self._gone = gone if steady else self._gone & gone
        self._sentinels.forget(self._gone)
        still = {address: known & gone for address, known in known_by.items() if known & gone}
        if still != self._calm[0] or not steady:
            self._calm = (still, now)
        elif whose_turn(self._order, known_by, gone) == self._me and now - self._calm[1] >= APART:
            say(f"its Sentinel still counts {', '.join(sorted(gone))}, of which no node is left: resets it")
            self._calm = (None, now)
            self._sentinels.reset_own()

    def _answers(self, address: str) -> bool:
        return self._sentinels.answers(address) or self._servers.at(address) is not None

    def _steady(self) -> bool:
        """Whether every Sentinel among the members names the same leader, which leads, and nobody is being promoted."""
        named = self._sentinels.agree(self.members)
        seen = self._servers.at(named) if named else None
        return seen is not None and seen.server.role is Role.LEADER
