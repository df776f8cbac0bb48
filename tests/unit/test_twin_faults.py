"""What a fault means, and what is remembered of it: with a daemon that only says what it has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.twin import client, faults
from holdfast.twin.faults import Fault
from holdfast.twin.rules import Cut


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
    monkeypatch.setattr(faults, "FILE", tmp_path / "faults.json")
    yield asked


@pytest.mark.parametrize(
    ("target", "meant", "zone"),
    [
        ("local-b1", ("i-b1",), None),
        ("i-a2", ("i-a2",), None),
        ("a", ("i-a1", "i-a2"), "eu-central-1a"),
        ("eu-central-1a", ("i-a1", "i-a2"), "eu-central-1a"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_a_target_is_a_node_or_a_zone_of_that_environment(
    target: str, meant: tuple[str, ...], zone: str | None
) -> None:
    assert faults.inflict("local", "isolate", target) == Fault("local", "isolate", target, meant, zone)


@pytest.mark.parametrize(
    ("environment", "kind", "target", "names"),
    [
        ("local", "burn", "local-a1", "power-cut"),
        ("local", "kill", "local-x1", "local-b1"),
        ("nowhere", "kill", "a", "local, other"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    asked: list[tuple[str, dict[str, Any]]], environment: str, kind: str, target: str, names: str
) -> None:
    with pytest.raises(HoldfastError, match=names):
        faults.inflict(environment, kind, target)
    assert asked == []
    assert faults.recorded() == []


@pytest.mark.usefixtures("asked")
def test_a_new_daemon_begins_with_every_fault_that_was_not_healed() -> None:
    for kind, target in (("isolate", "b"), ("isolate", "local-a2"), ("power-cut", "local-a1")):
        faults.inflict("local", kind, target)
    assert faults.standing() == Cut(
        off=frozenset({"i-a1"}), nodes=frozenset({"i-a2"}), zones=frozenset({"eu-central-1b"})
    )
    faults.heal("local")
    assert faults.standing() == Cut()


def test_heal_undoes_what_was_done_and_leaves_other_environments(asked: list[tuple[str, dict[str, Any]]]) -> None:
    faults.inflict("local", "isolate", "a")
    faults.inflict("other", "power-cut", "other-a9")
    faults.inflict("local", "power-cut", "local-b1")
    asked.clear()
    assert [fault.kind for fault in faults.heal("local")] == ["isolate", "power-cut"]
    assert asked == [("join", {"zone": "eu-central-1a"}), ("power_on", {"instance": "i-b1"})]
    assert [fault.environment for fault in faults.recorded()] == ["other"]


def test_what_could_not_be_healed_is_still_known(
    asked: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults.inflict("local", "isolate", "a")
    second = faults.inflict("local", "power-cut", "local-b1")

    def refuse(fault: Fault) -> None:
        raise HoldfastError("no")

    monkeypatch.setitem(faults.UNDO, "power-cut", refuse)
    with pytest.raises(HoldfastError):
        faults.heal("local")
    assert faults.recorded() == [second]
