"""When the backup process is started, and by whom."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from holdfast_node import turn
from holdfast_node.decision import Role, Server
from holdfast_node.identity import Identity
from holdfast_node.servers import Details, Follower
from holdfast_node.turn import Backups, State

ME, B, C = "10.40.0.4", "10.40.16.4", "10.40.32.4"
BACKUP = {"bucket": "holdfast-local-saved", "every": 86400, "at": 10800, "tiers": ["daily"]}
LEADS = Details(Server(Role.LEADER, has_data=True), "7.0.15", 1, link_up=False, syncing=False, followers=())


class Agent:
    """local-a1 of three, which is the only replica in sync."""

    def __init__(self, identity: Identity) -> None:
        self.leader: str | None = B
        self.followers = [Follower(ME, 1, "online", 0), Follower(C, 1, "wait_bgsave", 0)]
        self.order: dict[str, str] | None = None
        self.looks_for_order = 0
        cloud: Any = SimpleNamespace(backup_order=self._order)
        servers: Any = SimpleNamespace(at=lambda address: replace(LEADS, followers=tuple(self.followers)))
        sentinels: Any = SimpleNamespace(proven_leader=lambda: self.leader)
        self.backups = Backups(replace(identity, backup=BACKUP), cloud, sentinels, servers)

    def _order(self) -> dict[str, str] | None:
        self.looks_for_order += 1
        return self.order

    def starts(self) -> str | None:
        """For what the process is started by one look; None: it is not."""
        turn.ASKED.unlink(missing_ok=True)
        self.backups.tell()
        self.backups.look()
        return (turn.order() or "the schedule") if turn.ASKED.exists() else None


@pytest.fixture
def agent(identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agent:
    for name in ("TURN", "ASKED", "STATE", "FOLDER"):
        monkeypatch.setattr(turn, name, tmp_path / name.lower())
    return Agent(identity)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.monotonic()
    clock = SimpleNamespace(monotonic=lambda: now + seconds, time=time.time)
    monkeypatch.setattr(turn, "time", clock)


def say(state: State) -> None:
    turn.STATE.write_text(json.dumps(asdict(state)))


def test_whose_turn_it_is_takes_the_first_one_at_once(agent: Agent) -> None:
    assert agent.starts() == "the schedule"
    said = turn.turn()
    assert said is not None
    assert (said.mine, said.leader) == (True, B)
    assert agent.starts() is None, "it was started a moment ago"


@pytest.mark.parametrize(("leader", "others"), [(None, [ME]), (B, [ME, C]), (C, []), (B, [])])
def test_whose_turn_it_is_not_starts_nothing_and_asks_for_no_order(
    agent: Agent, leader: str | None, others: list[str]
) -> None:
    """Nobody is proven to lead; another replica comes last by name; it is not in sync itself."""
    agent.leader, agent.followers = leader, [Follower(one, 1, "online", 0) for one in others]
    assert agent.starts() is None
    said = turn.turn()
    assert said is not None
    assert (said.mine, said.leader) == (False, leader)
    assert agent.looks_for_order == 0
    assert agent.backups.report() == {"turn": False, **asdict(State())}


def test_a_lone_leader_has_the_turn(agent: Agent) -> None:
    agent.leader, agent.followers = ME, []
    assert agent.starts() == "the schedule"


def test_nothing_is_started_before_the_next_one_is_due(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    say(State(says="complete", done=True, next=time.time() + 3600))
    assert agent.starts() is None
    say(State(says="complete", done=True, next=time.time() - 1))
    assert agent.starts() == "the schedule"
    later(monkeypatch, turn.AGAIN - 1)
    assert agent.starts() is None
    later(monkeypatch, turn.AGAIN + 1)
    assert agent.starts() == "the schedule", "it ended without a word"


def test_a_process_that_is_at_work_is_left_alone_and_one_that_was_killed_is_not(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()", "backup"], stdin=subprocess.PIPE) as process:
        say(State(says="uploads part 1 of 9", pid=process.pid))
        assert agent.starts() is None
        agent.order = {"id": "o1"}
        later(monkeypatch, turn.ORDER_INTERVAL + 1)
        assert agent.starts() == "o1", "it takes that on when it is done"
    say(State(says="uploads part 1 of 9", pid=process.pid))
    later(monkeypatch, 2 * turn.AGAIN)
    assert agent.starts() == "the schedule"


def test_an_order_is_obeyed_once_and_at_once(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    say(State(says="complete", done=True, next=time.time() + 3600))
    agent.order = {"id": "o1"}
    assert agent.starts() == "o1"
    later(monkeypatch, turn.ORDER_INTERVAL + 1)
    assert agent.starts() is None
    agent.order = {"id": "o2"}
    later(monkeypatch, 2 * turn.ORDER_INTERVAL + 2)
    assert agent.starts() == "o2"


def test_what_was_left_is_finished_by_whoever_has_it(agent: Agent) -> None:
    """Also where the turn is another's by now."""
    agent.leader = C
    say(State(next=time.time() + 3600))
    (turn.FOLDER / "2026-11-29T03-00-07Z-local-a1").mkdir(parents=True)
    assert agent.starts() == "the schedule"


def test_without_backups_there_is_nothing_to_tell(identity: Identity, agent: Agent) -> None:
    none: Any = None
    for without in (identity, replace(identity, roles=["gateway"], backup=BACKUP)):
        backups = Backups(without, none, none, none)
        backups.tell()
        backups.look()
        assert backups.report() is None
    assert not turn.TURN.exists()
