"""How a node changes over: the others stop first, then the one with the data; whoever cannot goes on as it was."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from holdfast_node.generation import FIRST, Data, Generation
from holdfast_node.identity import Identity
from holdfast_node.swap import Asked, Swap

ME, B, C = "10.40.0.4", "10.40.16.4", "10.40.32.4"
SHA = "ab" * 32
MINE = Generation("20261130T120000Z-0a1b", "local-a1", SHA, None)
OTHERS = replace(MINE, node="local-b1")


class Machine:
    """local-a1 of three, and what it sees of the other two."""

    def __init__(self, identity: Identity, root: Path) -> None:
        self.identity, self.root, self.now = identity, root, 1000.0
        for name in ("redis", "node", f"restore/{SHA}/data"):
            (root / name).mkdir(parents=True)
        (root / "redis" / "dump.rdb").write_text("old")
        (root / f"restore/{SHA}/data/dump.rdb").write_text("new")
        self.data = Data(root, owner=getpass.getuser())
        self.done: list[str] = []
        self.listening = {B, C}
        self.config = {"appendonly": "yes", "save": "", "min-replicas-to-write": "1"}
        self.saves = "ok"
        self.uptime: dict[str, int] = {}
        """Seconds for which the Redis at an address runs; of one that is not there nothing."""
        self.role, self.good = "master", 1
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens in each fifth of a second."""

    def run(self, wanted: Generation, at: float = 1000.0, *, led: bool = False, synced: bool = False) -> dict[str, Any]:
        state = self.root / "state.json"
        Swap(
            self.identity,
            lambda address: Redis(self, address),  # type: ignore[arg-type,return-value]
            data=self.data,
            state=state,
            systemctl=lambda *words: self.done.append(" ".join(words)),
            listens=lambda address: address in self.listening,
            clock=lambda: self.now,
            sleep=self._sleep,
        ).run(Asked(wanted, at, led, synced))
        return dict(json.loads(state.read_text())) if state.exists() else {}

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()

    def content(self) -> str | None:
        file = self.root / "redis" / "dump.rdb"
        return file.read_text() if file.exists() else None


class Redis:
    def __init__(self, machine: Machine, address: str) -> None:
        self.machine, self.address = machine, address
        if address != ME and address not in machine.uptime:
            raise OSError("refused")

    def __enter__(self) -> Redis:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, *words: str) -> Any:
        machine = self.machine
        if words[0] == "CONFIG":
            return [words[2], machine.config[words[2]]]
        if words[0] == "BGSAVE":
            machine.done.append("save")
            return "Background saving started"
        if words[1] == "persistence":
            return f"rdb_bgsave_in_progress:0\r\nrdb_last_bgsave_status:{machine.saves}"
        if words[1] == "server":
            return f"uptime_in_seconds:{machine.uptime[self.address]}"
        return f"role:{machine.role}\r\nmin_slaves_good_slaves:{machine.good}"


@pytest.fixture
def machine(identity: Identity, tmp_path: Path) -> Machine:
    return Machine(identity, tmp_path)


def test_the_node_with_the_data_waits_until_all_others_have_stopped(machine: Machine) -> None:
    stops = iter([lambda: machine.listening.discard(B), lambda: machine.listening.discard(C)])

    def meanwhile() -> None:
        if machine.listening:
            assert machine.done == []
            next(stops)()

    machine.meanwhile = meanwhile
    found = machine.run(MINE)
    assert (found["done"], found["says"]) == (True, f"is in generation {MINE.id}")
    assert machine.done == ["stop holdfast-redis.service", "start --no-block holdfast-redis.service"]
    assert (machine.content(), machine.data.generation()) == ("new", MINE.id)


def test_it_tells_for_how_long_nobody_could_write(machine: Machine) -> None:
    machine.listening.clear()
    machine.role = "slave"
    ticks = iter(range(100))

    def meanwhile() -> None:
        tick = next(ticks)
        machine.role, machine.good = "master" if tick >= 9 else "slave", int(tick >= 19)

    machine.meanwhile = meanwhile
    assert machine.run(MINE)["away"] == 2.0


