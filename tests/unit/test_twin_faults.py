"""What a fault means, and what is remembered of it: with a daemon that only says what it has."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.topology import ports
from holdfast.twin import client, clocks, faults, machines
from holdfast.twin.faults import Fault, processes, record, targets
from holdfast.twin.faults.kinds import KINDS
from holdfast.twin.rules import Cut, Loss, Severed


def machine(name: str, zone: str, environment: str = "local") -> dict[str, Any]:
    return {"id": f"i-{name}", "name": f"{environment}-{name}", "zone": zone, "environment": environment}


STATE = {
    "environments": {"local": {}, "other": {}},
    "instances": [
        machine("a1", "eu-central-1a"),
        machine("a2", "eu-central-1a"),
        machine("b1", "eu-central-1b"),
        machine("a9", "eu-central-1a", "other"),
    ],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What the daemon was asked to do."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def request(do: str, **arguments: Any) -> dict[str, Any]:
        if do != "state":
            asked.append((do, arguments))
        return STATE

    monkeypatch.setattr(client, "request", request)
    monkeypatch.setattr(record, "FILE", tmp_path / "faults.json")
    yield asked


@pytest.mark.parametrize(
    ("target", "meant", "zone"),
    [
        ("local-b1", ("i-b1",), None),
        ("i-a2", ("i-a2",), None),
        ("a", ("i-a1", "i-a2"), "eu-central-1a"),
        ("eu-central-1a", ("i-a1", "i-a2"), "eu-central-1a"),
        ("local-b1,a", ("i-b1", "i-a1", "i-a2"), None),
        ("all", ("i-a1", "i-a2", "i-b1"), None),
    ],
)
@pytest.mark.usefixtures("asked")
def test_a_target_is_a_node_or_a_zone_of_that_environment(
    target: str, meant: tuple[str, ...], zone: str | None
) -> None:
    assert faults.inflict("local", "isolate", target) == Fault("local", "isolate", target, meant, zone)


@pytest.mark.parametrize(
    ("environment", "kind", "target", "options", "names"),
    [
        ("local", "burn", "local-a1", {}, "power-cut"),
        ("local", "kill", "local-x1", {}, "local-b1"),
        ("nowhere", "kill", "a", {}, "local, other"),
        ("local", "kill", "local-a1", {"process": "nginx"}, "redis, sentinel, haproxy"),
        ("local", "kill", "local-a1", {"amount": 5.0}, "it takes --process"),
        ("local", "isolate", "local-a1", {"port": "redis"}, "it takes no option"),
        ("local", "loss", "local-a1", {"amount": 100.0}, "1 to 99"),
        ("local", "partition", "local-a1", {"port": "http"}, "redis, sentinel"),
        ("local", "partition", "local-a1", {"peers": "local-x1"}, "local-b1"),
        ("local", "partition", "a", {"peers": "local-a2"}, "nobody but the target itself"),
        ("local", "whole-site", "a", {}, "it takes no target, found a"),
        ("local", "power-cut", None, {}, "accepted: local-a1"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    asked: list[tuple[str, dict[str, Any]]],
    environment: str,
    kind: str,
    target: str | None,
    options: dict[str, Any],
    names: str,
) -> None:
    with pytest.raises(HoldfastError, match=names):
        faults.inflict(environment, kind, target, **options)
    assert asked == []
    assert faults.recorded() == []


THERE = Severed("i-a1", "i-b1")


@pytest.mark.parametrize(
    ("kind", "options", "cut"),
    [
        ("partition", {"peers": "local-b1"}, Cut(severed=frozenset({THERE, Severed("i-b1", "i-a1")}))),
        ("one-way", {"peers": "b", "port": "redis"}, Cut(severed=frozenset({Severed("i-a1", "i-b1", 6380)}))),
        ("one-way", {}, Cut(severed=frozenset({THERE, Severed("i-a1", "i-a2")}))),
        ("loss", {}, Cut(lossy=frozenset({Loss("i-a1", 20)}))),
        ("api-outage", {}, Cut(without_api=frozenset({"i-a1"}))),
    ],
)
def test_what_a_fault_of_the_network_cuts_until_it_is_healed(
    asked: list[tuple[str, dict[str, Any]]], kind: str, options: dict[str, Any], cut: Cut
) -> None:
    faults.inflict("local", kind, "local-a1", **options)
    assert faults.standing() == cut
    assert asked == [("cut", {})]
    faults.heal("local")
    assert faults.standing() == Cut()
    # Told again, after it was forgotten: the daemon reads the record.
    assert asked == [("cut", {}), ("cut", {})]


def test_a_cloud_that_does_not_answer_does_not_answer_anybody_unless_named(
    asked: list[tuple[str, dict[str, Any]]],
) -> None:
    faults.inflict("local", "api-outage")
    assert faults.standing().without_api == {"i-a1", "i-a2", "i-b1"}


def test_a_site_falls_dark_at_once(asked: list[tuple[str, dict[str, Any]]]) -> None:
    faults.inflict("local", "whole-site")
    assert asked == [("power_off", {"instances": ["i-a1", "i-a2", "i-b1"]})]


@pytest.mark.usefixtures("asked")
def test_a_new_daemon_begins_with_every_fault_that_was_not_healed() -> None:
    for kind, target in (("isolate", "b"), ("isolate", "local-a2"), ("power-cut", "local-a1")):
        faults.inflict("local", kind, target)
    assert faults.standing() == Cut(
        off=frozenset({"i-a1"}), nodes=frozenset({"i-a2"}), zones=frozenset({("local", "eu-central-1b")})
    )
    faults.heal("local")
    assert faults.standing() == Cut()


def test_heal_undoes_what_was_done_and_leaves_other_environments(asked: list[tuple[str, dict[str, Any]]]) -> None:
    faults.inflict("local", "isolate", "a")
    faults.inflict("other", "power-cut", "other-a9")
    faults.inflict("local", "power-cut", "local-b1")
    asked.clear()
    assert [fault.kind for fault in faults.heal("local")] == ["power-cut", "isolate"]
    assert asked == [("power_on", {"instances": ["i-b1"]}), ("cut", {})]
    assert [fault.environment for fault in faults.recorded()] == ["other"]


def test_what_could_not_be_healed_is_still_known(
    asked: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = faults.inflict("local", "power-cut", "local-b1")
    faults.inflict("local", "isolate", "a")

    def refuse(fault: Fault) -> None:
        raise HoldfastError("no")

    monkeypatch.setitem(KINDS, "power-cut", replace(KINDS["power-cut"], undo=refuse))
    with pytest.raises(HoldfastError):
        faults.heal("local")
    assert faults.recorded() == [first]


@pytest.mark.parametrize("kind", list(KINDS))
def test_healing_what_never_happened_is_harmless(
    asked: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """As when the command was interrupted between its note and its deed, and the machine was replaced since."""
    monkeypatch.setattr(machines, "running", dict)
    monkeypatch.setattr(machines, "created", list)
    record.remember(Fault("local", kind, "local-z9", ("i-z9",)))
    faults.heal("local")
    assert faults.recorded() == []


def test_a_freeze_with_an_end_is_thawed_by_a_process_of_its_own(
    asked: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    sent: list[tuple[str, str, str]] = []

    def signal_process(instance_id: str, name: str, number: signal.Signals) -> list[int]:
        sent.append((instance_id, name, number.name))
        return [4711]

    monkeypatch.setattr(machines, "running", lambda: {"i-a1": 1, "i-b1": 2})
    monkeypatch.setattr(machines, "signal_process", signal_process)
    monkeypatch.setattr(processes.subprocess, "run", lambda command, **_: commands.append(command))
    faults.inflict("local", "freeze", "local-a1", amount=5.0)
    assert sent == [("i-a1", "redis-server", "SIGSTOP")]
    assert commands == [["setsid", "--fork", "sh", "-c", 'sleep "$0"; exec kill -CONT "$@"', "5", "4711"]]
    faults.inflict("local", "freeze", "local-b1", process="sentinel")
    assert sent[1:] == [("i-b1", "redis-sentinel", "SIGSTOP")]
    assert len(commands) == 1


def test_a_disk_that_cannot_be_emptied_stays_known(
    asked: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(*_: Any, **__: Any) -> str:
        raise machines.NotRunning("off")

    monkeypatch.setattr(machines, "created", lambda: ["i-a1"])
    monkeypatch.setattr(machines, "output", off)
    full = Fault("local", "disk-full", "local-a1", ("i-a1",))
    record.remember(full)
    with pytest.raises(HoldfastError, match="heal again when it runs"):
        faults.heal("local")
    assert faults.recorded() == [full]


def test_faults_of_several_environments_at_the_same_time_are_all_recorded(asked: list[Any]) -> None:
    faults_of = {name: [Fault(name, "kill", f"{name}-{number}", ("i-1",)) for number in range(25)] for name in "abcd"}

    def break_and_heal(name: str) -> None:
        for fault in faults_of[name]:
            record.remember(fault)
        for fault in faults_of[name][:-1]:
            record.forget(fault)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(break_and_heal, faults_of))
    assert sorted(fault.target for fault in faults.recorded()) == ["a-24", "b-24", "c-24", "d-24"]


def test_what_is_recorded_reads_as_it_was_said() -> None:
    assert str(Fault("local", "freeze", "leader", ("i-a1",), process="redis", amount=5)) == (
        "freeze leader, process redis, amount 5"
    )
    assert str(Fault("local", "one-way", "a", ("i-a1",), peers=("i-b1",), port="redis")) == (
        "one-way a, peers i-b1, port redis"
    )


def test_a_clock_steps_in_every_service_that_runs_and_back(
    asked: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped: list[tuple[int, int]] = []
    monkeypatch.setattr(machines, "running", lambda: {"i-a1": 1, "i-b1": 2})
    monkeypatch.setattr(machines, "processes", lambda instance_id, _: {"i-a1": [11, 12]}[instance_id])
    monkeypatch.setattr(clocks, "step", lambda pid, seconds: stepped.append((pid, seconds)))
    faults.inflict("local", "clock", "local-a1", amount=-60.0)
    faults.heal("local")
    assert stepped == [(11, -60), (12, -60), (11, 0), (12, 0)]


def test_a_replica_is_a_machine_with_redis(monkeypatch: pytest.MonkeyPatch, asked: list[Any]) -> None:
    addresses = {"local-a1": "10.40.0.4", "local-a2": "10.40.0.10", "local-b1": "10.40.16.4"}
    listening = {("local-a1", 6380), ("local-a1", 26379), ("local-a2", 26379), ("local-b1", 6380)}

    class Answer:
        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def sendall(self, _: bytes) -> None:
            pass

        def recv(self, _: int) -> bytes:
            return b"*2\r\n$9\r\n10.40.0.4\r\n$4\r\n6380\r\n"

        def close(self) -> None:
            pass

    def connect(name: str, address: str, port: int, _: float) -> Answer:
        if (name, port) not in listening:
            raise ConnectionRefusedError
        assert address == addresses[name]
        return Answer()

    monkeypatch.setattr(client, "connect_from_node", connect)
    monkeypatch.setattr(client, "connect_to_sentinel", lambda name, at, _: connect(name, at, ports.SENTINEL, _))
    nodes = [
        node | {"addresses": [addresses[node["name"]]], "namespace": "there", "isolated": False}
        for node in STATE["instances"]
        if node["environment"] == "local"
    ]
    assert targets.meant("local", "leader", nodes).instances == ("i-a1",)
    assert targets.meant("local", "replica", nodes).instances == ("i-b1",)
