"""How the twin ends, without one: what is swept and what is checked are stand-ins, files are real."""

from __future__ import annotations

import fcntl
import stat
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from holdfast.errors import HoldfastError
from holdfast.topology import emulation
from holdfast.twin import cgroups, client, lifecycle, netns, volumes
from holdfast.twin.daemon import Daemon


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A host on which a daemon died, and left its folders."""
    for name in ("STATE", "RUNTIME"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(lifecycle, name, tmp_path / name)
    monkeypatch.setattr(lifecycle, "LOCK", tmp_path / "command.lock")
    monkeypatch.setattr(client, "LOCK", tmp_path / "daemon.lock")
    monkeypatch.setattr(emulation, "CREDENTIALS", tmp_path / "credentials")
    emulation.write(emulation.CREDENTIALS, emulation.Key.new())
    monkeypatch.setattr(lifecycle, "require_root", lambda: None)
    monkeypatch.setattr(lifecycle, "_daemons", lambda: [])
    monkeypatch.setattr(cgroups, "instances", lambda: [])
    monkeypatch.setattr(netns, "names", lambda: [])
    for kind in lifecycle.SWEEPS:
        monkeypatch.setitem(lifecycle.SWEEPS, kind, lambda: [])
    return tmp_path


def down() -> list[str]:
    return lifecycle.down(lambda doing: None)


def test_down_leaves_nothing_and_may_be_repeated(host: Path) -> None:
    assert down() == [str(host / "STATE"), str(host / "RUNTIME")]
    assert list(host.iterdir()) == []
    assert down() == []


def test_what_does_not_go_is_named_and_does_not_keep_the_rest(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> list[str]:
        raise HoldfastError("i-1 does not end")

    monkeypatch.setitem(lifecycle.SWEEPS, "machine", refuse)
    monkeypatch.setitem(lifecycle.SWEEPS, "network", lambda: ["hf-1"])
    monkeypatch.setattr(netns, "names", lambda: ["hf-2"])
    with pytest.raises(HoldfastError, match="network namespace hf-2; i-1 does not end"):
        down()
    assert list(host.iterdir()) == []


def test_two_do_not_race(host: Path) -> None:
    with lifecycle.LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(HoldfastError, match="another"):
            down()
    assert (host / "STATE").is_dir()


def test_a_daemon_that_is_busy_is_waited_for_and_not_replaced(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was ended in the midst of a deploy, whose calls were then made a second time."""
    answers = iter([TimeoutError("busy"), TimeoutError("busy"), None])

    def request(do: str, **_: object) -> dict[str, object]:
        if busy := next(answers):
            raise busy
        return {}

    monkeypatch.setattr(lifecycle, "_daemons", lambda: [4711])
    monkeypatch.setattr(lifecycle, "_start", lambda: pytest.fail("it was replaced"))
    monkeypatch.setattr(lifecycle.limits, "lift", lambda: None)
    monkeypatch.setattr(client, "request", request)
    assert lifecycle.up([], lambda doing: None) is False


def test_up_writes_the_key_of_a_twin_that_runs_again_where_its_file_is_gone(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = emulation.Key.new()
    monkeypatch.setattr(lifecycle, "_daemons", lambda: [4711])
    monkeypatch.setattr(lifecycle.limits, "lift", lambda: None)
    monkeypatch.setattr(client, "request", lambda do, **_: asdict(held) if do == "key" else {})
    emulation.CREDENTIALS.unlink()
    for _ in range(2):
        assert lifecycle.up([], lambda doing: None) is False
        assert emulation.key() == held
    assert stat.S_IMODE(emulation.CREDENTIALS.stat().st_mode) == 0o600


def test_a_daemon_tells_the_key_that_its_api_takes() -> None:
    daemon = Daemon(port=0)
    assert emulation.Key(**daemon.commands["key"]({})) == daemon.api.key


def test_a_daemon_that_never_answers_is_replaced(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(do: str, **_: object) -> dict[str, object]:
        raise TimeoutError

    started: list[bool] = []
    monkeypatch.setattr(lifecycle, "START_WITHIN", 0.2)
    monkeypatch.setattr(lifecycle, "_daemons", lambda: [4711])
    monkeypatch.setattr(lifecycle, "_start", lambda: started.append(True))
    monkeypatch.setattr(lifecycle.limits, "lift", lambda: None)
    monkeypatch.setattr(client, "request", silent)
    assert lifecycle.up([], lambda doing: None) is True
    assert started == [True]


@pytest.fixture
def started(host: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A twin whose daemon was started, by a stand-in; its folders and files were open to all before."""
    ended = SimpleNamespace(poll=lambda: None)
    monkeypatch.setattr(lifecycle.subprocess, "Popen", lambda *_, **__: ended)
    monkeypatch.setattr(lifecycle, "answers", lambda: True)
    monkeypatch.setattr(lifecycle, "LOG", host / "STATE" / "daemon.log")
    (host / "STATE").chmod(0o755)
    emulation.CREDENTIALS.unlink()
    lifecycle._start()
    return host


def test_its_folder_and_its_key_are_for_its_user_alone(started: Path) -> None:
    assert stat.S_IMODE((started / "STATE").stat().st_mode) == 0o700
    assert stat.S_IMODE(emulation.CREDENTIALS.stat().st_mode) == 0o600


def test_each_twin_has_a_key_of_its_own_which_outlives_its_daemon(started: Path) -> None:
    first = emulation.key()
    assert first is not None
    lifecycle._start()
    assert emulation.key() == first
    emulation.CREDENTIALS.unlink()
    lifecycle._start()
    again = emulation.key()
    assert again is not None
    assert again.id != first.id
    assert again.secret != first.secret


def test_its_volumes_are_for_its_user_alone(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "VOLUMES", host / "volumes")
    (host / "volumes").mkdir(mode=0o755)
    volumes.create("vol-1", 1)
    assert stat.S_IMODE((host / "volumes").stat().st_mode) == 0o700
