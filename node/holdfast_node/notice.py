"""What Sentinels claim and is not so, said once: who reads the journal learns that somebody forges greetings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from holdfast_node.log import say

INTERVAL = 10.0
"""Seconds between two lines: whoever forges greetings must not fill the journal."""

FORGOTTEN_AFTER = 60.0
"""Seconds after which what comes back is said again: a Sentinel that is late for a moment tells nothing new."""

SHOWN = 5
"""Strangers that a line, and a report, names."""


class Notice:
    """To be shown every second what the Sentinels claim; says what is new."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, str], float] = {}
        """What was said → when it was last so."""
        self._said_at = float("-inf")

    def look(self, strangers: Mapping[str, frozenset[str]], epochs: Mapping[str, int]) -> None:
        """`strangers`: Sentinel → `ADDRESS:PORT` of those that it knows; `epochs`: Sentinel → a forged epoch of its."""
        found = {
            (sentinel, f"knows {one}, which is no node of this environment")
            for sentinel in strangers
            for one in strangers[sentinel]
        }
        found |= {(sentinel, f"has the epoch {epoch}, which no election gave it") for sentinel, epoch in epochs.items()}
        now = self._clock()
        self._seen = {one: at for one, at in self._seen.items() if now - at < FORGOTTEN_AFTER}
        new = sorted(found - self._seen.keys())
        self._seen.update(dict.fromkeys(found & self._seen.keys(), now))
        if new and now - self._said_at >= INTERVAL:
            for sentinel, what in new[:SHOWN]:
                say(f"the Sentinel at {sentinel} {what}")
            if len(new) > SHOWN:
                say(f"and {len(new) - SHOWN} more of that kind")
            self._seen.update(dict.fromkeys(new, now))
            self._said_at = now
