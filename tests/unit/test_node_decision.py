"""Every row of the table in node/README.md, and what may never be decided whatever a node sees."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from holdfast_node.decision import Decision, Do, Role, Server, Snapshot, contradicts, decide, hangs_back, is_leaderless

README = Path(__file__).parents[2] / "node" / "README.md"

A, B, C = "10.40.0.4", "10.40.16.4", "10.40.32.4"

LEADER = Server(Role.LEADER, has_data=True)
REPLICA_OF_A = Server(Role.REPLICA, leader=A, has_data=True, promotable=True)
STALE_REPLICA_OF_A = Server(Role.REPLICA, leader=A, has_data=True)
"""It has just started, or is being fed: what it has is of any age."""
REPLICA_OF_C = Server(Role.REPLICA, leader=C, has_data=True)
REPLICA_OF_B = Server(Role.REPLICA, leader=B, has_data=True, promotable=True)
WAITING = Server(Role.WAITING, has_data=True)
EMPTY = Server(Role.WAITING)
DOWN = Server(Role.DOWN)
SILENT = Server(Role.SILENT)

NAMED = {A: A, B: A}
"""Two of three Sentinels name this node."""
OTHER_NAMED = {A: B, B: B, C: B}
MOSTLY_OTHER = {**OTHER_NAMED, next(iter(OTHER_NAMED)): A}

ROWS = [
    (
        Snapshot(me=A, own=LEADER, votes={A: A}, sentinels=3),
        Decision(Do.STAY, "leads, but only 1 of 3 Sentinels name the same leader: the gateways are closed"),
    ),
    (
        Snapshot(me=A, own=EMPTY, votes={A: A, B: B}, sentinels=3),
        Decision(Do.STAY, "waits: 1 of 3 Sentinels name the same leader, and a majority is 2"),
    ),
    (
        Snapshot(me=A, own=REPLICA_OF_B, votes={A: B, B: B}, sentinels=5),
        Decision(Do.STAY, "waits: 2 of 5 Sentinels name the same leader, and a majority is 3"),
    ),
    (
        Snapshot(me=A, own=DOWN, votes=OTHER_NAMED, sentinels=3),
        Decision(Do.STAY, "its Redis does not run; a majority names 10.40.16.4"),
    ),
    (
        Snapshot(me=A, own=SILENT, votes=OTHER_NAMED, sentinels=3),
        Decision(Do.STAY, "its Redis does not answer; a majority names 10.40.16.4"),
    ),
    (
        Snapshot(me=A, own=WAITING, votes=OTHER_NAMED, sentinels=3),
        Decision(Do.FOLLOW, "a majority names 10.40.16.4: follows it", B),
    ),
    (
        Snapshot(me=A, own=REPLICA_OF_B, votes=OTHER_NAMED, sentinels=3),
        Decision(Do.STAY, "follows 10.40.16.4, which a majority names"),
    ),
    (
        Snapshot(
            me=A, own=REPLICA_OF_B, votes=OTHER_NAMED, sentinels=3, peers={B: EMPTY}, leaderless_for=3.0, holder=True
        ),
        Decision(Do.OFFER, "a majority names 10.40.16.4, which does not lead: offers itself to be promoted"),
    ),
    (
        # It was cut off before the leader was lost.
        Snapshot(me=A, own=REPLICA_OF_B, votes=OTHER_NAMED, sentinels=3, peers={B: EMPTY}, leaderless_for=3.0),
        Decision(Do.STAY, "follows 10.40.16.4, which a majority names"),
    ),
    (
        # Before the others have heard of it.
        Snapshot(me=A, own=REPLICA_OF_C, votes={A: C, C: C}, sentinels=3, promoting=B, peers={B: LEADER}),
        Decision(Do.FOLLOW, "a Sentinel promoted 10.40.16.4, which leads: follows it", B),
    ),
    (
        Snapshot(me=A, own=REPLICA_OF_C, votes=OTHER_NAMED, sentinels=3, promoting=B, peers={B: REPLICA_OF_A}),
        Decision(Do.STAY, "a majority names 10.40.16.4: leaves the change to the Sentinels for now"),
    ),
    (
        # A handover demotes it; else the Sentinels do, and what it took beside its successor is not dropped in haste.
        Snapshot(me=A, own=LEADER, votes=NAMED, sentinels=3, promoting=B, peers={B: LEADER}),
        Decision(Do.STAY, "a majority names 10.40.16.4: leaves the change to the Sentinels for now"),
    ),
    (
        Snapshot(me=A, own=LEADER, votes=OTHER_NAMED, sentinels=3, peers={B: LEADER}, contradicts_for=4.0),
        Decision(Do.FOLLOW, "a majority names 10.40.16.4, which leads: gives up its own role and follows it", B),
    ),
    (
        Snapshot(
            me=A,
            own=Server(Role.REPLICA, leader=C),
            votes=OTHER_NAMED,
            sentinels=3,
            peers={B: LEADER},
            contradicts_for=4.0,
        ),
        Decision(Do.FOLLOW, "a majority names 10.40.16.4, which leads: gives up its own role and follows it", B),
    ),
    (
        # The third one may just have promoted it.
        Snapshot(me=A, own=LEADER, votes=MOSTLY_OTHER, sentinels=3, peers={B: LEADER}, contradicts_for=3.9),
        Decision(Do.STAY, "a majority names 10.40.16.4: leaves the change to the Sentinels for now"),
    ),
    (
        Snapshot(me=A, own=LEADER, votes=OTHER_NAMED, sentinels=3, peers={B: LEADER}, contradicts_for=1.0),
        Decision(Do.FOLLOW, "a majority names 10.40.16.4, which leads: gives up its own role and follows it", B),
    ),
    (
        Snapshot(me=A, own=LEADER, votes=OTHER_NAMED, sentinels=3, peers={B: LEADER}, contradicts_for=0.9),
        Decision(Do.STAY, "a majority names 10.40.16.4: leaves the change to the Sentinels for now"),
    ),
    (
        # A Sentinel that is away may have promoted it.
        Snapshot(me=A, own=LEADER, votes=OTHER_NAMED, sentinels=4, peers={B: LEADER}, contradicts_for=3.9),
        Decision(Do.STAY, "a majority names 10.40.16.4: leaves the change to the Sentinels for now"),
    ),
    (
        # Nobody has just promoted it, so there is no promotion to undo.
        Snapshot(
            me=A, own=LEADER, votes=MOSTLY_OTHER, sentinels=3, peers={B: LEADER}, contradicts_for=1.0, established=True
        ),
        Decision(Do.FOLLOW, "a majority names 10.40.16.4, which leads: gives up its own role and follows it", B),
    ),
    (
        Snapshot(
            me=A, own=LEADER, votes=MOSTLY_OTHER, sentinels=3, peers={B: LEADER}, contradicts_for=0.9, established=True
        ),
        Decision(Do.STAY, "a majority names 10.40.16.4: leaves the change to the Sentinels for now"),
    ),
    (
        Snapshot(me=A, own=LEADER, votes=OTHER_NAMED, sentinels=3, peers={B: REPLICA_OF_A}, contradicts_for=9.0),
        Decision(Do.STAY, "a majority names 10.40.16.4: leaves the change to the Sentinels for now"),
    ),
    (
        Snapshot(me=A, own=LEADER, votes=OTHER_NAMED, sentinels=3, contradicts_for=9.0),
        Decision(Do.STAY, "a majority names 10.40.16.4: leaves the change to the Sentinels for now"),
    ),
    (
        Snapshot(me=A, own=LEADER, votes=NAMED, sentinels=3),
        Decision(Do.STAY, "leads, and a majority names it"),
    ),
    (
        Snapshot(me=A, own=REPLICA_OF_B, votes=NAMED, sentinels=3),
        Decision(Do.STAY, "a majority names it: the Sentinels are promoting it"),
    ),
    (
        # It was to be promoted, and was frozen; now each of the two follows the other.
        Snapshot(me=A, own=REPLICA_OF_B, votes=NAMED, sentinels=3, peers={B: REPLICA_OF_A}, hangs_back_for=4.0),
        Decision(Do.WAIT, "a majority names it, and it follows 10.40.16.4, which does not lead: follows nobody"),
    ),
    (
        Snapshot(me=A, own=REPLICA_OF_B, votes=NAMED, sentinels=3, peers={B: LEADER}, hangs_back_for=9.0),
        Decision(Do.STAY, "a majority names it: the Sentinels are promoting it"),
    ),
    (
        Snapshot(me=A, own=REPLICA_OF_B, votes=NAMED, sentinels=3, promoting=A, hangs_back_for=9.0),
        Decision(Do.STAY, "a majority names it: the Sentinels are promoting it"),
    ),
    (
        Snapshot(me=A, own=SILENT, votes=NAMED, sentinels=3, peers={B: REPLICA_OF_A}),
        Decision(Do.STAY, "a majority names it, but its Redis does not answer: leaves it to the other Sentinels"),
    ),
    (
        Snapshot(me=A, own=WAITING, votes=NAMED, sentinels=3, peers={B: LEADER, C: REPLICA_OF_A}),
        Decision(Do.STAY, "a majority names it, but 10.40.16.4 leads already: leaves it to the Sentinels"),
    ),
    (
        Snapshot(me=A, own=WAITING, votes=NAMED, sentinels=3, peers={B: REPLICA_OF_A}),
        Decision(Do.FAIL_OVER, "led until its Redis restarted, and a replica kept running: hands over to it"),
    ),
    (
        Snapshot(me=A, own=DOWN, votes=NAMED, sentinels=3, peers={B: REPLICA_OF_A, C: EMPTY}),
        Decision(Do.FAIL_OVER, "led until its Redis restarted, and a replica kept running: hands over to it"),
    ),
    (
        Snapshot(me=A, own=DOWN, votes=NAMED, sentinels=3, peers={B: WAITING}),
        Decision(Do.STAY, "a majority names it, and its Redis is starting"),
    ),
    (
        # Its data is older than what this node has; Sentinel would not know.
        Snapshot(me=A, own=WAITING, votes=NAMED, sentinels=3, peers={B: STALE_REPLICA_OF_A}),
        Decision(Do.LEAD, "a majority names it, it holds data, and no replica kept running: leads"),
    ),
    (
        Snapshot(me=A, own=WAITING, votes=NAMED, sentinels=3, peers={B: DOWN, C: SILENT}, waits_for=1.9),
        Decision(Do.STAY, "a majority names it, and it holds data: waits a moment for 10.40.32.4 to answer"),
    ),
    (
        Snapshot(me=A, own=WAITING, votes=NAMED, sentinels=3, peers={B: DOWN, C: SILENT}, waits_for=2.0),
        Decision(Do.LEAD, "a majority names it, it holds data, and no replica kept running: leads"),
    ),
    (
        Snapshot(me=A, own=WAITING, votes=NAMED, sentinels=3, peers={B: WAITING}),
        Decision(Do.LEAD, "a majority names it, it holds data, and no replica kept running: leads"),
    ),
    (
        Snapshot(me=A, own=EMPTY, votes=NAMED, sentinels=3, peers={B: WAITING}, began=True),
        Decision(Do.FAIL_OVER, "a majority names it, but it is empty and a peer holds data: never leads like that"),
    ),
    (
        Snapshot(me=A, own=EMPTY, votes=NAMED, sentinels=3, began=True),
        Decision(Do.LEAD, "a majority names it, it began this cluster, and nobody holds data: leads"),
    ),
    (
        Snapshot(me=A, own=EMPTY, votes=NAMED, sentinels=3, peers={B: EMPTY, C: EMPTY}, members_known=True),
        Decision(Do.LEAD, "a majority names it, and of all nodes nobody holds data: leads"),
    ),
    (
        # `single`, with a new volume.
        Snapshot(me=A, own=EMPTY, votes={A: A}, sentinels=1, members_known=True),
        Decision(Do.LEAD, "a majority names it, and of all nodes nobody holds data: leads"),
    ),
    (
        Snapshot(me=A, own=EMPTY, votes=NAMED, sentinels=3, peers={B: EMPTY, C: EMPTY}),
        Decision(Do.STAY, "waits: it is empty, and does not know yet which nodes there are"),
    ),
    (
        # Whatever a majority of the others says.
        Snapshot(me=A, own=EMPTY, votes=NAMED, sentinels=3, peers={B: EMPTY, C: SILENT}, members_known=True),
        Decision(Do.STAY, "waits: it is empty, and cannot tell whether 10.40.32.4 holds data"),
    ),
    (
        # A loading Redis answers, but does not know yet what it holds.
        Snapshot(me=A, own=EMPTY, votes=NAMED, sentinels=3, peers={B: DOWN, C: EMPTY}, members_known=True),
        Decision(Do.STAY, "waits: it is empty, and cannot tell whether 10.40.16.4 holds data"),
    ),
]


@pytest.mark.parametrize(("snapshot", "decision"), ROWS, ids=[row[1].sentence for row in ROWS])
def test_a_row_of_the_table(snapshot: Snapshot, decision: Decision) -> None:
    assert decide(snapshot) == decision


@pytest.mark.parametrize(
    ("own", "named", "expected"),
    [
        (LEADER, B, True),
        (REPLICA_OF_B, C, True),
        (REPLICA_OF_B, B, False),
        (WAITING, B, False),
        (DOWN, B, False),
        (LEADER, A, False),
        (REPLICA_OF_B, A, False),
        (WAITING, A, False),
        (LEADER, None, False),
    ],
)
def test_only_who_leads_or_follows_beside_the_named_leader_contradicts(
    own: Server, named: str | None, expected: bool
) -> None:
    assert contradicts(A, own, named) is expected


@pytest.mark.parametrize(
    ("own", "named", "expected"),
    [
        (REPLICA_OF_B, A, True),
        (LEADER, A, False),
        (WAITING, A, False),
        (REPLICA_OF_B, B, False),
        (REPLICA_OF_B, None, False),
    ],
)
def test_only_who_follows_somebody_though_it_is_named_hangs_back(
    own: Server, named: str | None, expected: bool
) -> None:
    assert hangs_back(A, own, named) is expected


@pytest.mark.parametrize(
    ("own", "named", "peers", "expected"),
    [
        (REPLICA_OF_B, B, {B: EMPTY}, True),
        (REPLICA_OF_B, B, {B: LEADER}, False),
        (REPLICA_OF_B, B, {B: DOWN}, False),
        (REPLICA_OF_B, B, {}, False),
        (REPLICA_OF_B, C, {C: EMPTY}, False),
        (WAITING, B, {B: EMPTY}, False),
        (REPLICA_OF_B, None, {B: EMPTY}, False),
    ],
)
def test_a_replica_is_without_a_leader_when_the_named_one_is_there_and_waits_itself(
    own: Server, named: str | None, peers: dict[str, Server], expected: bool
) -> None:
    assert is_leaderless(own, named, peers) is expected


def every_snapshot() -> Iterator[Snapshot]:
    """All that node A of three can see, in a small domain."""
    roles = (Role.LEADER, Role.WAITING, Role.DOWN, Role.SILENT)
    own = [Server(role, None, data) for role in roles for data in (False, True)]
    own += [
        Server(Role.REPLICA, leader, *rest)
        for leader in (B, C)
        for rest in ((False, False), (True, False), (True, True))
    ]
    votes = [
        {voter: vote for voter, vote in zip((A, B, C), choice, strict=True) if vote}
        for choice in itertools.product((None, A, B), repeat=3)
    ]
    peer = [None, LEADER, Server(Role.LEADER), REPLICA_OF_A, STALE_REPLICA_OF_A, WAITING, EMPTY, DOWN, SILENT]
    peers = [
        {address: server for address, server in zip((B, C), pair, strict=True) if server}
        for pair in itertools.product(peer, repeat=2)
    ]
    known = ((False, False), (True, False), (True, True))
    for values in itertools.product(own, votes, peers, known, (0.0, 5.0), (None, B), (0.0, 3.0)):
        yield Snapshot(
            me=A,
            own=values[0],
            votes=values[1],
            sentinels=3,
            peers=values[2],
            members_known=values[3][0],
            began=values[3][1],
            holder=values[3][1],
            waits_for=values[6],
            contradicts_for=values[4],
            hangs_back_for=values[4],
            promoting=values[5],
            leaderless_for=values[6],
        )


def test_what_may_never_be_decided() -> None:
    for snapshot in every_snapshot():
        decision, own = decide(snapshot), snapshot.own
        for_me = sum(vote == A for vote in snapshot.votes.values())
        if decision.do is Do.LEAD:
            assert for_me >= 2, snapshot
            peers = snapshot.peers.values()
            assert own.has_data or not any(peer.has_data for peer in peers), snapshot
            assert own.has_data or snapshot.began or {peer.role for peer in peers} <= {Role.WAITING, Role.REPLICA}, (
                snapshot
            )
            assert not any(peer.promotable and peer.has_data for peer in peers), snapshot
            assert own.role is Role.WAITING, snapshot
            assert not any(peer.role is Role.LEADER for peer in snapshot.peers.values()), snapshot
        if decision.do is Do.FAIL_OVER:
            assert own.role in (Role.WAITING, Role.DOWN), snapshot
            assert for_me >= 2, snapshot
        if decision.do is Do.WAIT:
            assert own.role is Role.REPLICA and for_me >= 2 and not snapshot.promoting, snapshot
        if decision.do is Do.OFFER:
            assert own.promotable and snapshot.holder, snapshot
        if decision.do is Do.FOLLOW:
            assert decision.target == B, snapshot
        else:
            assert decision.target is None, snapshot
        if own.role is Role.SILENT:
            assert decision.do is Do.STAY, snapshot


def test_the_readme_lists_each_decision_with_its_sentence() -> None:
    rows = re.findall(
        r"^\| .+ \| (stay|lead|follow|fail over|wait|offer) \| (.+) \|$", README.read_text(), re.MULTILINE
    )
    given = {(decision.do.value, _general(decision.sentence)) for decision in map(decide, every_snapshot())}
    assert len(rows) == len(set(rows)) == 24
    assert set(rows) == given


def _general(sentence: str) -> str:
    """Without what differs from case to case."""
    return re.sub(r"\b\d\b", "N", re.sub(r"\b10(\.\d+){3}\b", "ADDRESS", sentence))
