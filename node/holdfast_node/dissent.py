"""An own Sentinel that names another leader than the majority, and would for good.

Sentinels that do not hear each other can promote two replicas in the same epoch, and each adopts only a greater one by
the others' greetings. The next failover would mend it, but until then one vote is missing: the loss of another Sentinel
would close the gateways. So it is restarted, and begins with the leader of the majority (see sentinel_config.py).
"""

from __future__ import annotations

from collections.abc import Callable

from holdfast_node import told
from holdfast_node.log import say
from holdfast_node.since import Since
from holdfast_node.told import Outvoted

DISSENTS_FOR = 6.0
"""Seconds for which it must name the same other leader: greetings, each two seconds, mend what a greater epoch can."""

BECAUSE = "it names another leader than the majority, in the same epoch"


class Dissent:
    """`restart`: has the own Sentinel begin anew, for a reason."""

    def __init__(self, restart: Callable[[str], None]) -> None:
        self._restart, self._since = restart, Since()
        self._last: Outvoted | None = None

    def look(self, outvoted: Outvoted | None, now: float) -> None:
        """To be called every second (`now` in monotonic seconds)."""
        same, self._last = outvoted == self._last, outvoted
        if self._since.seconds(outvoted is not None and same, now) >= DISSENTS_FOR and outvoted:
            self._since = Since()
            try:
                told.tell_outvoted(outvoted)
            except OSError as error:
                say(f"{BECAUSE}, and cannot be told: {error}")
                return
            self._restart(BECAUSE)
