"""Test runs beside each other on one twin: who waits for whom."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.twin.turns import prolonged, turn

MOMENT = 0.1
"""Seconds after which somebody who has not come in is waiting."""


@pytest.mark.parametrize(
    ("inside", "outside", "waits"),
    [
        ("", "", False),
        ("timed", "", False),
        ("", "timed", False),
        ("timed", "timed", True),
        ("alone", "", True),
        ("", "alone", True),
        ("timed", "alone", True),
    ],
)
def test_who_waits_for_whom(tmp_path: Path, inside: str, outside: str, waits: bool) -> None:
    came_in = threading.Event()

    def come() -> None:
        with turn(timed=outside == "timed", alone=outside == "alone", folder=tmp_path):
            came_in.set()

    later = threading.Thread(target=come)
    with turn(timed=inside == "timed", alone=inside == "alone", folder=tmp_path):
        later.start()
        assert came_in.wait(MOMENT) is not waits
    assert came_in.wait(10)
    later.join()


def test_whoever_waits_is_not_overtaken_by_those_who_come_later(tmp_path: Path) -> None:
    order: list[str] = []

    def come(name: str, *, alone: bool) -> None:
        with turn(timed=False, alone=alone, folder=tmp_path):
            order.append(name)

    first = threading.Thread(target=come, args=("waits to be alone",), kwargs={"alone": True})
    second = threading.Thread(target=come, args=("would fit in",), kwargs={"alone": False})
    with turn(timed=False, alone=False, folder=tmp_path):
        first.start()
        first.join(MOMENT)
        second.start()
        second.join(MOMENT)
        assert order == []
    first.join()
    second.join()
    assert order == ["waits to be alone", "would fit in"]


def test_what_goes_on_after_its_turn_keeps_the_next_one_from_being_alone(tmp_path: Path) -> None:
    came_in = threading.Event()

    def come() -> None:
        with turn(timed=False, alone=True, folder=tmp_path):
            came_in.set()

    later = threading.Thread(target=come)
    with turn(timed=False, alone=False, folder=tmp_path):
        later.start()
        goes_on = prolonged(tmp_path)
        goes_on.__enter__()
    assert not came_in.wait(MOMENT)
    goes_on.__exit__(None, None, None)
    assert came_in.wait(10)
    later.join()
