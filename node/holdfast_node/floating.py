"""The floating pair: two addresses that the network's route tables lead to one gateway, whoever that is.

keepalived elects, and takes the addresses on; this module has the cloud lead them here. Neither does anything for a
gateway that is of no use: keepalived is told of that through a file.

A gateway may move every route of these tables, as IAM knows no condition for where a route leads. So each gateway looks
whether another one has moved more than the pair.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from holdfast_node.cloud import Cloud, Malformed, Route, Routes
from holdfast_node.identity import Identity
from holdfast_node.log import say

ADDRESSES = Path("/proc/net/fib_trie")
"""The kernel's table, with all addresses of this machine: keepalived takes the pair on when it is elected, and gives it
back. What it notifies others of comes from processes that may overtake each other."""
UNABLE = Path("/run/holdfast-node/unable")
"""1 while this gateway is of no use, else 0: keepalived watches it."""

LOOK = 0.1
"""Seconds between two looks at the election."""
CHECK = 5.0
"""Seconds between two checks that the addresses still lead here."""
WATCH = 60.0
"""The same of a gateway that is not elected: only to notice what the others have moved."""
RETRY, RETRY_AT_MOST = 0.2, 5.0
"""Seconds until the next attempt when the API does not answer; twice as long after each."""
CONTESTED, CONTESTED_AT_MOST = 5.0, 300.0
"""Seconds for which this gateway leaves the addresses to another one that took them, though this one is elected, twice
as long after each time: where two cannot hear each other, one serves as well as the other, but they must not take
turns."""
ASK = 2.0
"""Seconds between two looks whether that other one still holds them."""
REPORTED_WITHIN = 15.0
"""Seconds after which who has not reported holds nothing: each does so every five seconds."""


class Floating:
    """`heard`: whether a majority of the Sentinels speaks to this node, without which it moves nothing."""

    def __init__(self, identity: Identity, cloud: Cloud, heard: Callable[[], bool]) -> None:
        self._identity, self._cloud, self._heard = identity, cloud, heard
        self.holds = False
        """Whether the addresses led here when they were last looked at, and it is elected."""
        self.foreign: list[Route] = []
        """What else than the pair led to a machine, when the tables were last looked at."""
        self._watch_due = self._due = self._held_since = 0.0
        self._taken_at = self._left_until = float("-inf")
        """When it found that another gateway had taken the addresses, and how long it leaves them to that one."""
        self._retry, self._contested = RETRY, CONTESTED
        self._told: bool | None = None

    def tell(self, *, able: bool) -> None:
        """Say whether this gateway is of any use. Harmless to repeat."""
        if able is not self._told and self._elects:
            UNABLE.write_text("0\n" if able else "1\n", encoding="ascii")
            self._told = able

    def run(self) -> None:
        """Never returns."""
        while True:
            time.sleep(LOOK)
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        """Do what is due at `now` (monotonic seconds)."""
        if not self._may():
            self.holds, self._due, self._retry, self._contested = False, 0.0, RETRY, CONTESTED
            self._left_until = float("-inf")
            self._watch(now)
        elif now >= self._due:
            try:
                self._due = now + self._lead_here(now)
                self._retry = RETRY
            except Exception as error:
                # Whatever it was (an answer cut off in the middle, say): without this thread nobody holds the pair.
                say(f"cannot lead the floating pair here: {error!r}; tries again in {self._retry:g} s")
                self._due = now + self._retry
                self._retry = min(2 * self._retry, RETRY_AT_MOST)

    def _watch(self, now: float) -> None:
        if now < self._watch_due:
            return
        self._watch_due = now + WATCH
        try:
            self._routes()
        except Exception as error:
            say(f"cannot look where the environment's routes lead: {error!r}; tries again in {WATCH:g} s")

    def _routes(self) -> Routes:
        found = self._cloud.routes(self._identity.floating)
        if found.foreign != self.foreign:
            for route in found.foreign:
                say(f"a route that no deploy made so: {route}")
            if not found.foreign:
                say("all routes lead where a deploy had them lead")
            self.foreign = found.foreign
        return found

    @property
    def _elects(self) -> bool:
        return len(self._identity.gateways) > 1

    def _may(self) -> bool:
        """Asked before every call that changes something: the election may have ended meanwhile."""
        return self._heard() and (not self._elects or _has(self._identity.floating))

    def _lead_here(self, now: float) -> float:
        """One step of it; seconds until the next one."""
        elsewhere = self._routes().elsewhere
        if not elsewhere:
            if not self.holds:
                say(f"holds the floating pair: {' and '.join(self._identity.floating)} lead here")
                self.holds, self._held_since = True, now
            elif now - self._held_since >= CONTESTED_AT_MOST:
                # Longer than any other elected gateway would have left it here: what was contested is over.
                self._contested = CONTESTED
            return CHECK
        if self.holds:
            self.holds, self._taken_at, self._left_until = False, now, now + self._contested
            say(f"another gateway took the floating pair, though this one is elected: waits {self._contested:g} s")
            self._contested = min(2 * self._contested, CONTESTED_AT_MOST)
            return ASK
        if now < self._left_until and self._another_holds(now):
            return min(ASK, self._left_until - now)
        for table, address in elsewhere:
            if self._may():
                self._cloud.lead_here(table, address)
        # Done only when a look confirms it.
        return 0.0

    def _another_holds(self, now: float) -> bool:
        """Whether another gateway still holds the pair by its own word, or has not had the time to say so."""
        others = [name for name in self._identity.gateways if name != self._identity.node]
        reports = [found for name in others if (found := self._said_by(name)) and found[1] <= REPORTED_WITHIN]
        # S3 tells whole seconds.
        return any(_holds(report) or age + 1 >= now - self._taken_at for report, age in reports)

    def _said_by(self, gateway: str) -> tuple[dict[str, Any], float] | None:
        try:
            return self._cloud.report(gateway)
        except Malformed as malformed:
            say(f"takes it that {gateway} holds nothing: {malformed}")
            return None


def _holds(report: dict[str, Any]) -> bool:
    """Whether its writer says that it holds the pair: whoever owns a gateway writes what it likes there."""
    gateway = report.get("gateway")
    return isinstance(gateway, dict) and gateway.get("floating") is True


def _has(addresses: Sequence[str]) -> bool:
    """Whether this machine has all of these addresses."""
    # Without what Python wraps around a file: this happens all the time.
    file = os.open(ADDRESSES, os.O_RDONLY)
    try:
        table = b"".join(iter(lambda: os.read(file, 1 << 16), b""))
    finally:
        os.close(file)
    return all(
        re.search(rb"\|-- %s\n(?:\s+/.*\n)*?\s+/32 host LOCAL" % re.escape(address.encode()), table)
        for address in addresses
    )
