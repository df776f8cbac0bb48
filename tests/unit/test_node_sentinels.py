"""What this node makes of the Sentinels' events, between two of their answers."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from holdfast_node import sentinels as module
from holdfast_node.identity import Identity
from holdfast_node.link import State
from holdfast_node.sentinels import Sentinels, View, Word


def login() -> tuple[str, str]:
    return "node", "secret"


A, B, C = "10.40.0.4", "10.40.16.4", "10.40.32.4"


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def sentinels(identity: Identity, clock: Clock) -> Any:
    """Three of them, that name local-a1."""
    found: Any = Sentinels(identity, login)
    found._views[A] = View(others=frozenset({B, C}))
    name(found, clock, dict.fromkeys((A, B, C), A))
    return found


def name(sentinels: Any, clock: Clock, votes: dict[str, str]) -> None:
    for sentinel, leader in votes.items():
        sentinels._words[sentinel] = Word(leader, clock.now)
    sentinels._forget_old_announcements()


def promote(sentinels: Any, by: str, new: str, old: str) -> None:
    sentinels._heard(by, "+failover-state-send-slaveof-noone", f"slave {new}:6380 {new} 6380 @ local {old} 6380")


def test_a_promotion_is_known_from_its_event_until_everybody_names_the_new_leader(sentinels: Any, clock: Clock) -> None:
    assert (sentinels.proven_leader(), sentinels.promoting()) == (A, None)
    promote(sentinels, C, B, A)
    assert (sentinels.proven_leader(), sentinels.promoting()) == (B, B)
    name(sentinels, clock, {C: B})
    assert (sentinels.proven_leader(), sentinels.promoting()) == (B, B)
    name(sentinels, clock, {A: B, B: B})
    assert (sentinels.proven_leader(), sentinels.promoting()) == (B, None)


def test_a_promotion_that_failed_leaves_the_old_leader(sentinels: Any) -> None:
    promote(sentinels, C, B, A)
    sentinels._heard(C, "-failover-abort-slave-timeout", "master local 10.40.0.4 6380")
    assert (sentinels.proven_leader(), sentinels.promoting()) == (A, None)


def test_back_and_forth_within_seconds_the_first_promotion_is_forgotten(sentinels: Any, clock: Clock) -> None:
    promote(sentinels, C, B, A)
    name(sentinels, clock, dict.fromkeys((A, B, C), B))
    promote(sentinels, A, A, B)
    assert sentinels.proven_leader() == A
    name(sentinels, clock, dict.fromkeys((A, B, C), A))
    assert (sentinels.proven_leader(), sentinels.promoting()) == (A, None)


def test_the_next_promotion_replaces_one_that_nobody_ever_heard_the_end_of(sentinels: Any) -> None:
    promote(sentinels, C, B, A)
    promote(sentinels, A, C, B)
    assert sentinels.promoting() is None or sentinels.promoting() == C
    assert B not in {one.target for one in sentinels._announcements.values()}


def test_another_environments_promotion_is_none_of_ours(sentinels: Any) -> None:
    sentinels._heard(C, "+failover-state-send-slaveof-noone", f"slave {B}:6380 {B} 6380 @ other {A} 6380")
    assert sentinels.promoting() is None


def test_without_a_word_within_the_lease_there_is_no_proof(sentinels: Any, clock: Clock) -> None:
    promote(sentinels, C, B, A)
    clock.now += 0.5
    assert (sentinels.proven_leader(), sentinels.promoting(), sentinels.own_word()) == (None, None, None)


def test_a_promotion_without_an_end_is_forgotten(sentinels: Any, clock: Clock) -> None:
    promote(sentinels, C, B, A)
    clock.now += 10.1
    name(sentinels, clock, dict.fromkeys((A, B, C), A))
    assert sentinels.proven_leader() == A


def test_an_answer_is_a_sentinels_word_and_a_refusal_is_none(sentinels: Any, clock: Clock) -> None:
    async def answers() -> None:
        clock.now += 1
        sentinels._named(A, [B, "6380"])
        sentinels._named(B, None)

    asyncio.run(answers())
    assert sentinels.votes() == {A: B}


def test_before_any_sentinel_has_told_of_the_others_there_are_as_many_as_there_can_be(
    sentinels: Any, clock: Clock
) -> None:
    # A program that has just started, on a machine that is cut off, must not take its own Sentinel for a majority.
    sentinels._views.clear()
    sentinels._words.clear()
    name(sentinels, clock, {A: A})
    assert (sentinels.known(), sentinels.proven_leader()) == (3, None)


class Recorder:
    """A connection to a Sentinel: what it is asked, and what it answers about replicas."""

    state = State.UP

    def __init__(self, address: str, *flags: str) -> None:
        self.address, self.flags, self.asked = address, flags, list[str]()

    def ask(self, then: Any, *words: object) -> None:
        self.asked.append(" ".join(map(str, words)))
        if words[1:2] == ("REPLICAS",):
            then([["ip", B, "flags", flags] for flags in self.flags])


@pytest.mark.parametrize(
    ("address", "flags", "restarts"),
    [
        (A, ("slave", "s_down,slave,promoted"), True),
        (A, ("s_down,slave", "slave,promoted"), False),
        (B, ("s_down,slave,promoted",), False),
    ],
    ids=["promoted and down", "another is down", "not the own Sentinel"],
)
def test_the_own_sentinel_begins_anew_when_the_one_that_it_promoted_is_lost_at_once(
    sentinels: Any, clock: Clock, address: str, flags: tuple[str, ...], restarts: bool
) -> None:
    link = Recorder(address, *flags)
    sentinels._look(link)
    assert ("SHUTDOWN" in link.asked) is restarts
    sentinels._look(link)
    assert link.asked.count("SHUTDOWN") == restarts, "once in a while is enough"


@pytest.mark.parametrize(
    ("own", "leader", "silent", "quorum"),
    [
        (A, C, (), 2),
        (B, C, (), 4),
        (C, C, (), 4),
        (B, A, (), 2),
        (A, A, (), 4),
        (B, C, (A,), 2),
        (C, A, (B,), 2),
        (C, A, (A, B), 2),
    ],
    ids=[
        "the first one",
        "the second one",
        "beside the leader",
        "the first one is beside the leader",
        "the first one, beside the leader",
        "the first one is silent",
        "the first that could is silent",
        "alone",
    ],
)
def test_one_sentinel_stands_for_election(
    identity: Identity, clock: Clock, own: str, leader: str, silent: tuple[str, ...], quorum: int
) -> None:
    sentinels: Any = Sentinels(dataclasses.replace(identity, address=own), login)
    sentinels._views[own] = View(others=frozenset({A, B, C} - {own}))
    name(sentinels, clock, {sentinel: leader for sentinel in (A, B, C) if sentinel not in silent})
    link = sentinels._links[own] = Recorder(own)
    for _ in range(2):
        sentinels.take_turns(anybody=False)
    assert link.asked == [f"SENTINEL SET local quorum {quorum}"], "once is enough"


def test_anybody_stands_when_nobody_has_in_time_and_only_until_then(sentinels: Any) -> None:
    link = sentinels._links[A] = Recorder(A)
    for anybody in (False, True, True, False):
        sentinels.take_turns(anybody=anybody)
    assert link.asked == [f"SENTINEL SET local quorum {quorum}" for quorum in (4, 2, 4)]


def test_a_sentinel_that_was_restarted_is_told_anew(sentinels: Any) -> None:
    link = sentinels._links[A] = Recorder(A)
    sentinels.take_turns(anybody=False)
    sentinels._link_changed(A)
    sentinels.take_turns(anybody=False)
    assert link.asked.count("SENTINEL SET local quorum 4") == 2


def test_a_sentinel_that_is_away_is_told_when_it_is_back(sentinels: Any) -> None:
    link = sentinels._links[A] = Recorder(A)
    link.state = State.REFUSED
    sentinels.take_turns(anybody=False)
    assert link.asked == []
    link.state = State.UP
    sentinels.take_turns(anybody=False)
    assert link.asked == ["SENTINEL SET local quorum 4"]


def test_before_the_own_sentinel_forgets_it_counts_as_it_does_without_turns(sentinels: Any) -> None:
    link = sentinels._links[A] = Recorder(A)
    sentinels.take_turns(anybody=False)
    sentinels.reset_own()
    sentinels.take_turns(anybody=False)
    assert link.asked == [
        "SENTINEL SET local quorum 4",
        "SENTINEL SET local quorum 2",
        "SENTINEL CKQUORUM local",
        "SENTINEL SET local quorum 4",
    ]


def test_who_was_cut_off_believes_no_majority_that_is_late(sentinels: Any, clock: Clock) -> None:
    """What A missed: B was promoted, which the Sentinel of B knows, and that of C does not yet."""
    clock.now += 2
    assert sentinels.proven_leader() is None
    name(sentinels, clock, {A: A, B: B, C: A})
    assert sentinels.proven_leader() is None
    clock.now += 0.3
    name(sentinels, clock, {A: A, B: B, C: B})
    assert sentinels.proven_leader() is None
    name(sentinels, clock, {A: B})
    assert sentinels.proven_leader() == B


def test_in_the_long_run_a_majority_is_enough(sentinels: Any, clock: Clock) -> None:
    clock.now += 2
    assert sentinels.proven_leader() is None
    clock.now += module.REJOINS_FOR
    name(sentinels, clock, {A: A, B: B, C: B})
    assert sentinels.proven_leader() == B


def test_who_was_cut_off_believes_those_that_agree_at_once(sentinels: Any, clock: Clock) -> None:
    clock.now += 2
    assert sentinels.proven_leader() is None
    name(sentinels, clock, {B: B, C: B})
    assert sentinels.proven_leader() == B
