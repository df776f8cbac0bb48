"""A Sentinel that counts nodes which are gone for good is reset: alone, in peace, and for none that may come back."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest
from holdfast_node.decision import Role, Server
from holdfast_node.membership import Membership

A, B, C, D, E = "10.40.0.4", "10.40.16.4", "10.40.32.4", "10.40.0.7", "10.40.16.7"
ORDER = [A, B, C, D, E]
EVERYBODY = frozenset(ORDER)


class Cluster:
    """Five nodes, of which three are left. A reset takes effect at once, on the Sentinel whose turn it was."""

    def __init__(self) -> None:
        self.now = 0.0
        self.known = {address: EVERYBODY - {address} for address in (A, B, C)}
        self.there = {A, B, C}
        self.well = True
        self.resets: list[tuple[str, float]] = []
        self.forgotten = frozenset[str]()
        self.nodes = {address: self._membership(address) for address in (A, B, C)}
        for node in self.nodes.values():
            node.members = frozenset((A, B, C))

    def _membership(self, address: str) -> Membership:
        parts: Any = (Sentinels(self, address), Servers(self))
        return Membership(address, ORDER, *parts, lambda: self.now)

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.now += 1
            for node in self.nodes.values():
                node.look()


class Sentinels:
    """As one node sees them."""

    def __init__(self, cluster: Cluster, me: str) -> None:
        self._cluster, self._me = cluster, me

    def known_by(self) -> dict[str, frozenset[str]]:
        return dict(self._cluster.known)

    def answers(self, address: str) -> bool:
        return address in self._cluster.there

    def agree(self, members: Collection[str]) -> str | None:
        assert frozenset(members) == frozenset((A, B, C))
        return A if self._cluster.well else None

    def forget(self, gone: frozenset[str]) -> None:
        self._cluster.forgotten = gone

    def reset_own(self) -> None:
        self._cluster.resets.append((self._me, self._cluster.now))
        self._cluster.known[self._me] = frozenset((A, B, C)) - {self._me}


class Servers:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def at(self, address: str) -> Any:
        role = Role.LEADER if address == A else Role.REPLICA
        return SimpleNamespace(server=Server(role)) if address in self._cluster.there else None


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_one_after_the_other_is_reset_half_a_minute_apart(cluster: Cluster) -> None:
    cluster.run(300)
    assert [who for who, _ in cluster.resets] == [A, B, C]
    times = [at for _, at in cluster.resets]
    assert times[0] >= 30 + 30
    assert all(later - earlier >= 30 for earlier, later in zip(times, times[1:], strict=False))
    assert times[-1] <= 30 + 3 * 32
    assert cluster.forgotten == {D, E}


def test_who_is_gone_stays_gone_when_the_last_that_knew_them_is_lost(cluster: Cluster) -> None:
    cluster.run(32)
    assert cluster.forgotten == {D, E}
    cluster.well = False
    cluster.there.remove(C)
    cluster.known = {address: frozenset((A, B, C)) - {address} for address in (A, B)}
    cluster.run(100)
    assert cluster.forgotten == {D, E}
    cluster.there |= {C, D}
    cluster.run(2)
    assert cluster.forgotten == {E}


def test_in_a_partition_nobody_becomes_uncounted(cluster: Cluster) -> None:
    cluster.well = False
    cluster.run(100)
    assert cluster.forgotten == frozenset()


def test_a_node_that_still_answers_is_not_gone(cluster: Cluster) -> None:
    cluster.there |= {D, E}
    cluster.run(300)
    assert cluster.resets == []


def test_a_node_that_comes_back_within_half_a_minute_is_not_gone(cluster: Cluster) -> None:
    for _ in range(10):
        cluster.run(25)
        cluster.there |= {D, E}
        cluster.run(2)
        cluster.there -= {D, E}
    assert cluster.resets == []


def test_a_member_is_never_gone_however_long_it_is_away(cluster: Cluster) -> None:
    cluster.known = {address: frozenset((A, B, C)) - {address} for address in (A, B)}
    cluster.there.remove(C)
    cluster.run(1000)
    assert cluster.resets == []


def test_while_anything_is_not_well_nothing_is_reset(cluster: Cluster) -> None:
    cluster.well = False
    cluster.run(300)
    assert cluster.resets == []
    cluster.well = True
    cluster.run(29)
    assert cluster.resets == []
    cluster.run(3)
    assert [who for who, _ in cluster.resets] == [A]


def test_where_nobody_has_said_which_nodes_there_are_nothing_is_reset(cluster: Cluster) -> None:
    for node in cluster.nodes.values():
        node.members = frozenset()
    cluster.run(300)
    assert cluster.resets == []


def test_ghosts_of_a_forged_greeting_are_forgotten_by_one_sentinel_after_the_other(cluster: Cluster) -> None:
    """They count for the Sentinels' own elections: three of them, and nobody is elected any more."""
    ghosts = frozenset(f"10.9.9.{number}:26379" for number in (1, 2, 3))
    cluster.known = {address: frozenset((A, B, C)) - {address} | ghosts for address in (A, B, C)}
    cluster.run(300)
    assert [who for who, _ in cluster.resets] == [A, B, C]
    assert cluster.forgotten == ghosts
