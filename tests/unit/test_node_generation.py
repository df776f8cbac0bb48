"""The data of one generation takes the place of another's: whole, and from whichever step it was interrupted at."""

from __future__ import annotations

import calendar
import getpass
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from holdfast_node import generation
from holdfast_node.generation import BEFORE, FIRST, STALE, Data, Generation

from holdfast.topology import names

SHA = "ab" * 32
RESTORED = Generation("20261130T120000Z-0a1b", "local-a1", SHA, None)
UNDONE = Generation("20261201T120000Z-0c2d", "local-a1", None, RESTORED.id)
DAY = 86400


class Volume:
    def __init__(self, root: Path) -> None:
        self.root, self.data = root, Data(root, owner=getpass.getuser())
        for name in ("redis", "node", f"restore/{SHA}/data/appendonlydir"):
            (root / name).mkdir(parents=True)
        (root / "redis" / "dump.rdb").write_text("old")
        (root / f"restore/{SHA}/data/appendonlydir/base.rdb").write_text("new")

    def redis(self) -> list[str]:
        return sorted(str(path.relative_to(self.root / "redis")) for path in (self.root / "redis").rglob("*"))

    def folders(self) -> set[str]:
        return {path.name for path in self.root.iterdir() if path.is_dir()}


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def test_what_was_prepared_takes_the_place_of_what_there_is_which_is_kept(volume: Volume) -> None:
    assert (volume.data.generation(), volume.data.has(RESTORED)) == (FIRST, True)
    volume.data.replace(RESTORED, mine=True)
    assert volume.redis() == ["appendonlydir", "appendonlydir/base.rdb"]
    assert (volume.root / f"before-{RESTORED.id}/dump.rdb").read_text() == "old"
    assert volume.data.generation() == RESTORED.id
    assert [kept.id for kept in volume.data.kept()] == [RESTORED.id]
    assert volume.folders() == {"redis", "node", "restore", f"before-{RESTORED.id}"}
    assert (volume.root / "node/restored").read_text() == RESTORED.id
    assert (volume.root / "redis").stat().st_mode & 0o777 == 0o770


def test_every_other_node_puts_its_data_aside_and_has_none(volume: Volume) -> None:
    volume.data.replace(RESTORED, mine=False)
    assert (volume.redis(), volume.data.generation()) == ([], RESTORED.id)
    assert (volume.root / f"before-{RESTORED.id}/dump.rdb").read_text() == "old"
    assert not (volume.root / "node/restored").exists()


