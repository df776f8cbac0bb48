"""What prepares a restore: a backup that is whole and fits is laid out so that Redis starts with it, and no other."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis as client
from holdfast_node import aws, base
from holdfast_node.restore import Preparation

from holdfast.drill.waiting import wait_until
from tests.unit.test_node_backup import RDB

PREFIX = "restore/copies/2026-11-29T03-00-07Z-prod-c1/"
SHA = hashlib.sha256(RDB).hexdigest()


class Machine:
    """A node with Redis 7.0, an append-only file and 256 MiB; parts have 100 bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder / "restore", folder / "state.json"
        self.folder.mkdir()
        parts = [RDB[at : at + 100] for at in range(0, len(RDB), 100)]
        self.objects = {f"{PREFIX}{number:05}": part for number, part in enumerate(parts, 1)}
        self.manifest: dict[str, Any] = {
            "version": 1,
            "sha256": SHA,
            "keys": 3,
            "bytes": len(RDB),
            "parts": [
                {"name": f"{number:05}", "bytes": len(part), "sha256": hashlib.sha256(part).hexdigest()}
                for number, part in enumerate(parts, 1)
            ],
        }
        self.config = {
            "appendonly": "yes",
            "appendfilename": "appendonly.aof",
            "appenddirname": "appendonlydir",
            "dbfilename": "dump.rdb",
            "maxmemory": str(256 * 2**20),
        }
        self.version, self.now = "7.0.15", 1000.0
        self.fails: list[Exception] = []
        self.asked: list[str] = []

    def get(self, key: str) -> bytes:
        self.asked.append(key.removeprefix(PREFIX))
        if self.fails:
            raise self.fails.pop(0)
        if key.endswith("manifest.json"):
            return json.dumps(self.manifest).encode()
        return self.objects[key]

    def call(self, *words: str) -> Any:
        if words[0] == "INFO":
            return f"redis_version:{self.version}"
        return [words[2], self.config[words[2]]] if words[2] in self.config else []

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, order: str = "o1", prefix: str = PREFIX) -> dict[str, Any]:
        me: Any = self
        Preparation(
            me, lambda: me, folder=self.folder, state=self.state, clock=lambda: self.now, sleep=self._sleep
        ).run(order, prefix)
        found: dict[str, Any] = json.loads(self.state.read_text())
        return found

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def made(self) -> list[str]:
        data = self.folder / SHA / "data"
        return sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(base, "PART", 100)
    return Machine(tmp_path)


def test_it_is_laid_out_as_the_append_only_file_that_redis_7_starts_from(machine: Machine) -> None:
    assert machine.run() == {"order": "o1", "says": "prepared", "done": True, "backup": SHA}
    assert machine.made() == ["appendonlydir/appendonly.aof.1.base.rdb", "appendonlydir/appendonly.aof.manifest"]
    assert [path.name for path in (machine.folder / SHA).iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("appendonly", "version", "file"),
    [("no", "7.0.15", "dump.rdb"), ("no", "6.0.16", "dump.rdb"), ("yes", "6.0.16", "appendonly.aof")],
)
def test_elsewhere_it_is_the_one_file(machine: Machine, appendonly: str, version: str, file: str) -> None:
    machine.config["appendonly"], machine.version = appendonly, version
    assert machine.run()["done"]
    assert machine.made() == [file]
    assert (machine.folder / SHA / "data" / file).read_bytes() == RDB


@pytest.fixture
def started(machine: Machine, tmp_path: Path) -> Iterator[Callable[..., client.Redis]]:
    """This machine's own Redis on what was laid out."""
    program = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    assert program is not None
    servers: list[subprocess.Popen[bytes]] = []

    def start(*settings: str) -> client.Redis:
        socket = tmp_path / "redis.sock"
        own = ["--port", "0", "--unixsocket", str(socket), "--dir", str(machine.folder / SHA / "data")]
        words = ["redis-server", *own, *settings]
        servers.append(subprocess.Popen(words, executable=program, stdout=subprocess.DEVNULL))
        wait_until(socket.exists, 30, lambda: "Redis does not start")
        return client.Redis(unix_socket_path=str(socket), decode_responses=True)

    yield start
    for server in servers:
        server.kill()
        server.wait()


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_redis_starts_with_it_and_goes_on_writing(
    machine: Machine, started: Callable[..., client.Redis], appendonly: str
) -> None:
    """A lone RDB beside an append-only file that is on would be ignored."""
    machine.config["appendonly"] = appendonly
    assert machine.run()["done"]
    server = started("--appendonly", appendonly, "--save", "")
    assert server.get("a") == "1"
    assert server.info("keyspace")["db3"]["keys"] == 1
    server.set("more", "1")
    assert (server.info("persistence")["aof_enabled"], server.get("more")) == (int(appendonly == "yes"), "1")


