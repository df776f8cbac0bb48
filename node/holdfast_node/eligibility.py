"""Whether this node's Redis may be promoted: its `replica-priority`, which is 0 until its data is known to be complete.

Sentinel compares offsets, and for how long links have been down. Of a Redis that has just started, or was pointed to
another leader, both say nothing: it would promote one whose data is days old. So each starts with 0 (see redis.conf).
"""

from __future__ import annotations

from holdfast_node.decision import Role
from holdfast_node.servers import Details
from holdfast_node.since import Since

NEVER = 0
"""The priority of one that no Sentinel promotes."""

RECENT = 6.0
"""Seconds since it was last in sync, after which it must be in sync anew with another leader that it was pointed to: as
long as Sentinel allows where it can tell."""

ASTRAY_FOR = 1.0
"""Seconds for which it may follow another than the one that leads: those that hear of a change follow within less."""

RETURNS_WITHIN = 30.0
"""Seconds that a lost leader has to come back by itself, where everybody restarted: machines do not boot equally fast,
and none has more than it."""

EMPTY_FOR = 3.0
"""Seconds for which it must be there and empty, until somebody else who restarted may lead."""

FIRST = 1
"""The priority that comes before all others: of the one that a handover wants promoted, while it lasts."""

FIRST_FOR = 30.0
"""Seconds after which it is what a handover has left behind that was ended in the middle: twice as long as one takes.
By it a replica could be promoted that has less than another."""


class Eligibility:
    """Of one Redis that runs. What it was told so far is in its own priority, and so outlives this program."""

    def __init__(self) -> None:
        self._in_sync_at = float("-inf")
        """When it last was, or led itself (monotonic seconds)."""
        self._with: str | None = None
        """Whom it followed last; itself, where it led."""
        self._first, self._astray = Since(), Since()

    def look(self, own: Details, me: str, proven: str | None, named: str | None, now: float) -> bool | None:
        """Whether it may be promoted from now on; None where nothing changes.

        `proven`: who leads. `named`: whom a majority names, if that one says itself that it leads.
        """
        leads, in_sync = proven == me and own.server.role is Role.LEADER, own.follows_in_sync(proven)
        before, leader = self._with, me if own.server.role is Role.LEADER else own.server.leader
        self._with = leader or before
        if leads or in_sync:
            self._in_sync_at = now
        # It was away, and may be in sync with an old leader, whatever that has.
        astray = named not in (None, me, leader)
        lost_touch = self._astray.seconds(astray, now) >= ASTRAY_FOR
        left = self._first.seconds(own.priority == FIRST, now) >= FIRST_FOR
        if own.server.role is Role.LEADER:
            return None
        if in_sync:
            return True if own.priority == NEVER or left else None
        elsewhere = before is not None and leader not in (None, before)
        outdated = own.syncing or lost_touch or ((elsewhere or astray) and now - self._in_sync_at > RECENT)
        return False if outdated and own.priority != NEVER else None


def volunteers(own: Details, *, holder: bool, absent_for: float, empty_for: float) -> bool:
    """Whether one that restarted may be promoted nonetheless, as there is nobody better.

    `holder`: the last leader counted it among those that have everything (see holders.py). `absent_for`, `empty_for`:
    seconds for which the leader that a majority names has not answered, or has, without any data.
    """
    restarted = own.priority == NEVER and own.server.has_data and not own.link_up and not own.syncing
    lost = absent_for >= RETURNS_WITHIN or empty_for >= EMPTY_FOR
    return restarted and own.server.role in (Role.REPLICA, Role.WAITING) and holder and lost


def priority(version: str) -> int:
    """Of two that may be promoted, the one with the older server comes first: a newer leader could not feed it.

    So a cluster keeps an old leader until the others are upgraded. The lower, the sooner.
    """
    return 10 * int(version.split(".")[0])
