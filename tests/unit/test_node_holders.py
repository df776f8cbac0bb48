"""Who has everything is written by the leader alone, and outlives it."""

from __future__ import annotations

from typing import Any

import pytest
from holdfast_node.decision import Role, Server
from holdfast_node.holders import FRESH, Holders
from holdfast_node.servers import Details, Follower

A, B, C = "10.40.0.4", "10.40.16.4", "10.40.32.4"


class Bucket:
    def __init__(self) -> None:
        self.content: list[str] = []
        self.written: list[list[str]] = []
        self.fails = False

    def put_holders(self, addresses: list[str], generation: str) -> None:
        if self.fails:
            raise OSError("no answer")
        self.content = addresses
        self.written.append(addresses)

    def holders(self) -> list[str]:
        if self.fails:
            raise OSError("no answer")
        return self.content


class Clock:
    now = 1000.0


def leads(*followers: tuple[str, str, int]) -> Details:
    listed = tuple(Follower(address, 90, state, lag) for address, state, lag in followers)
    return Details(Server(Role.LEADER, has_data=True), "7.0.15", 100, False, False, listed)


def follows(leader: str, *, up: bool) -> Details:
    return Details(Server(Role.REPLICA, leader, has_data=True), "7.0.15", 100, up, False, (), 70)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def holders_of(me: str, bucket: Any) -> Holders:
    return Holders(me, bucket, lambda: Clock.now)


def test_the_leader_writes_each_change_once(bucket: Bucket) -> None:
    holders = holders_of(A, bucket)
    for own in (
        leads(),
        leads((B, "online", 0), (C, "wait_bgsave", 0)),
        leads((B, "online", 1), (C, "wait_bgsave", 0)),
        leads((B, "online", 1), (C, "online", 0)),
        leads((B, "online", 8), (C, "online", 0)),
    ):
        holders.look(own, A)
        holders.look(own, A)
    assert bucket.written == [[A], [A, B], [A, B, C], [A, C]]


def test_what_could_not_be_written_is_written_later(bucket: Bucket) -> None:
    holders, bucket.fails = holders_of(A, bucket), True
    with pytest.raises(OSError, match="no answer"):
        holders.look(leads(), A)
    bucket.fails = False
    holders.look(leads(), A)
    assert bucket.written == [[A]]


def test_an_old_leader_beside_the_proven_one_writes_nothing(bucket: Bucket) -> None:
    holders_of(A, bucket).look(leads((B, "online", 0)), C)
    assert bucket.written == []


def test_who_leads_again_writes_again_whatever_others_wrote_meanwhile(bucket: Bucket) -> None:
    holders = holders_of(A, bucket)
    holders.look(leads(), A)
    bucket.content = [B]
    holders.look(follows(B, up=True), B)
    holders.look(leads(), A)
    assert bucket.written == [[A], [A]]


def test_who_is_out_of_its_place_reads_whether_it_has_everything(bucket: Bucket) -> None:
    bucket.content = [A, B]
    for me, included in ((B, True), (C, False)):
        holders = holders_of(me, bucket)
        assert holders.include_me() is False, "before anything was read"
        holders.look(follows(A, up=False), A)
        assert holders.include_me() is included


def test_what_was_read_counts_for_a_while(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.content = [A, B]
    holders = holders_of(B, bucket)
    holders.look(None, None)
    monkeypatch.setattr(Clock, "now", Clock.now + FRESH)
    assert holders.include_me() is False
