"""The agent's part of restores: what it has prepared, when it changes over, and what a machine does that boots."""

from __future__ import annotations

import getpass
import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from holdfast_node import restore, restoring, swap
from holdfast_node.cloud import Malformed
from holdfast_node.decision import Role, Server
from holdfast_node.generation import FIRST, Data, Generation
from holdfast_node.identity import Identity
from holdfast_node.restoring import Restores
from holdfast_node.servers import Details

B = "10.40.16.4"
SHA = "ab" * 32
NEW = Generation("20261130T120000Z-0a1b", "local-b1", SHA, None)
MINE = replace(NEW, node="local-a1")
FOLLOWS = Details(Server(Role.REPLICA, B, True), "7.0.15", 1, link_up=True, syncing=False, followers=())


class Bucket:
    def __init__(self) -> None:
        self.order: dict[str, Any] | None = None
        self.wanted: Generation | None = None
        self.age, self.led = 3.0, None
        self.looks: list[str] = []
        self.fails: list[Exception] = []

    def restore_order(self) -> dict[str, Any] | None:
        self.looks.append("order")
        return self.order

    def generation(self) -> tuple[Generation | None, float]:
        self.looks.append("generation")
        if self.fails:
            raise self.fails.pop(0)
        return self.wanted, self.age

    def generation_of_leader(self) -> str | None:
        return self.led


