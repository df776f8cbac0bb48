"""What is said of a Redis that does not answer: real processes that are busy, stopped, or idle."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from holdfast_node import silence
from holdfast_node.silence import Sample, Silence

BUSY = "import time; print(flush=True)\nwhile True: pass"
IDLE = "import time; print(flush=True); time.sleep(60)"


def sampled(script: str, stopped: bool = False) -> str:
    """What is said of a process that runs this and does not answer: at the latest after as long as others may keep a
    busy one from its core, or soon, where nothing is to be said."""
    patience = 1 if script == IDLE else 20
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            if stopped:
                process.send_signal(signal.SIGSTOP)
            stat = Path(f"/proc/{process.pid}/stat")
            watched, began = Silence(lambda: silence.parse(stat.read_text())), time.monotonic()
            while (now := time.monotonic()) - began < patience and watched.because == silence.DOES_NOT_ANSWER:
                watched.look(now - began + 0.2, now)
                time.sleep(0.05)
            return watched.because
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("script", "stopped", "because"),
    [
        (BUSY, False, "is busy with a command"),
        (BUSY, True, "is stopped by a signal"),
        (IDLE, False, "does not answer"),
    ],
    ids=["busy", "stopped", "idle"],
)
def test_what_keeps_a_process_from_answering(script: str, stopped: bool, because: str) -> None:
    assert sampled(script, stopped) == because


def test_it_is_noted_once_it_answers_again(capsys: pytest.CaptureFixture[str]) -> None:
    cpu = iter([10.0, 10.9, 12.0])
    watched = Silence(lambda: Sample("R", next(cpu)))
    for seconds in (0.3, 1.3, 2.4):
        watched.look(seconds, 100 + seconds)
    watched.look(0.0, 103)
    watched.look(0.0, 104)
    assert capsys.readouterr().err.splitlines() == ["its Redis answers again; for 2.4 s it was busy with a command"]


def test_a_short_silence_is_not_worth_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    watched = Silence(lambda: Sample("T", 1.0))
    watched.look(0.3, 100)
    assert watched.because == "is stopped by a signal"
    watched.look(0.0, 100.4)
    assert (watched.because, capsys.readouterr().err) == ("does not answer", "")


def test_where_there_is_no_redis_nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(silence, "PROC", tmp_path)
    (tmp_path / "17").mkdir()
    (tmp_path / "17" / "comm").write_text("python3\n")
    (tmp_path / "18").mkdir()
    assert silence.sample_redis() is None
    (tmp_path / "18" / "comm").write_text("redis-server\n")
    (tmp_path / "18" / "stat").write_text(f"18 (redis-server) D {' '.join('1' for _ in range(10))} 250 150 0 0\n")
    assert silence.sample_redis() == Sample("D", 4.0)
