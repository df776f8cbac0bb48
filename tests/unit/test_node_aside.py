"""What a leader had that another one replaced is kept as an RDB before it follows, and its role waits for that."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from holdfast_node import aside, resp
from holdfast_node.aside import Aside


class Redis:
    """Answers at once; a save takes as many looks as it is told."""

    def __init__(self, folder: Path) -> None:
        self.dump = folder / "dump.rdb"
        self.busy: list[str] = []
        """Refusals of the next requests to save."""
        self.looks_left = 1
        self.status = "ok"
        self.append_only = True
        self.saves = 0

    def tell(self, then: Any, *words: object) -> None:
        if words == ("BGSAVE",):
            if self.busy:
                then(resp.Refused(self.busy.pop()))
                return
            self.saves += 1
            then("Background saving started")
            return
        assert words == ("INFO", "persistence")
        self.looks_left -= 1
        done = self.looks_left <= 0
        if done and self.status == "ok":
            self.dump.write_bytes(b"REDIS0010")
        then(
            f"# Persistence\r\nrdb_bgsave_in_progress:{0 if done else 1}\r\nrdb_last_bgsave_status:{self.status}\r\n"
            f"aof_enabled:{1 if self.append_only else 0}\r\n"
        )


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Redis:
    monkeypatch.setattr(aside, "FOLDER", tmp_path / "aside")
    monkeypatch.setattr(aside, "DUMP", tmp_path / "dump.rdb")
    aside.FOLDER.mkdir()
    return Redis(tmp_path)


def beside(redis: Redis, kept: Aside, since: float, until: float) -> float:
    """Look ten times a second while it leads beside another leader; when it was over, or `until`."""
    now = since
    while now < until:
        kept.look(redis, now - since, now)
        if kept.over:
            return now - since
        now += 0.1
    return until - since


def test_it_is_saved_after_a_second_and_found(redis: Redis) -> None:
    kept = Aside()
    assert beside(redis, kept, 100.0, 110.0) == pytest.approx(1.1, abs=0.15)
    found = aside.newest()
    assert found is not None
    assert found["bytes"] == 9
    assert Path(found["file"]).read_bytes() == b"REDIS0010"
    assert found["at"] == pytest.approx(time.time(), abs=60)
    assert not redis.dump.exists()
    assert redis.saves == 1


def test_an_orderly_change_saves_nothing(redis: Redis) -> None:
    kept = Aside()
    beside(redis, kept, 100.0, 100.9)
    kept.look(redis, 0.0, 101.0)
    assert redis.saves == 0
    assert aside.newest() is None


def test_a_refusal_is_asked_again_and_the_role_waits(redis: Redis) -> None:
    redis.busy, redis.looks_left = ["ERR another child process is active (AOF?)"] * 20, 10
    assert beside(redis, Aside(), 100.0, 110.0) == pytest.approx(4.0, abs=0.2)


def test_a_save_that_fails_or_never_ends_does_not_hold_the_role_for_ever(redis: Redis) -> None:
    redis.status = "err"
    kept = Aside()
    assert beside(redis, kept, 100.0, 110.0) < 2
    redis.looks_left = 10**6
    assert beside(redis, Aside(), 100.0, 300.0) == pytest.approx(61, abs=0.5)
    assert aside.newest() is None


def test_a_redis_that_starts_from_its_dump_keeps_it(redis: Redis) -> None:
    redis.append_only = False
    beside(redis, Aside(), 100.0, 110.0)
    assert redis.dump.read_bytes() == b"REDIS0010"
    assert aside.newest() is not None


def test_each_time_is_kept_apart_and_only_the_last_two(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Aside()
    for hour in (1, 2, 3):
        monkeypatch.setattr(
            aside.time, "gmtime", lambda hour=hour: time.struct_time((2026, 11, 25, hour, 0, 0, 0, 0, 0))
        )
        beside(redis, kept, 100.0 * hour, 100.0 * hour + 10)
        kept.look(redis, 0.0, 100.0 * hour + 20)
    assert sorted(file.name for file in aside.FOLDER.iterdir()) == ["20261125T020000Z.rdb", "20261125T030000Z.rdb"]


def test_what_is_two_weeks_old_goes(redis: Redis) -> None:
    beside(redis, Aside(), 100.0, 110.0)
    (file,) = aside.FOLDER.iterdir()
    os.utime(file, times=(time.time() - 15 * 86400,) * 2)
    assert aside.newest() is None
    assert not file.exists()


def test_a_full_disk_is_no_reason_to_lead_on(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(aside, "_take", full)
    kept = Aside()
    beside(redis, kept, 100.0, 110.0)
    assert kept.over
