"""The twin raises a limit of this host's kernel, and puts it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.twin import limits


@pytest.fixture
def inotify(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    limit = tmp_path / "max_user_instances"
    monkeypatch.setattr(limits, "INOTIFY", limit)
    monkeypatch.setattr(limits, "KEPT", tmp_path / "state" / "inotify-instances")
    return limit


def test_a_low_limit_is_raised_while_the_twin_is_up_also_when_it_is_started_twice(inotify: Path) -> None:
    inotify.write_text("128\n")
    limits.lift()
    limits.lift()
    assert int(inotify.read_text()) == 1024
    limits.restore()
    assert int(inotify.read_text()) == 128
    limits.restore()
    assert int(inotify.read_text()) == 128


def test_a_higher_limit_stays(inotify: Path) -> None:
    inotify.write_text("8192\n")
    limits.lift()
    limits.restore()
    assert inotify.read_text() == "8192\n"
