"""The agent's own memory between two decisions: how long this node has contradicted the majority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from holdfast_node import agent as module
from holdfast_node.agent import Agent
from holdfast_node.decision import Decision, Do, Role, Server, decide
from holdfast_node.identity import Identity
from holdfast_node.servers import Details

ME, NAMED = "10.40.0.4", "10.40.16.4"


class MajorityNamesB:
    def proven_leader(self) -> str:
        return NAMED

    def votes(self) -> dict[str, str]:
        return dict.fromkeys((ME, NAMED, "10.40.32.4"), NAMED)

    def known(self) -> int:
        return 3


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
    agent._sentinels = MajorityNamesB()
    monkeypatch.setattr(agent, "_look_at_peers", lambda: agent._peers.update({NAMED: Server(Role.LEADER)}))
    monkeypatch.setattr(module.time, "monotonic", lambda: node.now)
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
