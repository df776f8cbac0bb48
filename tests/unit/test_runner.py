"""`make test`: what it reads of each part, what it prints at the end, and when it fails."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import test as runner
from scripts.test import Run, Runner

BROKEN = """\
import pytest
def test_well(): pass
def test_broken(): assert 1 == 2
def test_left_out(): pytest.skip("not here")
@pytest.fixture
def fails(): raise OSError("no such thing")
def test_not_even_begun(fails): pass
"""


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runner:
    """One whose logs are its own; pytest is this environment's."""
    monkeypatch.setattr(runner, "LOGS", tmp_path)
    monkeypatch.setattr(runner, "REPOSITORY", tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    (tmp_path / "test_some.py").write_text(BROKEN)
    return Runner([])


def test_what_passed_failed_and_was_left_out_is_counted(ours: Runner) -> None:
    run = ours.pytest("some", "test_some.py")
    assert (run.code, run.passed, run.skipped, len(run.failures)) == (1, 1, 1, 2)
    assert run.failures[0].test == "test_some::test_broken"
    assert "assert 1 == 2" in run.failures[0].text


def test_the_first_failure_comes_last(ours: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    ours.pytest("some", "test_some.py")
    assert runner.tell(ours, whole=False) == 1
    said = capsys.readouterr().out
    assert "1 passed, 2 failed, 1 skipped\n" in said
    assert "no such thing" not in said.rpartition("the first failure, test_some::test_broken:")[2]
    assert "assert 1 == 2" in said.rpartition("the first failure, test_some::test_broken:")[2]


def test_what_was_measured_again_is_named(ours: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tried = "import pytest\ntried = []\n@pytest.mark.flaky(reruns=1)\n"
    (tmp_path / "test_late.py").write_text(
        f"{tried}def test_late():\n    tried.append(1)\n    assert len(tried) == 2\n"
    )
    run = ours.pytest("late", "-raR", "test_late.py")
    assert (run.code, run.passed, run.failures) == (0, 1, [])
    assert runner.tell(ours, whole=False) == 0
    assert "measured again: test_late.py::test_late\n" in capsys.readouterr().out


def test_a_command_that_fails_without_a_test_shows_the_end_of_its_log(
    ours: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    ours.run("lint", ["sh", "-c", "echo an unused import; exit 3"])
    assert runner.tell(ours, whole=False) == 1
    assert capsys.readouterr().out.endswith("lint ended with 3; the end of lint.log:\nan unused import\n")


def test_what_runs_behind_has_what_the_others_leave_of_the_cores(ours: Runner) -> None:
    shown = ["sh", "-c", "sleep 0.3; nice; cat /proc/self/autogroup 2>/dev/null || echo /autogroup-0 nice 19"]
    run = ours.run("some", shown, behind=True)
    priority, session = run.log.read_text().splitlines()
    assert (priority, session.rpartition(" ")[2]) == ("19", "19")


def test_nothing_that_ran_is_a_failure(ours: Runner) -> None:
    """As where every test was deselected."""
    assert not ours.pytest("some", "-k", "no such test", "test_some.py").well


def test_a_whole_run_that_takes_too_long_fails(
    ours: Runner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Runner, "minutes", lambda self: runner.BUDGET_MINUTES + 1.0)
    ours.runs.append(Run("unit", passed=1))
    assert runner.tell(ours, whole=False) == 0
    assert runner.tell(ours, whole=True) == 1
    assert f"the whole takes longer than {runner.BUDGET_MINUTES} minutes" in capsys.readouterr().out


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What is started; where these tests run in the background, it would ignore an interrupt as they do."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupted_everything_ends_and_nothing_more_begins(ours: Runner) -> None:
    sleeping = threading.Thread(target=ours.run, args=("sleep", ["sleep", "60"]))
    sleeping.start()
    while not ours.processes:
        time.sleep(0.01)
    ours.interrupt()
    sleeping.join(10)
    assert not sleeping.is_alive()
    ours.run("later", ["sleep", "60"])
    assert [run.name for run in ours.runs] == ["sleep"]