def refused(machine: Machine) -> str:
    found = machine.run()
    assert found["done"] is False
    assert found["backup"] is None
    assert not (machine.folder / SHA / "data").exists()
    return str(found["says"])


def test_a_part_that_is_not_what_was_saved_is_refused(machine: Machine) -> None:
    machine.objects[PREFIX + "00002"] = b"x" * 100
    assert refused(machine).startswith("part 00002 has SHA-256 ")


def test_a_file_that_redis_takes_for_broken_is_refused(machine: Machine) -> None:
    """Whoever wrote the hashes."""
    broken = RDB[:150] + bytes([RDB[150] ^ 1]) + RDB[151:]
    machine.objects[PREFIX + "00002"] = broken[100:200]
    machine.manifest["parts"][1]["sha256"] = hashlib.sha256(broken[100:200]).hexdigest()
    machine.manifest["sha256"] = hashlib.sha256(broken).hexdigest()
    assert machine.run()["says"].startswith("the snapshot is broken: redis-check-rdb exited with")


def test_other_keys_than_were_counted_are_refused(machine: Machine) -> None:
    machine.manifest["keys"] = 4
    assert refused(machine) == "it has 3 keys; its manifest: 4"


def test_more_than_fits_into_memory_is_refused(machine: Machine) -> None:
    machine.config["maxmemory"] = "500000"
    assert refused(machine).startswith("it took 0 MiB of memory; accepted: maxmemory, 0 MiB here")
    machine.config["maxmemory"] = "0"
    assert machine.run()["done"], "without a limit it fits"


def test_where_the_disk_is_short_nothing_is_fetched(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    short = SimpleNamespace(f_bavail=64 * 2**20 // 4096, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: short)
    assert refused(machine).startswith("64 MiB are free on the data volume; accepted: 65 MiB")
    assert machine.asked == ["manifest.json"]


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2},
        {"sha256": "../../redis"},
        {"bytes": 1},
        {"parts": None},
        {"parts": [{"name": "../etc", "bytes": 1, "sha256": "a" * 64}], "bytes": 1},
        {"parts": [{"name": "00001", "bytes": 101, "sha256": "a" * 64}], "bytes": 101},
    ],
)
def test_a_manifest_without_sense_is_refused(machine: Machine, changed: dict[str, Any]) -> None:
    machine.manifest |= changed
    assert refused(machine).startswith(f"the manifest of {PREFIX} cannot be read: ")


def test_a_place_that_is_none_of_a_copy_is_not_looked_at(machine: Machine) -> None:
    found = machine.run(prefix="reports/local-b1/../")
    assert (found["done"], machine.asked) == (False, [])


def test_an_api_that_is_away_is_asked_again_for_the_same_part(machine: Machine) -> None:
    machine.fails = [OSError("no answer"), aws.Refused(503, "SlowDown", "")]
    assert machine.run()["done"]
    assert machine.asked[:3] == ["manifest.json"] * 3


def test_one_that_stays_away_is_given_up_after_ten_minutes(machine: Machine) -> None:
    machine.fails = [OSError("no answer")] * 1000
    assert refused(machine) == f"could not fetch {PREFIX}manifest.json within 600 s: no answer"


def test_a_copy_that_is_gone_is_not_waited_for(machine: Machine) -> None:
    """As where a machine boots whose order is over."""
    machine.fails = [aws.Refused(404, "NoSuchKey", "")]
    assert refused(machine) == f"there is no {PREFIX}manifest.json; the restore that it was for is over"


def test_another_order_that_comes_meanwhile_ends_the_waiting(machine: Machine) -> None:
    machine.fails = [OSError("no answer")] * 2
    orders = iter([{"order": "o1", "from": PREFIX}] + [{"order": "o2", "from": PREFIX}] * 10)
    me: Any = machine
    made = Preparation(
        me, lambda: me, folder=machine.folder, state=machine.state, clock=lambda: machine.now, sleep=machine._sleep
    )
    made.run_all(lambda: next(orders))
    assert json.loads(machine.state.read_text())["order"] == "o2"
    assert json.loads(machine.state.read_text())["done"]


def test_a_process_that_was_ended_goes_on_with_the_parts_that_it_lacks(machine: Machine) -> None:
    folder = machine.folder / SHA
    folder.mkdir()
    (folder / "unfinished").write_bytes(RDB[:130])
    (folder / "making").mkdir()
    assert machine.run()["done"]
    assert machine.asked == ["manifest.json", "00002", "00003"]
    machine.asked.clear()
    assert machine.run("o2") == {"order": "o2", "says": "prepared", "done": True, "backup": SHA}
    assert machine.asked == ["manifest.json"], "what is ready is not fetched again"


def test_what_was_prepared_before_and_never_used_makes_room(machine: Machine) -> None:
    (machine.folder / ("c" * 64) / "data").mkdir(parents=True)
    assert machine.run()["done"]
    assert [path.name for path in machine.folder.iterdir()] == [SHA]
