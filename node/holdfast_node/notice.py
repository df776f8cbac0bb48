"""What is said once, and not as often as somebody brings it about: whoever reads the journal learns of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping

from holdfast_node.log import say

INTERVAL = 10.0
"""Seconds between two lines: whoever forges greetings must not fill the journal."""

FORGOTTEN_AFTER = 60.0
"""Seconds after which what comes back is said again: a Sentinel that is late for a moment tells nothing new."""

SHOWN = 5
"""How many of a kind a line, and a report, names."""


class Notice:
    """To be shown all that is so, again and again; says what is new."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        interval: float = INTERVAL,
        forgotten_after: float = FORGOTTEN_AFTER,
    ) -> None:
        self._clock, self._interval, self._forgotten_after = clock, interval, forgotten_after
        self._seen: dict[str, float] = {}
        """What was said → when it was last so."""
        self._said_at = float("-inf")

    def look(self, sentences: Collection[str]) -> None:
        """`sentences`: all that is so now."""
        now, found = self._clock(), set(sentences)
        self._seen = {one: at for one, at in self._seen.items() if now - at < self._forgotten_after}
        new = sorted(found - self._seen.keys())
        self._seen.update(dict.fromkeys(found & self._seen.keys(), now))
        if new and now - self._said_at >= self._interval:
            for sentence in new[:SHOWN]:
                say(sentence)
            if len(new) > SHOWN:
                say(f"and {len(new) - SHOWN} more of that kind")
            self._seen.update(dict.fromkeys(new, now))
            self._said_at = now


def claims(strangers: Mapping[str, frozenset[str]], epochs: Mapping[str, int]) -> list[str]:
    """What Sentinels claim and is not so, a sentence each.

    `strangers`: Sentinel → `ADDRESS:PORT` of those that it knows; `epochs`: Sentinel → a forged epoch of its.
    """
    known = [
        f"the Sentinel at {sentinel} knows {one}, which is no node of this environment"
        for sentinel in strangers
        for one in strangers[sentinel]
    ]
    return known + [
        f"the Sentinel at {sentinel} has the epoch {epoch}, which no election gave it"
        for sentinel, epoch in epochs.items()
    ]
