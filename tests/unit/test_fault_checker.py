"""The fault suite's judge must see what is wrong: made-up histories, good ones and bad ones."""

from __future__ import annotations

import pytest

from holdfast.drill.checker import Acknowledgement, Read, Verdict, judge

FIRST, SECOND = "1" * 40, "2" * 40
ANSWERED = 0.01
"""Seconds from a write to its answer, here."""


def ack(number: int, sent: float, run_id: str = FIRST, gateway: str = "a1", copies: int = 1) -> Acknowledgement:
    writer = f"{'waited' if copies else 'plain'}:{gateway}"
    return Acknowledgement(f"{writer}:{number}", writer, number, sent, sent + ANSWERED, gateway, run_id, copies)


def writes(
    start: float, end: float, run_id: str, first: int, gateway: str = "a1", copies: int = 1
) -> list[Acknowledgement]:
    """Ten a second."""
    count = round((end - start) * 10)
    return [ack(first + index, start + index / 10, run_id, gateway, copies) for index in range(count)]


FAILOVER = [*writes(0, 2, FIRST, 1), *writes(3, 5, SECOND, 21)]
"""The first leader is gone after 2 s, and its successor acknowledges from 3 s on."""


def verdict(
    acknowledged: list[Acknowledgement],
    reads: list[Read] | None = None,
    lost: set[str] | None = None,
    safe: bool = True,
) -> Verdict:
    present = {one.record for one in acknowledged} - (lost or set())
    gateways = {one.gateway for one in acknowledged}
    return judge(acknowledged, reads or [], present, struck=1.0, ended=5.0, surviving=gateways, wait_is_safe=safe)


def test_an_ordinary_failover_is_fine() -> None:
    found = verdict(FAILOVER)
    assert found.problems == ()
    assert found.leaders == (FIRST, SECOND)
    assert found.outage == pytest.approx(1.1)
    assert found.silence == pytest.approx(1.1)
    assert found.lost == ()


def test_two_leaders_at_the_same_time_are_seen() -> None:
    found = verdict([*writes(0, 5, FIRST, 1), *writes(2, 5, SECOND, 1, gateway="b1")])
    # Its 30 writes from 2.0 s on, but for the first: that one was sent before the other had acknowledged.
    assert len(found.problems) == 29
    assert "waited:a1:22 was acknowledged by 11111111 through a1, sent 0.090 s after" in found.problems[0]
    assert [ack.record for ack in found.doubled] == [f"waited:a1:{number}" for number in range(22, 51)]


@pytest.mark.parametrize("copies", [0, 1])
def test_one_late_acknowledgement_of_an_old_leader_is_seen_in_either_population(copies: int) -> None:
    found = verdict([*FAILOVER, ack(99, 4.9, FIRST, "c1", copies)])
    assert len(found.problems) == 1
    assert "sent 1.890 s after the first acknowledgement of 22222222" in found.problems[0]


def test_a_write_that_was_under_way_when_the_successor_began_may_be_answered_after_it() -> None:
    under_way = Acknowledgement("waited:c1:1", "waited:c1", 1, 2.95, 3.2, "c1", FIRST, 1)
    assert verdict([*FAILOVER, under_way]).problems == ()


def test_a_leader_that_comes_back_after_its_successor_is_seen() -> None:
    assert len(verdict([*FAILOVER, *writes(5, 6, FIRST, 41)]).problems) == 10


def test_a_lost_write_that_wait_acknowledged_is_a_problem_within_one_zone_only() -> None:
    found = verdict(FAILOVER, lost={"waited:a1:20"})
    assert found.problems == (f"1 writes that WAIT acknowledged are lost; the first: {FAILOVER[19]}",)
    elsewhere = verdict(FAILOVER, lost={"waited:a1:20"}, safe=False)
    assert elsewhere.problems == ()
    assert elsewhere.lost_with == (FAILOVER[19],)


def test_lost_writes_without_wait_are_counted() -> None:
    plain = writes(0, 2, FIRST, 1, copies=0)
    found = verdict([*plain, *FAILOVER], lost={"plain:a1:19", "plain:a1:20"})
    assert found.problems == ()
    assert found.lost_without == tuple(plain[18:])
    assert found.lost_with == ()


def test_a_write_that_wait_did_not_confirm_promises_nothing() -> None:
    alone = Acknowledgement("waited:a1:0", "waited:a1", 0, 1.99, 2.0, "a1", FIRST, copies=0)
    assert verdict([alone, *FAILOVER], lost={"waited:a1:0"}).problems == ()


def test_the_outage_is_that_of_the_worst_surviving_gateway() -> None:
    both = [*FAILOVER, *writes(0, 5, SECOND, 1, gateway="b1")]
    found = judge(both, [], {one.record for one in both}, struck=1.0, ended=5.0, surviving={"b1"})
    assert found.outage == pytest.approx(0.1)
    found = judge(both, [], {one.record for one in both}, struck=1.0, ended=5.0, surviving={"a1", "b1"})
    assert found.outage == pytest.approx(1.1)
    assert found.silence == pytest.approx(0.1)


def test_an_outage_that_does_not_end_counts_to_the_end() -> None:
    assert verdict(writes(0, 2, FIRST, 1)).outage == pytest.approx(5.0 - 1.91)


@pytest.mark.parametrize(
    ("at", "seen", "staleness", "problem"),
    [
        (2.0, 20, 0.0, False),
        # Number 11 was acknowledged at 1.01 s.
        (2.0, 10, 0.99, False),
        (12.0, 10, 10.99, False),
        (12.5, 10, 11.49, True),
        (12.5, 0, 12.49, True),
        # What was acknowledged after the read was sent is not missing from it.
        (1.0, 10, 0.0, False),
    ],
)
def test_a_replica_may_be_behind_but_not_for_longer_than_its_link_takes_to_be_noticed(
    at: float, seen: int, staleness: float, problem: bool
) -> None:
    found = verdict(FAILOVER[:20], [Read(at, "b1", SECOND, {"waited:a1": seen})])
    assert found.staleness == pytest.approx(staleness)
    assert len(found.problems) == int(problem)


def test_a_read_is_not_behind_for_what_was_lost() -> None:
    found = verdict(FAILOVER, [Read(20.0, "b1", SECOND, {"waited:a1": 39})], lost={"waited:a1:40"}, safe=False)
    assert found.problems == ()
