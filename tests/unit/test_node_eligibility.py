"""Nobody is promoted whose data is not known to be complete."""

from __future__ import annotations

from dataclasses import replace

import pytest
from holdfast_node.decision import Role, Server
from holdfast_node.eligibility import ASTRAY_FOR, FIRST, FIRST_FOR, NEVER, RECENT, Eligibility, priority, volunteers
from holdfast_node.servers import Details, details

ME, A, B = "10.40.0.4", "10.40.16.4", "10.40.32.4"


def follows(leader: str | None, *, up: bool = True, syncing: bool = False, may: int = 70) -> Details:
    role = Role.REPLICA if leader else Role.WAITING
    return Details(Server(role, leader, has_data=True), "7.0.15", 100, up, syncing, (), may)


LEADS = Details(Server(Role.LEADER, has_data=True), "7.0.15", 100, False, False, ())


class Node:
    """What is made of one look after the other, each some seconds later than the last."""

    def __init__(self) -> None:
        self.eligibility, self.now = Eligibility(), 1000.0

    def look(self, own: Details, proven: str | None, after: float = 0.125, named: str | None = None) -> bool | None:
        self.now += after
        return self.eligibility.look(own, ME, proven, named, self.now)


@pytest.fixture
def node() -> Node:
    return Node()


def test_one_that_started_may_be_promoted_from_its_first_sync_on(node: Node) -> None:
    assert node.look(follows(None, up=False, may=NEVER), A) is None
    assert node.look(follows(A, up=False, may=NEVER), A) is None
    assert node.look(follows(A, up=False, syncing=True, may=NEVER), A) is None
    assert node.look(follows(A, may=NEVER), A) is True
    assert node.look(follows(A), A) is None


@pytest.mark.parametrize("proven", [None, B], ids=["nobody is proven", "another is"])
def test_to_be_in_sync_with_somebody_who_is_not_proven_is_nothing(node: Node, proven: str | None) -> None:
    assert node.look(follows(A, may=NEVER), proven) is None


def test_one_that_lost_its_leader_may_be_promoted_for_as_long_as_it_takes(node: Node) -> None:
    node.look(follows(A), A)
    for _ in range(20):
        assert node.look(follows(A, up=False), A, after=10) is None


def test_one_that_is_fed_anew_may_not(node: Node) -> None:
    node.look(follows(A), A)
    assert node.look(follows(A, up=False, syncing=True), A) is False
    assert node.look(follows(A, up=False, syncing=True, may=NEVER), A) is None
    assert node.look(follows(A, may=NEVER), A) is True


@pytest.mark.parametrize(("away", "may"), [(1.0, None), (RECENT + 1, False)])
def test_one_that_follows_another_must_have_been_in_sync_just_before(node: Node, away: float, may: bool | None) -> None:
    node.look(follows(A), A)
    node.look(follows(A, up=False), A, after=away / 2)
    assert node.look(follows(B, up=False), B, after=away / 2) is may


@pytest.mark.parametrize(
    ("away", "named", "astray", "may"),
    [
        (0.0, B, ASTRAY_FOR - 0.1, None),
        (0.0, B, ASTRAY_FOR, False),
        (RECENT, B, 0.0, False),
        (RECENT, A, ASTRAY_FOR, None),
        (RECENT, None, ASTRAY_FOR, None),
        (RECENT, ME, ASTRAY_FOR, None),
    ],
    ids=["it has just been replaced", "not told", "long ago", "its leader is named", "nobody is", "it is itself"],
)
def test_one_that_follows_a_leader_that_was_replaced_may_not(
    node: Node, away: float, named: str | None, astray: float, may: bool | None
) -> None:
    """It was away; its leader follows the new one by now, and does not have everything itself."""
    node.look(follows(A), A)
    assert node.look(follows(A), None, named=named, after=away + 0.1) is (False if away and named == B else None)
    assert node.look(follows(A), None, named=named, after=astray) is may
    assert node.look(follows(B, may=NEVER), B, named=B) is True


def test_one_that_follows_the_promoted_one_is_not_astray_while_a_majority_names_the_old_one(node: Node) -> None:
    node.look(follows(A), A)
    for _ in range(4):
        assert node.look(follows(B), B, named=A, after=1) is None


def test_an_old_leader_counts_as_in_sync_for_as_long_as_it_was_proven(node: Node) -> None:
    node.look(LEADS, ME)
    assert node.look(LEADS, ME, after=100) is None
    assert node.look(follows(A, up=False), A, after=1) is None
    node.look(LEADS, ME)
    assert node.look(LEADS, A, after=100) is None
    assert node.look(follows(A, up=False), A, after=1) is False


def test_a_program_that_starts_leaves_things_as_they_are(node: Node) -> None:
    assert node.look(follows(A, up=False), None) is None
    assert node.look(follows(A, up=False, may=NEVER), None) is None


RESTARTED = follows(A, up=False, may=NEVER)


@pytest.mark.parametrize(
    ("own", "holder", "absent", "empty", "may"),
    [
        (RESTARTED, True, 30.0, 0.0, True),
        (RESTARTED, True, 29.9, 0.0, False),
        (RESTARTED, True, 0.0, 3.0, True),
        (RESTARTED, True, 0.0, 2.9, False),
        (RESTARTED, False, 300.0, 300.0, False),
        (follows(None, up=False, may=NEVER), True, 30.0, 0.0, True),
        (follows(A, up=True, may=NEVER), True, 30.0, 0.0, False),
        (follows(A, up=False, syncing=True, may=NEVER), True, 30.0, 0.0, False),
        (follows(A, up=False), True, 30.0, 0.0, False),
        (replace(RESTARTED, server=Server(Role.REPLICA, A)), True, 30.0, 0.0, False),
        (replace(RESTARTED, server=Server(Role.DOWN, has_data=True)), True, 30.0, 0.0, False),
        (replace(LEADS, priority=None), True, 30.0, 0.0, False),
    ],
    ids=[
        "the leader does not come back",
        "it may yet",
        "the leader is back, empty",
        "it may still be loading",
        "who had been away before",
        "follows nobody yet",
        "has a leader",
        "is being fed",
        "may already",
        "is empty itself",
        "is loading",
        "leads",
    ],
)
def test_who_restarted_leads_only_when_the_leader_is_lost_and_had_counted_it(
    own: Details, holder: bool, absent: float, empty: float, may: bool
) -> None:
    assert volunteers(own, holder=holder, absent_for=absent, empty_for=empty) is may


def test_the_older_server_comes_first() -> None:
    assert [priority(version) for version in ("6.0.16", "7.0.15", "8.0.2")] == [60, 70, 80]


def test_a_replica_says_its_priority_and_a_leader_does_not() -> None:
    of_replica = {"role": "slave", "master_host": A, "redis_version": "7.0.15", "slave_priority": "0"}
    assert (details(of_replica).priority, details(of_replica).server.promotable) == (0, False)
    assert details(of_replica | {"slave_priority": "70"}).server.promotable
    of_leader = {"role": "master", "master_repl_offset": "5", "redis_version": "7.0.15"}
    assert (details(of_leader).priority, details(of_leader).server.promotable) == (None, False)


def test_what_a_handover_that_was_ended_has_left_behind_is_taken_back(node: Node) -> None:
    """Else that replica would be promoted before others that have more."""
    preferred = follows(A, may=FIRST)
    assert node.look(preferred, A) is None
    assert node.look(preferred, A, after=FIRST_FOR - 1) is None
    assert node.look(preferred, A, after=1.1) is True
    assert node.look(follows(A), A) is None
    assert node.look(preferred, A) is None
