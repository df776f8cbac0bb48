"""A Sentinel that names another leader than the majority for good is restarted, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from holdfast_node import told
from holdfast_node.dissent import BECAUSE, DISSENTS_FOR, Dissent
from holdfast_node.told import Outvoted

OTHER = Outvoted("10.40.16.4", 7, "10.40.0.4")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(told, "OUTVOTED", tmp_path / "outvoted.json")
    return tmp_path / "outvoted.json"


def restarts(found: list[Outvoted | None]) -> list[int]:
    """At which of these seconds it restarts its Sentinel."""
    asked: list[str] = []
    at = []
    dissent = Dissent(asked.append)
    for second, one in enumerate(found):
        before = len(asked)
        dissent.look(one, 1000.0 + second)
        at += [second] * (len(asked) - before)
    assert set(asked) <= {BECAUSE}
    return at


def test_it_is_told_whom_the_others_name_and_restarted() -> None:
    assert told.outvoted() is None
    assert restarts([None, *[OTHER] * 20])[0] == 2 + DISSENTS_FOR
    assert told.outvoted() == OTHER


def test_what_greetings_mend_restarts_nobody(file: Path) -> None:
    assert restarts([*[OTHER] * 6, None, *[OTHER] * 6]) == []
    assert restarts([OTHER, OTHER._replace(epoch=8)] * 20) == []
    assert not file.exists()


def test_one_that_stays_so_is_not_restarted_each_second() -> None:
    first, second, *_ = restarts([OTHER] * 40)
    assert second - first >= DISSENTS_FOR


def test_what_cannot_be_told_restarts_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: Outvoted) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(told, "tell_outvoted", full)
    assert restarts([OTHER] * 20) == []
    assert "cannot be told: No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"leader": "10.40.0.4"}', '{"leader'])
def test_what_makes_no_sense_there_says_nothing(file: Path, content: str) -> None:
    file.write_text(content)
    assert told.outvoted() is None