@pytest.mark.parametrize(("free", "kept"), [(300, True), (200, False)])
def test_where_the_disk_is_short_for_the_new_data_only_the_node_that_brings_it_keeps_the_old_one(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, free: int, kept: bool
) -> None:
    """Of 100 MiB: twice that, and 64."""
    disk = SimpleNamespace(f_bavail=free * 2**20 // 4096, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    volume.data.replace(replace(RESTORED, bytes=100 * 2**20), mine=False)
    assert ([one.id for one in volume.data.kept()] == [RESTORED.id]) is kept
    volume.data.record(replace(RESTORED, id="20261101T120000Z-0a1b"))
    (volume.root / "redis" / "dump.rdb").write_text("synced")
    volume.data.replace(replace(UNDONE, undo=None, backup=SHA, bytes=100 * 2**20), mine=True)
    assert UNDONE.id in [one.id for one in volume.data.kept()]


def test_an_undo_is_the_same_with_the_folders_changed_and_can_be_undone(volume: Volume) -> None:
    volume.data.replace(RESTORED, mine=True)
    assert volume.data.has(UNDONE)
    volume.data.replace(UNDONE, mine=True)
    assert (volume.redis(), volume.data.generation()) == (["dump.rdb"], UNDONE.id)
    assert (volume.root / f"before-{UNDONE.id}/appendonlydir/base.rdb").read_text() == "new"
    assert [kept.id for kept in volume.data.kept()] == [UNDONE.id]


def test_what_was_of_an_older_time_is_put_back_by_nobody(volume: Volume) -> None:
    volume.data.replace(RESTORED, mine=False, aside=STALE)
    assert volume.folders() >= {f"stale-{RESTORED.id}"}
    assert volume.data.kept() == []
    assert not volume.data.has(UNDONE)


def test_a_new_volume_keeps_nothing(volume: Volume) -> None:
    """An undo by it would bring back emptiness."""
    (volume.root / "redis" / "dump.rdb").unlink()
    volume.data.replace(RESTORED, mine=False)
    assert (volume.data.kept(), volume.data.generation()) == ([], RESTORED.id)


class PowerLost(Exception):
    pass


STEPS = ("rename", "rmdir", "mkdir", "unlink", "chmod", "chown", "write")


def dying(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """All that changes the disk fails from the step after so many on."""
    done = [0]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **named: Any) -> Any:
            if done[0] >= after:
                raise PowerLost
            done[0] += 1
            return call(*arguments, **named)

        return counting

    for name in ("rename", "rmdir", "mkdir", "unlink"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    for name in ("chmod", "chown"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    monkeypatch.setattr(generation.shutil, "rmtree", counted(generation.shutil.rmtree))
    monkeypatch.setattr(generation, "write_for_all", counted(generation.write_for_all))


@pytest.mark.parametrize("mine", [True, False])
@pytest.mark.parametrize("after", range(12))
def test_a_machine_that_lost_its_power_at_any_step_goes_on_at_the_next_boot(
    volume: Volume, after: int, mine: bool
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        dying(patched, after)
        try:
            volume.data.replace(RESTORED, mine=mine)
            interrupted = False
        except PowerLost:
            interrupted = True
    # What a boot does before: it makes the folder that is missing.
    (volume.root / "redis").mkdir(exist_ok=True)
    volume.data.finish()
    if interrupted and volume.data.generation() == FIRST:
        assert volume.redis() == ["dump.rdb"], "it had not begun"
        assert after <= 1
        return
    assert volume.redis() == (["appendonlydir", "appendonlydir/base.rdb"] if mine else [])
    assert (volume.root / f"before-{RESTORED.id}/dump.rdb").read_text() == "old"
    assert (volume.root / "node/restored").exists() == mine
    assert not (volume.root / generation.BEGUN).exists()
    volume.data.finish()
    assert volume.data.generation() == RESTORED.id, "a second time it does nothing"


def test_after_fourteen_days_what_was_kept_goes(volume: Volume) -> None:
    volume.data.replace(RESTORED, mine=True)
    (volume.root / "before-not-ours").mkdir()
    ends = calendar.timegm((2026, 12, 14, 12, 0, 0))
    assert [kept.until for kept in volume.data.kept()] == [ends]
    for now, there in ((ends - 1, True), (ends, False)):
        assert volume.data.expired(now) is not there
        volume.data.expire(now)
        assert (f"{BEFORE}-{RESTORED.id}" in volume.folders()) is there
    assert "before-not-ours" in volume.folders()
    assert volume.redis() != []


def test_it_gives_away_no_file_behind_a_link(volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who prepares it may not have root give it something else."""
    (volume.root / f"restore/{SHA}/data/link").symlink_to("/etc/shadow")
    given: list[tuple[str, bool]] = []
    monkeypatch.setattr(os, "chown", lambda path, *_, follow_symlinks: given.append((str(path), follow_symlinks)))
    volume.data.replace(RESTORED, mine=True)
    assert {follows for _, follows in given} == {False}
    assert str(volume.root / "redis/link") in {path for path, _ in given}
    assert json.loads((volume.root / "generation.json").read_text()) == {"id": RESTORED.id}


def test_what_a_restore_had_put_in_place_that_was_taken_back_goes_soon(volume: Volume) -> None:
    """Where it came too late for the node that brought it: nobody else has that data."""
    volume.data.replace(RESTORED, mine=True)
    volume.data.replace(Generation(FIRST, "none", None, None), mine=False, aside=STALE)
    assert (volume.data.generation(), volume.redis()) == (FIRST, [])
    volume.data.expire(calendar.timegm((2026, 12, 1, 0, 0, 0)))
    assert volume.folders() == {"redis", "node", "restore", f"before-{RESTORED.id}"}


def test_the_first_generation_has_the_same_name_for_operators() -> None:
    assert names.FIRST_GENERATION == FIRST
