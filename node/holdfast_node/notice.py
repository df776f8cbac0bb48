"""What Sentinels claim and is not so, said once: who reads the journal learns that somebody forges greetings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from holdfast_node.log import say

INTERVAL = 10.0
"""Seconds between two lines: whoever forges greetings must not fill the journal."""

SHOWN = 5
"""Strangers that a line, and a report, names."""


class Notice:
    """To be shown every second what the Sentinels claim; says what is new."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said = frozenset[tuple[str, str]]()
        self._said_at = float("-inf")

    def look(self, strangers: Mapping[str, frozenset[str]], epochs: Mapping[str, int]) -> None:
        """`strangers`: Sentinel → `ADDRESS:PORT` of those that it knows; `epochs`: Sentinel → a forged epoch of its."""
        found = {
            (sentinel, f"knows {one}, which is no node of this environment")
            for sentinel in strangers
            for one in strangers[sentinel]
        }
        found |= {(sentinel, f"has the epoch {epoch}, which no election gave it") for sentinel, epoch in epochs.items()}
        new, now = sorted(found - self._said), self._clock()
        if not new:
            self._said &= found
        elif now - self._said_at >= INTERVAL:
            for sentinel, what in new[:SHOWN]:
                say(f"the Sentinel at {sentinel} {what}")
            if len(new) > SHOWN:
                say(f"and {len(new) - SHOWN} more of that kind")
            self._said, self._said_at = frozenset(found), now
