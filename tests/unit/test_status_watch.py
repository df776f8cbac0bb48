"""`holdfast status --watch`: live in a terminal, a block for each change elsewhere, and Ctrl-C ends it cleanly."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from holdfast import cli
from holdfast.cli import watch as watching
from holdfast.ops import cloud, glance
from holdfast.ops.reports import Replica
from holdfast.ops.status import Status, work_out
from holdfast.plain import Terminal
from tests.unit.test_status import CLUSTER, A, B, C, healthy, report

TIME = r"\d\d:\d\d:\d\d UTC"
AWAY = cloud.CloudError("local: reading the nodes' reports failed: timed out")

Watch = Callable[..., str]


def handed_over() -> Status:
    reports = {
        "local-a1": report("local-a1", A, "replica", named_leader=B),
        "local-b1": report("local-b1", B, "leader", (Replica(A, 1000, True), Replica(C, 1000, True)), named_leader=B),
        "local-c1": report("local-c1", C, "replica", named_leader=B, holds_floating=True),
    }
    return work_out(CLUSTER, reports)


def well() -> Status:
    return work_out(CLUSTER, healthy())


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Watch:
    """What is printed while these are seen, until somebody interrupts."""

    def watch(*seen: Status | Exception) -> str:
        left = iter(seen)

        def look(_: Any) -> Status:
            answer = next(left, None)
            if answer is None:
                raise KeyboardInterrupt
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(glance, "look", look)
        monkeypatch.setattr("holdfast.cli.cluster.WATCH_INTERVAL", 0)
        assert cli.main(["status", "local", "--watch"]) == 130
        captured = capsys.readouterr()
        assert captured.err.strip() == "interrupted"
        return captured.out

    return watch


def blocks(text: str) -> list[str]:
    """The first line of each block below its time."""
    return [line.rstrip() for line in re.findall(rf"^{TIME} *\n(.*)$", text, re.MULTILINE)]


def test_without_a_terminal_a_block_is_printed_for_each_change_alone(watch: Watch) -> None:
    printed = watch(well(), well(), handed_over(), AWAY, AWAY, handed_over(), handed_over())
    assert blocks(printed) == [
        "local is healthy: local-a1 leads, 3 of 3 Sentinels agree",
        "local is healthy: local-b1 leads, 3 of 3 Sentinels agree",
        "local: reading the nodes' reports failed: timed out",
        "local is healthy: local-b1 leads, 3 of 3 Sentinels agree",
    ]
    assert printed.count("local-c1: a majority names local-a1") == 3
    assert "\x1b" not in printed


def test_what_moves_all_the_time_is_no_change(watch: Watch) -> None:
    def gone(age: float, offset: int) -> Status:
        reports = healthy()
        reports["local-a1"] = replace(reports["local-a1"], offset=offset)
        reports["local-b1"] = replace(reports["local-b1"], role="silent", ready=False, silent_s=age)
        reports["local-c1"] = replace(reports["local-c1"], age=age)
        return work_out(CLUSTER, reports)

    assert len(blocks(watch(gone(20, 1000), gone(21, 3000), gone(133.4, 9000)))) == 1
    assert len(blocks(watch(gone(2, 1000), gone(16, 1000)))) == 2


def test_a_decision_that_changes_is_a_change(watch: Watch) -> None:
    reports = healthy()
    reports["local-b1"] = replace(reports["local-b1"], decision="waits: no majority reachable")
    assert "local-b1: waits: no majority reachable" in watch(well(), work_out(CLUSTER, reports))


@pytest.fixture
def screen(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """The same in a terminal: the last frame, without its codes."""
    monkeypatch.setattr(watching, "out", Terminal(force_terminal=True))

    def screen(*seen: Status | Exception, width: int = 120) -> str:
        file = StringIO()
        monkeypatch.setattr(
            watching,
            "Terminal",
            lambda **options: Terminal(
                file=file, force_terminal=True, color_system=None, width=width, height=50, **options
            ),
        )
        watch(*seen)
        text = file.getvalue()
        assert text.endswith("\x1b[?25h"), "the cursor is there again"
        frames = re.split(r"(?:\x1b\[1A\x1b\[2K)+", text)
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frames[-1]).replace("\r", "")

    return screen


def test_a_terminal_shows_the_status_as_it_is_and_its_last_changes(screen: Watch) -> None:
    lines = screen(well(), well(), handed_over()).rstrip().splitlines()
    assert lines[0] == "local is healthy: local-b1 leads, 3 of 3 Sentinels agree"
    assert "local-b1  leader   10.40.16.4  0 B" in "\n".join(lines)
    assert re.fullmatch(f"{TIME}  local is healthy: local-a1 leads, 3 of 3 Sentinels agree", lines[-4])
    assert re.fullmatch(f"{TIME}  local is healthy: local-b1 leads, 3 of 3 Sentinels agree", lines[-3])
    assert re.fullmatch(f"{TIME}; Ctrl-C ends it", lines[-1])


def test_a_terminal_tells_no_changes_where_there_were_none(screen: Watch) -> None:
    assert screen(well(), well()).count("local is healthy") == 1


def test_old_changes_make_room_for_new_ones(screen: Watch) -> None:
    assert screen(*[well(), handed_over()] * 20).count(" leads, 3 of 3") == 1 + watching.REMEMBERED


def test_an_api_that_does_not_answer_is_told_above_what_was_last_seen(screen: Watch) -> None:
    lines = screen(well(), AWAY).splitlines()
    assert lines[0] == str(AWAY)
    assert lines[2] == "local is healthy: local-a1 leads, 3 of 3 Sentinels agree"
    assert screen(AWAY).splitlines()[0] == str(AWAY)
    recovered = screen(AWAY, well()).splitlines()
    assert recovered[0] == "local is healthy: local-a1 leads, 3 of 3 Sentinels agree"


def test_a_narrow_terminal_loses_no_word_of_a_sentence(screen: Watch) -> None:
    reports = healthy()
    words = [f"word{number}" for number in range(30)]
    reports["local-b1"] = replace(reports["local-b1"], decision=" ".join(words))
    shown = screen(work_out(CLUSTER, reports), width=60)
    assert [word for word in words if not re.search(rf"\b{word}\b", shown)] == []


@pytest.mark.parametrize("terminal", [True, False])
def test_ctrl_c_ends_it_with_130_and_no_traceback(terminal: bool) -> None:
    program = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, if these tests run in the background
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from holdfast import cli
from holdfast.ops import glance
from tests.unit.test_status_watch import well
looks = []
def look(_):
    looks.append(1)
    if len(looks) == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return well()
glance.look = look
import holdfast.cli.cluster as cluster
cluster.WATCH_INTERVAL = 0.05
sys.exit(cli.main(["status", "local", "--watch"]))
"""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    printed = read_all(ours)
    assert (done.returncode, done.stderr.strip()) == (130, "interrupted")
    assert "local-a1 leads, 3 of 3 Sentinels agree" in printed
    assert printed.endswith("\x1b[?25h") is terminal


def read_all(end: int) -> str:
    parts = []
    with contextlib.suppress(OSError):  # a terminal that nobody else has open any more
        while part := os.read(end, 4096):
            parts.append(part)
    os.close(end)
    return b"".join(parts).decode()