class Node:
    """local-a1, which follows local-b1."""

    def __init__(self, identity: Identity, root: Path) -> None:
        self.root, self.bucket, self.now = root, Bucket(), 1000.0
        self.own: Details | None = FOLLOWS
        self.data = Data(root, owner=getpass.getuser())
        for name in ("redis", "node"):
            (root / name).mkdir()
        (root / "redis" / "dump.rdb").write_text("old")
        parts: Any = (self.bucket, SimpleNamespace(proven_leader=lambda: B), SimpleNamespace(own=self._own))
        self.identity, self.restores = identity, Restores(identity, *parts, data=self.data)

    def _own(self) -> Any:
        return SimpleNamespace(details=self.own)

    def look(self, seconds: float = 1.0) -> list[str]:
        """What it looked at in the bucket."""
        self.now += seconds
        self.bucket.looks.clear()
        self.restores.look()
        return list(self.bucket.looks)

    def settle(self) -> None:
        cloud: Any = self.bucket
        restoring.settle(self.identity, cloud, self.data, clock=lambda: self.now, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def node(identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr(restore, "ASKED", tmp_path / "asked-restore")
    monkeypatch.setattr(restore, "STATE", tmp_path / "state-restore")
    monkeypatch.setattr(swap, "ASKED", tmp_path / "asked-swap")
    monkeypatch.setattr(swap, "STATE", tmp_path / "state-swap")
    (tmp_path / "volume").mkdir()
    node = Node(identity, tmp_path / "volume")
    monkeypatch.setattr(
        restoring, "time", SimpleNamespace(monotonic=lambda: node.now, time=time.time, sleep=time.sleep)
    )
    return node


ORDER = {"id": "o1", "node": "local-a1", "from": "restore/x/"}


def test_without_a_restore_it_looks_seldom(node: Node) -> None:
    """Each look is paid."""
    looks = [node.look() for _ in range(600)]
    assert sum("order" in one for one in looks) == 60
    assert sum("generation" in one for one in looks) == 10
    assert not swap.ASKED.exists()


def test_while_somebody_restores_it_looks_each_second(node: Node) -> None:
    node.bucket.order = ORDER | {"node": "local-c1"}
    node.look()
    assert [node.look() for _ in range(3)] == [["order", "generation"]] * 3
    assert not restore.ASKED.exists(), "it is another one's to prepare"


def test_who_is_named_prepares_once_and_only_when_there_is_something_to_fetch(node: Node) -> None:
    node.bucket.order = {"id": "o1", "node": "local-a1"}
    node.look()
    assert not restore.ASKED.exists()
    node.bucket.order = ORDER
    node.look()
    assert restore.asked() == {"order": "o1", "from": "restore/x/"}
    restore.ASKED.unlink()
    node.look()
    assert not restore.ASKED.exists()


def test_another_generation_has_the_process_started_and_again_until_it_is_done(node: Node) -> None:
    node.bucket.wanted = NEW
    node.look()
    asked = swap.asked()
    assert asked == swap.Asked(NEW, node.now - 3.0, led=False, synced=True)
    swap.ASKED.unlink()
    assert [bool(node.look()) and swap.ASKED.exists() for _ in range(5)] == [False, False, False, False, True]
    node.data.record(NEW)
    swap.ASKED.unlink()
    for _ in range(200):
        node.look()
    assert not swap.ASKED.exists()


@pytest.mark.parametrize(("own", "synced"), [(FOLLOWS, True), (replace(FOLLOWS, link_up=False), False), (None, False)])
def test_it_tells_whether_the_leader_is_there_already_and_its_own_redis_has_everything(
    node: Node, own: Details | None, synced: bool
) -> None:
    node.bucket.wanted, node.bucket.led, node.own = NEW, NEW.id, own
    node.look()
    asked = swap.asked()
    assert asked is not None
    assert (asked.led, asked.synced) == (True, synced)


def test_what_was_kept_long_enough_is_removed_by_the_process(node: Node) -> None:
    (node.root / "before-20250101T000000Z-aaaa").mkdir()
    node.look()
    assert swap.asked() is None
    assert swap.ASKED.exists()


def test_a_machine_without_data_looks_for_nothing(node: Node, identity: Identity) -> None:
    none: Any = None
    gateway = Restores(replace(identity, roles=["gateway"]), none, none, none)
    gateway.look()
    assert gateway.report() is None


def test_the_report_tells_of_which_generation_the_data_is_and_until_when_an_undo_is_possible(node: Node) -> None:
    found = node.restores.report()
    assert found is not None
    assert (found["generation"], found["kept_until"]) == (FIRST, None)
    node.data.replace(NEW, mine=False)
    found = node.restores.report()
    assert found is not None
    assert found["generation"] == NEW.id
    assert time.strftime("%F", time.gmtime(found["kept_until"])) == "2026-12-14"
    assert (found["preparation"]["done"], found["exchange"]["done"]) == (None, None)


def test_a_machine_that_was_off_during_a_restore_puts_its_data_aside_before_redis_starts(node: Node) -> None:
    node.bucket.wanted, node.bucket.led = NEW, NEW.id
    node.settle()
    assert list((node.root / "redis").iterdir()) == []
    assert (node.root / f"stale-{NEW.id}/dump.rdb").exists()
    assert node.data.generation() == NEW.id


def test_a_machine_that_boots_before_the_change_is_done_starts_as_it_is(node: Node) -> None:
    """Its agent takes part in it. Empty it could follow the one that leads still, and count as changed over."""
    node.bucket.wanted = NEW
    node.settle()
    assert (node.root / "redis" / "dump.rdb").exists()
    assert node.data.generation() == FIRST


def test_the_machine_with_the_data_that_lost_its_power_boots_with_it(node: Node) -> None:
    (node.root / f"restore/{SHA}/data").mkdir(parents=True)
    (node.root / f"restore/{SHA}/data/dump.rdb").write_text("new")
    node.bucket.wanted = MINE
    node.settle()
    assert (node.root / "redis" / "dump.rdb").read_text() == "new"
    assert node.data.generation() == MINE.id


def test_one_that_came_back_later_than_an_undo_by_others_brings_nothing(node: Node) -> None:
    (node.root / f"restore/{SHA}/data").mkdir(parents=True)
    node.bucket.wanted, node.bucket.led = MINE, MINE.id
    node.settle()
    assert list((node.root / "redis").iterdir()) == []


def test_what_was_begun_ends_without_the_cloud(node: Node) -> None:
    (node.root / f"restore/{SHA}/data").mkdir(parents=True)
    begun = {"wanted": {"id": MINE.id, "node": MINE.node, "backup": SHA, "undo": None}, "mine": True, "aside": "before"}
    (node.root / "generation-next.json").write_text(json.dumps(begun))
    node.bucket.fails = [OSError("no answer")] * 1000
    node.settle()
    assert node.data.generation() == MINE.id
    assert node.now < 1060, "it waits for no longer than that"


@pytest.mark.parametrize("error", [OSError("no answer"), Malformed("generation.json: found 1")])
def test_where_the_cloud_is_away_redis_starts_as_it_is(node: Node, error: Exception) -> None:
    node.bucket.wanted, node.bucket.led, node.bucket.fails = NEW, NEW.id, [error] * 1000
    node.settle()
    assert (node.root / "redis" / "dump.rdb").exists()
    node.bucket.fails = [error]
    node.settle()
    assert not (node.root / "redis" / "dump.rdb").exists(), "it is asked again for a while"
