"""Who leads, by the word of a majority: a pure function of what the Sentinels say.

A majority speaks in two ways. Steadily, when more than half of all Sentinels name the same leader. And for the moments
of a change, through the Sentinel that it elected to make it: as soon as that one has chosen the replica to promote,
nobody else may take a write any more, and the chosen one may once it says itself that it leads. Waiting until the
others have heard of it, as a poll does, costs a second, and leaves the old leader open for as long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ANNOUNCED_FOR = 10.0
"""Seconds after which a change that neither ended nor failed counts no more."""


@dataclass(frozen=True)
class Announcement:
    """One Sentinel's word that it is promoting `target` in place of `old`, given at `at` (monotonic seconds)."""

    sentinel: str
    target: str
    old: str
    at: float
    held_up: bool = False
    """Whether it proves nobody until a majority names the target (see sentinels.py)."""


def majority_of(sentinels: int) -> int:
    return sentinels // 2 + 1


def named_by_majority(votes: Mapping[str, str], sentinels: int) -> str | None:
    """The address that a majority of all Sentinels names, or None. `votes`: Sentinel → leader that it names."""
    for address, count in Counter(votes.values()).items():
        if count >= majority_of(sentinels):
            return address
    return None


def announced(announcements: Iterable[Announcement], votes: Mapping[str, str], sentinels: int) -> frozenset[str]:
    """Who is being promoted. Only the word of a Sentinel that answers counts, and until a majority names the target.

    And only while a majority answers: one that is cut off with its choice may have been outvoted since. More than one:
    two Sentinels promote at the same time, and nobody is proven.
    """
    if len(votes) < majority_of(sentinels):
        return frozenset()
    named = named_by_majority(votes, sentinels)
    return frozenset(
        one.target
        for one in announcements
        if one.target != named
        and named in (one.old, None)
        and votes.get(one.sentinel) in (one.old, one.target)
        and not one.held_up
    )


def unfinished(announcements: Iterable[Announcement], votes: Mapping[str, str], named: str | None) -> bool:
    """Whether the last change was begun by a Sentinel that is silent or held up, and no majority knows of it yet.

    The one that it promoted may lead and have taken writes, which the others do not know: the old one may not go on.
    """
    changes = [one for one in announcements if one.target != named and named in (one.old, None)]
    last = max(changes, key=lambda one: one.at, default=None)
    return last is not None and (last.sentinel not in votes or last.held_up)


def proven(votes: Mapping[str, str], sentinels: int, announcements: Iterable[Announcement] = ()) -> str | None:
    """The only address that may take writes, once it says itself that it leads; None where there is no proof."""
    named, announcements = named_by_majority(votes, sentinels), list(announcements)
    targets = announced(announcements, votes, sentinels)
    if unfinished(announcements, votes, named):
        return None
    if not targets:
        return named
    return next(iter(targets)) if len(targets) == 1 else None
