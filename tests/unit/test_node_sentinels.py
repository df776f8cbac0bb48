"""What this node makes of the Sentinels' events, between two of their answers."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest
from holdfast_node import sentinels as module
from holdfast_node.identity import Identity
from holdfast_node.known import Known
from holdfast_node.link import State
from holdfast_node.sentinels import Sentinels, View, Word
from holdfast_node.told import Outvoted


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


@dataclass
class Listening:
    """A subscription to a Sentinel."""

    logged_in: bool = True
    serial: int = 1

    def renew(self) -> None:
        self.logged_in = False


def hear(sentinels: Any, *addresses: str) -> None:
    """Be subscribed to the events of these, who have told what there was before."""
    for address in addresses:
        sentinels._subscriptions[address] = Listening()
        sentinels._told[address] = 1


@pytest.fixture
def sentinels(identity: Identity, clock: Clock) -> Any:
    """Three of them, that name local-a1."""
    found: Any = Sentinels(identity, login)
    found._views[A] = View(others=frozenset({B, C}))
    hear(found, A, B, C)
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


@pytest.mark.parametrize(
    "end",
    [
        ("-failover-abort-not-elected", f"master local {A} 6380"),
        ("+failover-state-send-slaveof-noone", f"slave {B}:6380 {B} 6380 @ local {A} 6380"),
    ],
    ids=["not elected", "elected"],
)
def test_a_leader_is_contested_from_a_sentinels_standing_for_election_until_it_has_chosen(
    sentinels: Any, end: tuple[str, str]
) -> None:
    sentinels._heard(C, "+try-failover", f"master local {A} 6380")
    assert sentinels.proven_leader() == A
    assert [sentinels.contested(leader) for leader in (A, B, None)] == [True, False, False]
    sentinels._heard(C, *end)
    assert not sentinels.contested(A)


def test_a_sentinel_that_never_said_how_its_election_ended_contests_nobody_for_ever(
    sentinels: Any, clock: Clock
) -> None:
    sentinels._heard(C, "+try-failover", f"master local {A} 6380")
    sentinels._heard(B, "+try-failover", f"master other {A} 6380")
    sentinels._heard(C, "-failover-abort-not-elected", f"master local {A} 6380")
    assert not sentinels.contested(A)
    sentinels._heard(C, "+try-failover", f"master local {A} 6380")
    clock.now += 7.1
    assert not sentinels.contested(A)


@pytest.mark.parametrize(("flags", "contested"), [("master", False), ("master,failover_in_progress", True)])
@pytest.mark.parametrize("heard", [False, True])
def test_who_begins_to_listen_asks_a_sentinel_whether_it_stands_for_election(
    sentinels: Any, clock: Clock, heard: bool, flags: str, contested: bool
) -> None:
    """It may have been restarted since, or have said so unheard."""
    if heard:
        sentinels._heard(C, "+try-failover", f"master local {A} 6380")
    clock.now += 0.1
    sentinels._stands_already(C, clock.now, ["ip", A, "flags", flags, "config-epoch", "4"])
    assert sentinels.contested(A) is contested


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
        sentinels._named(A, clock.now, [B, "6380"])
        sentinels._named(B, clock.now, None)

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


def test_a_sentinel_that_has_just_begun_and_knows_nobody_is_no_majority(sentinels: Any, clock: Clock) -> None:
    """A leader that was cut off within those two seconds took writes beside its successor."""
    sentinels._views.clear()
    sentinels._views[A] = View()
    clock.now += 1
    name(sentinels, clock, {A: A})
    assert (sentinels.known(), sentinels.proven_leader()) == (3, None)


def test_the_first_sentinel_of_a_cluster_is_a_majority_until_another_one_speaks(sentinels: Any, clock: Clock) -> None:
    sentinels._views.clear()
    sentinels._words.clear()
    sentinels._told = {A: sentinels._told[A]}
    sentinels._views[A] = View()
    name(sentinels, clock, {A: A})
    assert (sentinels.known(), sentinels.named()) == (1, A)
    sentinels._told[B] = sentinels._subscriptions[B].serial
    name(sentinels, clock, {A: A, B: A})
    assert sentinels.known() == 2


class Recorder:
    """A connection to a Sentinel: what it is asked, and what it answers about replicas."""

    state = State.UP

    def __init__(self, address: str, *flags: str) -> None:
        self.address, self.flags, self.asked = address, flags, list[str]()
        self.sentinels: list[list[str]] = []
        self.leader = ["ip", A, "flags", "master", "last-ok-ping-reply", "120", "config-epoch", "3"]

    def ask(self, then: Any, *words: object) -> None:
        self.asked.append(" ".join(map(str, words)))
        if words[1:2] == ("REPLICAS",):
            then([["ip", B, "port", "6380", "flags", flags] for flags in self.flags])
        elif words[1:2] == ("SENTINELS",):
            then(self.sentinels)
        elif words[1:2] == ("MASTER",):
            then(self.leader)
        elif words[0] == "INFO":
            then("sentinel_tilt:0")


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
    link = sentinels._links[address] = Recorder(address, *flags)
    sentinels._look(link)
    assert ("SHUTDOWN" in link.asked) is restarts
    sentinels._look(link)
    assert link.asked.count("SHUTDOWN") == restarts, "once in a while is enough"


@pytest.mark.parametrize(
    ("looked", "reached"),
    [
        pytest.param({A: ("master", 120), B: ("master", 1400), C: ("master", 900)}, True, id="all reach it"),
        pytest.param({A: ("master,s_down", 9000), B: ("master", 1400)}, True, id="another one reaches it"),
        pytest.param({A: ("master", 1600), B: ("master", 1600), C: ("master", 1600)}, False, id="long ago"),
        pytest.param({A: ("master,disconnected", 120), B: ("s_down,master", 0)}, False, id="down"),
        pytest.param({}, False, id="not looked yet"),
    ],
)
def test_a_leader_is_reached_that_has_just_answered_a_sentinel(
    sentinels: Any, looked: dict[str, tuple[str, int]], reached: bool
) -> None:
    for address, (flags, answered) in looked.items():
        link = Recorder(address)
        link.leader[3], link.leader[5] = flags, str(answered)
        sentinels._look(link)
    assert sentinels.reach(A) is reached
    assert not sentinels.reach(B)


PATIENTLY, IMPATIENTLY = "SENTINEL SET local failover-timeout 6000", "SENTINEL SET local failover-timeout 1000"


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
    hear(sentinels, A, B, C)
    name(sentinels, clock, {sentinel: leader for sentinel in (A, B, C) if sentinel not in silent})
    link = sentinels._links[own] = Recorder(own)
    for _ in range(2):
        sentinels.take_turns(anybody=False)
    assert link.asked == [f"SENTINEL SET local quorum {quorum}", PATIENTLY], "once is enough"


def test_anybody_stands_when_nobody_has_in_time_and_only_until_then(sentinels: Any) -> None:
    link = sentinels._links[A] = Recorder(A)
    for anybody in (False, True, True, False):
        sentinels.take_turns(anybody=anybody)
    assert [one for one in link.asked if one != PATIENTLY] == [
        f"SENTINEL SET local quorum {quorum}" for quorum in (4, 2, 4)
    ]


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
    assert link.asked == ["SENTINEL SET local quorum 4", PATIENTLY]


@pytest.mark.parametrize("who", [B, C], ids=["whose turn it is", "another one"])
def test_one_that_has_voted_stands_again_soon_if_it_is_its_turn(identity: Identity, clock: Clock, who: str) -> None:
    """A leads no more, and who was promoted in its place is lost too, before the Sentinels know of it."""
    sentinels: Any = Sentinels(dataclasses.replace(identity, address=who), login)
    sentinels._views[who] = View(others=frozenset({A, B, C} - {who}))
    hear(sentinels, A, B, C)
    name(sentinels, clock, dict.fromkeys((A, B, C), A))
    link = sentinels._links[who] = Recorder(who)

    def told(channel: str) -> list[str]:
        link.asked.clear()
        sentinels._heard(who, channel, f"master local {A} 6380")
        sentinels.take_turns(anybody=False)
        return [one for one in link.asked if "failover-timeout" in one]

    sentinels.take_turns(anybody=False)
    impatiently = [IMPATIENTLY] if who == B else []
    patiently = [PATIENTLY] if who == B else []
    assert told("+odown") == impatiently
    assert told("-odown") == patiently
    assert told("+odown") == impatiently
    assert told("+try-failover") == patiently, "one that stalls after a promotion must not give that up"
    assert told("+odown") == []
    assert told("-failover-abort-not-elected") == impatiently
    assert told("+switch-master") == patiently
    sentinels._heard(A, "+odown", f"master local {A} 6380")
    sentinels.take_turns(anybody=False)
    assert link.asked[-1:] == patiently, "another one that misses the leader is not the own one"


@pytest.mark.parametrize(
    ("b", "c", "resets"),
    [
        ("sentinel", "sentinel", True),
        ("sentinel", "s_down,sentinel", False),
        ("sentinel,disconnected", "sentinel", False),
    ],
    ids=["reaches both", "one is down", "one is cut off"],
)
def test_the_own_sentinel_forgets_while_it_reaches_all_that_there_are(
    sentinels: Any, b: str, c: str, *, resets: bool
) -> None:
    """Three ghosts make CKQUORUM say NOQUORUM: they are why it shall forget."""
    link = sentinels._links[A] = Recorder(A)
    ghosts = [(f"10.9.9.{number}", "s_down,sentinel,disconnected") for number in (1, 2, 3)]
    link.sentinels = [["ip", ip, "port", "26379", "flags", flags] for ip, flags in [(B, b), (C, c), *ghosts]]
    sentinels.reset_own()
    assert ("SENTINEL RESET local" in link.asked) is resets


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


def test_who_was_cut_off_believes_those_that_agree_on_another_leader_at_once(sentinels: Any, clock: Clock) -> None:
    assert sentinels.proven_leader() == A
    clock.now += 2
    assert sentinels.proven_leader() is None
    name(sentinels, clock, {B: B, C: B})
    assert sentinels.proven_leader() == B


def test_who_was_cut_off_waits_for_one_that_may_be_replacing_the_leader_that_the_others_still_name(
    sentinels: Any, clock: Clock
) -> None:
    assert sentinels.proven_leader() == A
    clock.now += 1
    assert sentinels.proven_leader() is None
    name(sentinels, clock, {A: A, C: A})
    assert sentinels.proven_leader() is None
    name(sentinels, clock, {B: A})
    assert sentinels.proven_leader() == A


def test_who_was_cut_off_does_not_wait_for_one_that_was_silent_before(sentinels: Any, clock: Clock) -> None:
    clock.now += 10
    name(sentinels, clock, {A: A, C: A})
    assert sentinels.proven_leader() == A
    clock.now += 0.5
    assert sentinels.proven_leader() is None
    name(sentinels, clock, {A: A, C: A})
    assert sentinels.proven_leader() == A


def test_a_program_that_starts_waits_for_all_that_the_sentinels_know(sentinels: Any, clock: Clock) -> None:
    sentinels._words.clear()
    assert sentinels.proven_leader() is None
    name(sentinels, clock, {A: A, C: A})
    assert sentinels.proven_leader() is None
    clock.now += module.REJOINS_FOR
    name(sentinels, clock, {A: A, C: A})
    assert sentinels.proven_leader() == A


def test_an_answer_is_as_old_as_its_question(sentinels: Any, clock: Clock) -> None:
    """The program was stopped for a while: the answers that it finds then say who led before."""
    clock.now += 5
    for sentinel in (A, B, C):
        sentinels._named(sentinel, clock.now - 5, [A, "6380"])
    assert sentinels.votes() == {}


def connect(sentinels: Any, *promotes: str) -> dict[str, Reached]:
    """Connections to all three, which name A; that of C promotes these."""
    links = {address: Reached(address) for address in (A, B, C)}
    links[C].promotes = promotes
    sentinels._links.update(links)
    return links


class Reached:
    """A connection to a Sentinel that answers each question when it is told to."""

    state = State.UP

    def __init__(self, address: str) -> None:
        self.address, self.promotes = address, tuple[str, ...]()
        self.idle = True
        self._asked: list[tuple[Any, tuple[object, ...]]] = []

    def expire(self) -> None:
        pass

    def ask(self, then: Any, *words: object) -> None:
        self._asked.append((then, words))

    def answer(self) -> None:
        asked, self._asked = self._asked, []
        for then, words in asked:
            if words[1] == "GET-MASTER-ADDR-BY-NAME":
                then([A, "6380"])
            elif words[1] == "REPLICAS":
                flags = {ip: "slave,promoted" if ip in self.promotes else "slave" for ip in (B, C)}
                then([["ip", ip, "port", "6380", "flags", flags[ip]] for ip in (B, C)])


def test_a_word_counts_only_from_a_sentinel_whose_events_are_heard(sentinels: Any) -> None:
    sentinels._subscriptions[B].logged_in = False
    assert sentinels.votes() == {A: A, C: A}
    sentinels._subscriptions[C].serial += 1
    assert sentinels.votes() == {A: A}


def test_after_a_cut_nobody_counts_who_has_not_told_whom_it_promotes(sentinels: Any, clock: Clock) -> None:
    """Meanwhile the Sentinel of C was elected, and promotes B; that B leads it has not seen yet: all three name A."""
    links = connect(sentinels, B)
    for link in links.values():
        link.state = State.SILENT
        sentinels._link_changed(link.address)
        link.state = State.UP
    clock.now += 1
    assert sentinels.proven_leader() is None
    sentinels.ask()
    for link in links.values():
        link.answer()
    assert sentinels.proven_leader() is None, "their old subscriptions may be dead"
    for address in links:
        sentinels._subscriptions[address] = Listening(serial=2)
        sentinels._have_told(address)
    links[A].answer()
    links[B].answer()
    assert sentinels.proven_leader() is None, "one of three has not told yet"
    links[C].answer()
    assert (sentinels.proven_leader(), sentinels.promoting()) == (B, B)


def test_a_sentinel_that_names_the_one_that_it_promoted_is_believed_before_the_others_are(
    sentinels: Any, clock: Clock
) -> None:
    clock.now += 1
    assert sentinels.proven_leader() is None
    name(sentinels, clock, {A: A, B: A, C: B})
    sentinels._promotes_already(C, [{"ip": B, "flags": "slave,promoted"}], clock.now)
    assert sentinels.proven_leader() == B


def test_a_promotion_from_before_a_time_without_a_majority_proves_nobody_until_a_majority_names_it(
    sentinels: Any, clock: Clock
) -> None:
    """C promotes B, and is cut off with it. The others replace A by a third one, and only one of them is back."""
    promote(sentinels, C, B, A)
    name(sentinels, clock, {A: A, B: A, C: A})
    assert sentinels.proven_leader() == B
    clock.now += 1
    name(sentinels, clock, {C: B})
    assert (sentinels.proven_leader(), sentinels.promoting()) == (None, None)
    clock.now += 4
    name(sentinels, clock, {A: A, C: B})
    assert (sentinels.proven_leader(), sentinels.promoting()) == (None, None)
    name(sentinels, clock, {A: B, C: B})
    assert sentinels.proven_leader() == B


def test_a_sentinel_that_was_frozen_after_its_promotion_is_not_believed_once_that_leader_is_replaced(
    sentinels: Any, clock: Clock
) -> None:
    """Its machine led, and so was frozen with it: it names the old leader still, which leads again by now."""
    promote(sentinels, C, B, A)
    name(sentinels, clock, {A: B, B: B, C: A})
    clock.now += 6
    name(sentinels, clock, {A: A, B: A, C: A})
    sentinels._promotes_already(C, [{"ip": B, "flags": "slave,promoted"}], clock.now)
    assert (sentinels.proven_leader(), sentinels.promoting()) == (A, None)
    sentinels._promotes_already(C, [{"ip": B, "flags": "slave"}], clock.now)
    sentinels._promotes_already(C, [{"ip": B, "flags": "slave,promoted"}], clock.now)
    assert sentinels.promoting() == B, "that is another one"


@pytest.mark.parametrize("named", [A, B, None], ids=["replaced", "led still", "nobody knows"])
def test_the_own_sentinel_does_not_end_a_promotion_that_was_replaced_meanwhile(
    sentinels: Any, clock: Clock, named: str | None
) -> None:
    link = sentinels._links[A] = Recorder(A, "slave,promoted")
    promote(sentinels, A, B, C)
    name(sentinels, clock, dict.fromkeys((A, B, C), B))
    clock.now += 6
    name(sentinels, clock, dict.fromkeys((A, B, C), named) if named else {A: A})
    sentinels._look(link)
    assert ("SHUTDOWN" in link.asked) is (named == A)


@pytest.mark.parametrize(("after", "expected"), [(0.1, A), (-0.1, B)], ids=["it knows of none", "it was not yet"])
def test_a_sentinel_that_knows_of_no_promotion_any_more_has_ended_it(
    sentinels: Any, clock: Clock, after: float, expected: str
) -> None:
    """It was restarted: what it had not told the others is forgotten."""
    promote(sentinels, C, B, A)
    sentinels._promotes_already(C, [{"ip": B, "flags": "slave"}], clock.now + after)
    assert sentinels.proven_leader() == expected


def test_a_sentinel_is_asked_again_until_it_has_told(sentinels: Any, clock: Clock) -> None:
    links = connect(sentinels)
    sentinels._subscriptions[B].serial += 1
    sentinels.ask()
    assert B not in sentinels.votes()
    links[B].answer()
    assert B in sentinels.votes()


def test_who_is_gone_for_good_counts_nowhere(sentinels: Any, clock: Clock) -> None:
    """Five became three; A and B were reset; C, which was not, is lost."""
    D, E = "10.40.0.7", "10.40.16.7"
    sentinels._views[B] = View(others=frozenset({A, C}))
    sentinels._views[C] = View(others=frozenset({A, B, D, E}))
    name(sentinels, clock, {A: A, B: A})
    assert sentinels.known() == 5
    sentinels.forget(frozenset({D, E}))
    assert sentinels.known() == 3
    sentinels.forget(frozenset({C}))
    assert sentinels.known() == 2, "nor does what it knew"


def test_a_sentinel_in_tilt_misses_a_leader_again_after_three_seconds(sentinels: Any) -> None:
    link = sentinels._links[A] = Recorder(A)
    sentinels._link_changed(A)
    assert "TILT-PERIOD 3000" in link.asked[0]
    assert "INFO-PERIOD 200" in link.asked[0]


class Hears:
    """A connection to a Sentinel that has last heard of each replica so many milliseconds before it is asked."""

    state = State.UP

    def __init__(self, clock: Clock, *ages: dict[str, int]) -> None:
        self.clock, self.ages, self.asked = clock, list(ages), list[str]()

    def ask(self, then: Any, *words: object) -> None:
        if words[1] == "DEBUG":
            self.period = words[3]
            return
        self.asked.append(str(words[1]))
        self.clock.now += 0.031
        assert self.period == (200 if words[1] == "FAILOVER" else 50), "it hurries before it chooses, and only then"
        if words[1] == "REPLICAS":
            ages = self.ages.pop(0) if len(self.ages) > 1 else self.ages[0]
            then([["ip", ip, "info-refresh", str(age)] for ip, age in ages.items()])


@pytest.mark.parametrize(
    ("ages", "still", "asked"),
    [
        ([{B: 10, C: 10}], True, ["REPLICAS", "FAILOVER"]),
        ([{B: 10, C: 900}, {B: 40, C: 5}], True, ["REPLICAS", "REPLICAS", "FAILOVER"]),
        ([{B: 10, C: 0}, {B: 40, C: 5}], True, ["REPLICAS", "REPLICAS", "FAILOVER"]),
        ([{B: 10, C: 900}], True, ["REPLICAS"] * 7 + ["FAILOVER"]),
        ([{B: 10, C: 10}], False, ["REPLICAS"]),
    ],
    ids=[
        "both were heard",
        "one is late",
        "one was not asked yet",
        "one is never heard",
        "somebody else was promoted meanwhile",
    ],
)
def test_a_failover_is_asked_for_when_the_sentinel_has_heard_of_all_after_the_loss(
    sentinels: Any,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    ages: list[dict[str, int]],
    still: bool,
    asked: list[str],
) -> None:
    async def at_once(_: float) -> None:
        pass

    monkeypatch.setattr(module.asyncio, "sleep", at_once)
    link = sentinels._links[A] = Hears(clock, *ages)
    asyncio.run(sentinels.fail_over([B, C], lambda: still))
    assert link.asked == asked


D = "10.40.0.7"
GHOSTS = [f"10.9.9.{number}" for number in (1, 2, 3)]


def listed(*others: str, port: int = 26379) -> list[list[str]]:
    return [["ip", ip, "port", str(port), "flags", "sentinel"] for ip in others]


def test_ghosts_count_nowhere_are_not_logged_in_to_and_are_noticed(sentinels: Any) -> None:
    sentinels._links |= {address: Recorder(address) for address in (A, B, C)}
    link = sentinels._links[A]
    link.sentinels = listed(B, C, *GHOSTS)
    sentinels._look(link)
    assert (sentinels.known(), sentinels.proven_leader()) == (3, A)
    assert sentinels._links.keys() == {A, B, C}
    assert sentinels.strangers() == {A: {f"{ghost}:26379" for ghost in GHOSTS}}
    assert sentinels.known_by()[A] >= {B, C, "10.9.9.1:26379"}, "so that membership.py has them forgotten"


def test_a_ghost_at_the_address_of_a_sentinel_counts_no_further_and_is_noticed(sentinels: Any) -> None:
    link = sentinels._links[A] = Recorder(A)
    sentinels._links |= {B: Recorder(B), C: Recorder(C)}
    link.sentinels = listed(B, C) + listed(B, port=9999)
    sentinels._look(link)
    assert (sentinels.known(), sentinels.strangers()) == (3, {A: {f"{B}:9999"}})


def test_a_slot_that_is_not_deployed_and_a_newer_node_of_another_layout_count(sentinels: Any) -> None:
    """Who has the older list must not count fewer than there are."""
    for address in (B, C, D, "10.41.0.4"):
        sentinels._links[address] = Recorder(address)
    identity = sentinels.identity
    with_slot = dataclasses.replace(identity, sentinels=identity.sentinels | {"local-a2": D})
    sentinels.identity, sentinels._known = with_slot, Known(with_slot)
    link = sentinels._links[A] = Recorder(A)
    link.sentinels = listed(B, C, D, "10.41.0.4")
    sentinels._look(link)
    assert sentinels.known() == 4
    sentinels.know(frozenset({A, B, C, "10.41.0.4"}))
    sentinels._look(link)
    assert (sentinels.known(), sentinels.strangers()) == (5, {})


def test_in_tiered_a_ghost_beside_the_redis_of_a_node_is_a_ghost(identity: Identity, clock: Clock) -> None:
    """The node is deployed, and no Sentinel runs there."""
    tiered = dataclasses.replace(identity, data={"local-data-a1": D})
    sentinels: Any = Sentinels(tiered, login)
    sentinels.know(frozenset({A, B, C, D}))
    sentinels._links = {address: Recorder(address) for address in (A, B, C)}
    sentinels._links[A].sentinels = listed(B, C, D)
    sentinels._look(sentinels._links[A])
    assert (sentinels.known(), sentinels.strangers()) == (3, {A: {f"{D}:26379"}})


@pytest.mark.parametrize("leader", [["10.9.9.8", "6380"], [B, "9999"]], ids=["a foreign address", "a foreign port"])
def test_a_leader_that_is_no_slot_is_named_by_nobody(sentinels: Any, clock: Clock, leader: list[str]) -> None:
    clock.now += 0.3
    for address in (A, B, C):
        sentinels._named(address, clock.now, leader)
    clock.now += 0.3
    assert (sentinels.votes(), sentinels.named(), sentinels.proven_leader()) == ({}, None, None)
    assert sentinels.members() == {A}
    assert sentinels.strangers()[A] == {":".join(leader)}
    assert sentinels.poisoned()
    sentinels._named(A, clock.now, [A, "6380"])
    assert A not in sentinels.strangers()


def test_a_promotion_of_a_stranger_proves_nobody_else_and_not_the_stranger(sentinels: Any) -> None:
    promote(sentinels, C, "10.9.9.8", A)
    assert (sentinels.promoting(), sentinels.proven_leader()) == (None, A)
    sentinels._promotes_already(C, [{"ip": "10.9.9.8", "flags": "slave,promoted"}], 0.0)
    assert sentinels.promoting() is None


def test_whom_strangers_may_have_elected_a_majority_must_confirm(sentinels: Any, clock: Clock) -> None:
    """A ghost that votes can give one Sentinel more votes than all real ones together have."""
    sentinels._views[C] = View(others=frozenset({A, B}), strangers=frozenset({"10.9.9.1:26379"}))
    promote(sentinels, C, B, A)
    assert sentinels.proven_leader() is None
    name(sentinels, clock, {B: B, C: B})
    assert sentinels.proven_leader() == B


@pytest.mark.parametrize("epoch", [2**64 - 1, 2**53])
def test_a_forged_epoch_is_noticed_from_its_event_until_the_sentinel_has_begun_anew(sentinels: Any, epoch: int) -> None:
    link = sentinels._links[B] = Recorder(B)
    sentinels._heard(B, "+new-epoch", "7")
    assert (sentinels.absurd_epochs(), sentinels.poisoned()) == ({}, False)
    sentinels._heard(B, "+new-epoch", str(epoch))
    assert (sentinels.absurd_epochs(), sentinels.poisoned()) == ({B: epoch}, True)
    link.state = State.BUSY
    sentinels._link_changed(B)
    assert sentinels.poisoned()
    link.state = State.REFUSED
    sentinels._link_changed(B)
    assert not sentinels.poisoned()


def test_a_forged_epoch_of_a_leader_is_noticed_at_a_look(sentinels: Any) -> None:
    link = sentinels._links[A] = Recorder(A)
    link.leader = ["ip", A, "flags", "master", "last-ok-ping-reply", "120", "config-epoch", "-1"]
    sentinels._look(link)
    assert sentinels.absurd_epochs() == {A: 2**64 - 1}


def test_all_sentinels_are_restarted_in_one_step(sentinels: Any) -> None:
    sentinels._links = {address: Recorder(address) for address in (A, B, C)}
    sentinels.restart_all()
    assert [link.asked for link in sentinels._links.values()] == [["SHUTDOWN"]] * 3


def test_what_a_sentinel_believed_that_is_away_is_not_reported(sentinels: Any) -> None:
    """Else all others would be restarted again and again for it."""
    link = sentinels._links[A] = Recorder(A)
    sentinels._links |= {B: Recorder(B), C: Recorder(C)}
    link.sentinels = listed(B, C, *GHOSTS)
    sentinels._look(link)
    assert sentinels.strangers().keys() == {A}
    link.state = State.SILENT
    assert sentinels.strangers() == {}


def names_since(sentinels: Any, sentinel: str, leader: str, epoch: str) -> None:
    """That Sentinel tells of its leader."""
    sentinels._stands_already(sentinel, 0.0, ["ip", leader, "flags", "master", "config-epoch", epoch])


@pytest.mark.parametrize("deaf", [True, False], ids=["after a time without a majority", "at any time"])
@pytest.mark.parametrize(("epoch", "proven"), [("7", C), ("6", C), ("8", B)], ids=["the same", "an older", "a newer"])
def test_a_promotion_that_is_told_of_again_proves_nobody_beside_a_leader_since_a_later_epoch(
    sentinels: Any, clock: Clock, deaf: bool, epoch: str, proven: str
) -> None:
    """B's Sentinel was away with B, which it had promoted; the others have elected C meanwhile, since epoch 7."""
    if deaf:
        clock.now += 4
        assert sentinels.proven_leader() is None
        clock.now += 4
    for sentinel in (A, C):
        names_since(sentinels, sentinel, C, "7")
    name(sentinels, clock, {A: C, C: C})
    names_since(sentinels, B, B, epoch)
    name(sentinels, clock, {A: C, B: B, C: C})
    sentinels._promotes_already(B, [{"ip": B, "flags": "slave,promoted"}], clock.now)
    assert sentinels.promoting() == (B if proven == B else None)
    clock.now += 4
    name(sentinels, clock, {A: C, B: B, C: C})
    assert sentinels.proven_leader() == proven


def test_an_own_sentinel_that_names_another_one_than_the_majority_is_outvoted(sentinels: Any, clock: Clock) -> None:
    link = sentinels._links[A] = Recorder(A)
    link.leader = ["ip", B, "flags", "master", "last-ok-ping-reply", "120", "config-epoch", "7"]
    sentinels._look(link)
    name(sentinels, clock, {A: B, B: C, C: C})
    for epoch in ("6", "8"):
        names_since(sentinels, C, C, epoch)
        assert sentinels.outvoted() is None, "the greater epoch wins by itself"
    names_since(sentinels, C, C, "7")
    assert sentinels.outvoted() == Outvoted(B, 7, C)
    name(sentinels, clock, {A: C, B: C, C: C})
    assert sentinels.outvoted() is None
    name(sentinels, clock, {A: B, B: C, C: A})
    assert sentinels.outvoted() is None, "there is no majority"
    name(sentinels, clock, {A: B, B: C, C: C})
    promote(sentinels, A, B, C)
    assert sentinels.outvoted() is None, "it promotes the other one just now"
    sentinels.restart_own("for a test")
    sentinels.restart_own("for a test")
    assert link.asked.count("SHUTDOWN") == 1