def test_where_another_one_still_runs_it_changes_nothing(machine: Machine) -> None:
    """That one could be promoted with the data of before."""
    machine.listening = {C}
    found = machine.run(MINE)
    assert (found["done"], found["says"]) == (False, "the Redis of local-c1 still runs; nothing was changed here")
    assert (machine.done, machine.content(), machine.data.generation()) == ([], "old", FIRST)


def test_without_the_data_it_changes_nothing(machine: Machine) -> None:
    found = machine.run(replace(MINE, backup="cd" * 32))
    assert (found["done"], machine.done, machine.content()) == (False, [], "old")


@pytest.mark.parametrize(
    ("appendonly", "save", "saves"), [("yes", "", 0), ("no", "3600 1", 0), ("no", "", 1), ("yes", "3600 1", 0)]
)
def test_where_redis_keeps_nothing_on_the_disk_it_saves_once_for_an_undo(
    machine: Machine, appendonly: str, save: str, saves: int
) -> None:
    machine.listening.clear()
    machine.config |= {"appendonly": appendonly, "save": save}
    assert machine.run(MINE)["done"]
    assert machine.done.count("save") == saves


def test_where_it_cannot_save_it_changes_nothing(machine: Machine) -> None:
    machine.listening.clear()
    machine.config["appendonly"], machine.saves = "no", "err"
    found = machine.run(MINE)
    assert (found["done"], machine.content()) == (False, "old")


def test_every_other_node_stays_away_until_that_one_has_exchanged_its_data(machine: Machine) -> None:
    machine.uptime[B] = 500

    def meanwhile() -> None:
        assert machine.done == ["stop holdfast-redis.service"]
        assert machine.content() == "old"
        if machine.now > 1005:
            machine.uptime[B] = 1

    machine.meanwhile = meanwhile
    assert machine.run(OTHERS)["done"]
    assert machine.done[-1] == "start --no-block holdfast-redis.service"
    assert (machine.content(), machine.data.generation()) == (None, OTHERS.id)
    assert (machine.root / f"before-{OTHERS.id}/dump.rdb").read_text() == "old"


@pytest.mark.parametrize("uptime", [{}, {B: 500}])
def test_where_that_one_never_does_it_goes_on_as_it_was(machine: Machine, uptime: dict[str, int]) -> None:
    """systemd starts its Redis again: ExecStopPost= of the unit."""
    machine.uptime = uptime
    found = machine.run(OTHERS)
    assert (found["done"], machine.content(), machine.data.generation()) == (False, "old", FIRST)
    assert machine.done == ["stop holdfast-redis.service"]


def test_asked_again_it_knows_one_that_has_begun_in_the_meantime(machine: Machine) -> None:
    """The generation is 60 s old, and the Redis of the other one runs for 50."""
    machine.uptime[B] = 50
    assert machine.run(OTHERS, at=940.0)["done"]
    assert machine.content() is None


def test_a_node_that_is_no_slot_brings_nothing(machine: Machine) -> None:
    found = machine.run(replace(OTHERS, node="local-z9"))
    assert (found["done"], machine.content()) == (False, "old")


def test_who_was_away_meanwhile_puts_its_old_data_aside_and_waits_for_nobody(machine: Machine) -> None:
    assert machine.run(OTHERS, led=True)["done"]
    assert machine.content() is None
    assert (machine.root / f"stale-{OTHERS.id}/dump.rdb").exists()
    assert machine.data.kept() == [], "an undo by it would bring back what was older"


def test_also_the_one_that_had_the_data_where_another_leads_in_that_generation(machine: Machine) -> None:
    assert machine.run(MINE, led=True)["done"]
    assert machine.content() is None


def test_who_has_all_that_the_leader_of_that_generation_has_restarts_nothing(machine: Machine) -> None:
    assert machine.run(OTHERS, led=True, synced=True)["done"]
    assert (machine.done, machine.content(), machine.data.generation()) == ([], "old", OTHERS.id)


def test_in_sync_with_a_leader_of_before_is_no_reason_to_stay(machine: Machine) -> None:
    machine.uptime[B] = 1
    assert machine.run(OTHERS, synced=True)["done"]
    assert machine.content() is None


def test_a_second_time_nothing_is_done(machine: Machine) -> None:
    machine.listening.clear()
    machine.run(MINE)
    machine.done.clear()
    machine.run(MINE)
    assert machine.done == []
