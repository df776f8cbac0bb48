"""What took too long beside other tests is measured once more, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.drill.checker import Verdict
from holdfast.mirror import REPOSITORY
from tests.twin.measured import Disturbed, in_time, nothing

TESTS = """
import pytest
from tests.twin.measured import nothing

tried = {}

def fails(name, times, error):
    tried[name] = tried.get(name, 0) + 1
    print(f"{name}: tried")
    if tried[name] <= times:
        raise error

def late():
    try:
        nothing(["late"])
    except AssertionError as error:
        return error

@pytest.mark.timed
def test_late_once(): fails("late once", 1, late())

@pytest.mark.timed
def test_late_always(): fails("late always", 9, late())

@pytest.mark.timed
def test_lost(): fails("lost", 1, AssertionError("a write is lost"))

def test_late_and_not_timed(): fails("not timed", 1, late())
"""


def verdict(outage: float, leaders: int) -> Verdict:
    return Verdict(tuple(map(str, range(leaders))), outage, outage, (), 0.0, (), ())


def test_what_is_in_time_is_well() -> None:
    in_time(verdict(3.0, 2), 3.0, leaders=2)
    in_time(verdict(3.0, 5), 3.0)
    nothing([])


@pytest.mark.parametrize(
    ("outage", "leaders", "said"),
    [(3.01, 2, r"3\.01 s without an acknowledged write; accepted: 3 s"), (1.0, 3, "3 acknowledged writes")],
)
def test_what_is_not_says_by_how_much(outage: float, leaders: int, said: str) -> None:
    with pytest.raises(Disturbed, match=said):
        in_time(verdict(outage, leaders), 3.0, leaders=2)


def test_only_what_took_too_long_is_tried_once_more(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.twin.conftest import pytest_collection_modifyitems\n")
    (tmp_path / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", f"--rootdir={REPOSITORY}", f"--confcutdir={tmp_path}"]
    options = ["-c", str(REPOSITORY / "pyproject.toml"), "-p", "no:cacheprovider", "-s", "-q", str(tmp_path)]
    done = subprocess.run([*command, *options], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    tried = {name: done.stdout.count(f"{name}: tried") for name in ("late once", "late always", "lost", "not timed")}
    assert tried == {"late once": 2, "late always": 2, "lost": 1, "not timed": 1}
    assert "3 failed, 1 passed, 2 rerun" in done.stdout
