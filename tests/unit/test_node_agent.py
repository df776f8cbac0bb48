"""What the agent adds to the decisions: how long this node has contradicted the majority, and when it is ready."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from holdfast_node import agent as module
from holdfast_node.agent import Agent
from holdfast_node.decision import Decision, Do, Role, Server, decide
from holdfast_node.identity import Identity
from holdfast_node.sentinels import Word
from holdfast_node.servers import Details

ME, NAMED = "10.40.0.4", "10.40.16.4"


@dataclass
class Sentinels:
    """Three of them: a majority names `named` (or nobody), this node's own one `own`."""

    named: str | None = NAMED
    own: str | None = NAMED

    def proven_leader(self) -> str | None:
        return self.named

    def votes(self) -> dict[str, str]:
        return dict.fromkeys((ME, NAMED, "10.40.32.4"), self.named) if self.named else {}

    def known(self) -> int:
        return 3

    def own_word(self) -> Word | None:
        return Word(self.own, 0.0) if self.own else None


@dataclass
class Node:
    """The agent of local-a1, whose Redis is what `be` says, at a time that only `later` moves."""

    agent: Any
    now: float = 1000.0

    def be(self, role: Role, leader: str | None = None) -> None:
        server = Server(role, leader, has_data=True)
        self.agent._details = Details(server, "7.0.15", 1, link_up=True, syncing=False, followers=())

    def later(self, seconds: float) -> Decision:
        self.now += seconds
        return decide(self.agent._snapshot())


@pytest.fixture
def node(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> Node:
    agent: Any = Agent(identity, None, ("system", "secret"))  # type: ignore[arg-type]
    node = Node(agent)
    agent._sentinels = Sentinels()
    monkeypatch.setattr(agent, "_look_at_peers", lambda: agent._peers.update({NAMED: Server(Role.LEADER)}))
    monkeypatch.setattr("holdfast_node.agent.time.monotonic", lambda: node.now)
    return node


def test_a_fresh_promotion_is_not_undone_however_long_the_other_was_named(node: Node) -> None:
    node.be(Role.REPLICA, NAMED)
    for _ in range(60):
        assert node.later(1).do is Do.STAY
    node.be(Role.LEADER)
    assert node.later(0.1).do is Do.STAY
    assert node.later(3.9).do is Do.STAY


def test_a_stale_leader_steps_down(node: Node) -> None:
    node.be(Role.LEADER)
    assert node.later(0).do is Do.STAY
    assert (node.later(4.0).do, node.later(0).target) == (Do.FOLLOW, NAMED)


def test_the_clock_starts_anew_after_the_contradiction_has_ended(node: Node) -> None:
    node.be(Role.LEADER)
    node.later(0)
    node.later(3)
    node.be(Role.REPLICA, NAMED)
    node.later(1)
    node.be(Role.LEADER)
    assert node.later(0.1).do is Do.STAY
    assert node.later(3).do is Do.STAY


FOLLOWS = Details(Server(Role.REPLICA, NAMED, True), "7.0.15", 1, link_up=True, syncing=False, followers=())
LEADS = Details(Server(Role.LEADER, has_data=True), "7.0.15", 1, link_up=False, syncing=False, followers=())
FOLLOWS_ANOTHER = replace(FOLLOWS, server=Server(Role.REPLICA, "10.40.32.4", True))
WAITS = replace(LEADS, server=Server(Role.WAITING, has_data=True))


@pytest.mark.parametrize(
    ("redis", "sentinels", "haproxy", "ready"),
    [
        (FOLLOWS, Sentinels(), True, True),
        (LEADS, Sentinels(named=ME, own=ME), True, True),
        (replace(FOLLOWS, link_up=False), Sentinels(), True, False),
        (replace(FOLLOWS, syncing=True), Sentinels(), True, False),
        (FOLLOWS_ANOTHER, Sentinels(), True, False),
        (WAITS, Sentinels(named=ME, own=ME), True, False),
        (None, Sentinels(), True, False),
        (LEADS, Sentinels(), True, False),
        (FOLLOWS, Sentinels(named=None), True, False),
        (FOLLOWS, Sentinels(own=ME), True, False),
        (FOLLOWS, Sentinels(own=None), True, False),
        (FOLLOWS, Sentinels(), False, False),
    ],
    ids=[
        "replica in sync",
        "leader",
        "link down",
        "still being fed",
        "follows another",
        "waits",
        "Redis down",
        "leads, but another is named",
        "no majority",
        "own Sentinel names another",
        "own Sentinel silent",
        "HAProxy down",
    ],
)
def test_a_node_is_ready_when_all_its_parts_mean_the_same_leader(
    node: Node,
    monkeypatch: pytest.MonkeyPatch,
    redis: Details | None,
    sentinels: Sentinels,
    haproxy: bool,
    ready: bool,
) -> None:
    monkeypatch.setattr(module, "_is_up", lambda _: haproxy)
    node.agent._details, node.agent._sentinels = redis, sentinels
    report = node.agent._report("i-0123456789abcdef0")
    assert report["ready"] is ready
    assert report["gateway"] == {"proven_leader": sentinels.named, "haproxy": haproxy}
