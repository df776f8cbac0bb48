"""The backup process, against a Redis and a bucket that fail in each of the ways that they can."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from holdfast_node import aws, backup, base, resp, turn
from holdfast_node.backup import Backup
from holdfast_node.base import Plan
from holdfast_node.identity import Identity
from holdfast_node.turn import Turn

RDB = base64.b64decode(
    "UkVESVMwMDEw+glyZWRpcy12ZXIGNy4wLjE1+gpyZWRpcy1iaXRzwED6BWN0aW1lwhA0DWv6CHVzZWQtbWVtwpAPDwD6DnJlcGwtc3RyZWFtLWRi"
    "wAP6B3JlcGwtaWQoNmVhM2QwNmNhYzZlZmYwOWU0ZTc0MWJhNTFiYTg0ZjMzZTIwNmE0NfoLcmVwbC1vZmZzZXTBnQD6CGFvZi1iYXNlwAD+APsC"
    "AfwXfd3UcwMAAAABYsABAAFhwAH+A/sBAAABY8AB/0lnDmzi9RN8"
)
"""Of a replica with Redis 7.0: keys a and b in database 0, b with an end, and c in database 3."""
HISTORY = "6ea3d06cac6eff09e4e741ba51ba84f33e206a45"
LEADER, ME = "10.40.16.4", "10.40.0.4"
NOW = float(1_796_000_000 - 1_796_000_000 % 86400 + 4 * 3600)
"""An hour after the base was due."""
PLAN = Plan("holdfast-local-saved", 86400, 3 * 3600, ("daily", "weekly", "monthly"))


class Redis:
    """The node's own: a replica that is in sync."""

    def __init__(self, dump: Path) -> None:
        self.dump, self.saves = dump, True
        self.content = RDB
        self.busy = 0
        self.info = {
            "role": "slave",
            "master_host": LEADER,
            "master_link_status": "up",
            "master_sync_in_progress": "0",
            "master_replid": HISTORY,
            "master_replid2": "0" * 40,
            "master_repl_offset": "500",
            "second_repl_offset": "-1",
            "run_id": "r1",
            "used_memory": "1000000",
            "aof_enabled": "1",
            "rdb_bgsave_in_progress": "0",
            "rdb_last_bgsave_status": "ok",
        }
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens during the snapshot."""
        self.forks = 0

    def call(self, *words: str) -> Any:
        if words[0] == "BGSAVE":
            if self.busy:
                self.busy -= 1
                raise resp.Refused("ERR Another child process is active")
            self.forks += 1
            if self.saves:
                new = self.dump.with_suffix(".new")
                new.write_bytes(self.content)
                new.replace(self.dump)
            self.meanwhile()
            return "Background saving started"
        return "\r\n".join(f"{name}:{value}" for name, value in self.info.items())

    def __enter__(self) -> Redis:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@dataclass
class Bucket:
    objects: dict[str, bytes] = field(default_factory=dict)
    fails: list[Exception] = field(default_factory=list)
    """The next calls end so."""
    calls: list[str] = field(default_factory=list)

    def complete(self, tier: str, since: float) -> list[float]:
        self._call(f"list {tier}")
        names = [key.split("/")[2] for key in self.objects if key.endswith("/manifest.json") and f"/{tier}/" in key]
        return [at for name in names if (at := base.taken_at(name)) is not None and at >= since]

    def there(self, tier: str, name: str) -> set[str]:
        self._call("list parts")
        prefix = base.prefix(tier, name)
        return {key.removeprefix(prefix) for key in self.objects if key.startswith(prefix)}

    def put(self, tier: str, name: str, part: str, content: bytes) -> None:
        self._call(f"put {part}")
        self.objects.setdefault(base.prefix(tier, name) + part, content)

    def _call(self, what: str) -> None:
        self.calls.append(what)
        if self.fails:
            raise self.fails.pop(0)

    def manifests(self) -> list[dict[str, Any]]:
        return [json.loads(content) for key, content in self.objects.items() if key.endswith("/manifest.json")]


class Machine:
    def __init__(self, identity: Identity, tmp_path: Path) -> None:
        self.identity, self.path = identity, tmp_path
        for name in ("redis", "backup"):
            (tmp_path / name).mkdir()
        self.redis, self.bucket = Redis(tmp_path / "redis" / "dump.rdb"), Bucket()
        self.now, self.slept = NOW, list[float]()

    def say_turn(self, mine: bool = True, leader: str | None = LEADER) -> None:
        turn.TURN.write_text(json.dumps(asdict(Turn(mine, leader, time.monotonic()))))

    def process(self) -> Backup:
        redis: Any = self.redis
        bucket: Any = self.bucket
        return Backup(
            self.identity,
            PLAN,
            bucket,
            lambda: redis,
            dump=self.redis.dump,
            folder=self.path / "backup",
            state=self.path / "state.json",
            clock=lambda: self.now,
            sleep=self._sleep,
        )

    def run(self, order: str | None = None) -> dict[str, Any]:
        """A process of its own; what it says in the end."""
        self.process().run(order)
        found: dict[str, Any] = json.loads((self.path / "state.json").read_text())
        return found

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    @property
    def left(self) -> list[str]:
        return [folder.name for folder in (self.path / "backup").iterdir()]


@pytest.fixture
def machine(identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr(turn, "TURN", tmp_path / "turn.json")
    monkeypatch.setattr(base, "PART", 100)
    machine = Machine(identity, tmp_path)
    machine.say_turn()
    yield machine


def test_a_base_is_saved_checked_and_uploaded_and_its_manifest_comes_last(machine: Machine) -> None:
    state = machine.run()
    name = base.name_of("local-a1", NOW)
    assert (state["done"], state["says"], state["id"]) == (True, "complete", name)
    assert state["next"] == PLAN.slot(NOW) + 86400
    prefix = f"base/monthly/{name}/"
    assert [key.removeprefix(prefix) for key in machine.bucket.objects] == ["00001", "00002", "00003", "manifest.json"]
    assert b"".join(machine.bucket.objects[f"{prefix}0000{number}"] for number in (1, 2, 3)) == RDB
    (manifest,) = machine.bucket.manifests()
    facts = {key: manifest[key] for key in ("keys", "expires", "databases", "replication_id", "offset", "rdb_version")}
    assert facts == {
        "keys": 3, "expires": 1, "databases": [0, 3], "replication_id": HISTORY, "offset": 157, "rdb_version": 10
    }  # fmt: skip
    assert machine.left == []
    assert not machine.redis.dump.exists(), "with an append-only file Redis does not start from it"


def test_where_redis_starts_from_its_snapshot_it_keeps_it(machine: Machine) -> None:
    machine.redis.info["aof_enabled"] = "0"
    assert machine.run()["done"]
    assert machine.redis.dump.read_bytes() == RDB


def test_what_is_there_already_is_not_taken_again(machine: Machine) -> None:
    """By whichever node."""
    machine.bucket.objects[f"base/daily/{base.name_of('local-b1', NOW - 60)}/manifest.json"] = b"{}"
    assert machine.run() == {
        "says": "nothing is due", "done": True, "id": None, "order": None, "next": PLAN.slot(NOW) + 86400,
        "pid": os.getpid(),
    }  # fmt: skip
    assert machine.redis.forks == 0
    assert machine.run("o1")["order"] == "o1"
    assert machine.redis.forks == 1, "ordered, it is taken all the same"


def test_an_order_that_comes_meanwhile_is_obeyed_after_that(machine: Machine) -> None:
    asked = iter([None, "o1", "o1"])
    machine.process().run_all(lambda: next(asked))
    assert machine.redis.forks == 2
    assert json.loads((machine.path / "state.json").read_text())["order"] == "o1"


def test_a_name_of_the_future_keeps_nobody_from_taking_one(machine: Machine) -> None:
    machine.bucket.objects[f"base/daily/{base.name_of('local-b1', NOW + 3e9)}/manifest.json"] = b"{}"
    assert machine.run()["says"] == "complete"


def test_what_never_got_its_manifest_is_no_backup(machine: Machine) -> None:
    machine.bucket.objects[f"base/daily/{base.name_of('local-b1', NOW - 60)}/00001"] = RDB
    assert machine.run()["says"] == "complete"


@pytest.mark.parametrize(
    ("mine", "leader", "changed"),
    [
        (False, LEADER, {}),
        (True, None, {}),
        (True, "10.40.32.4", {}),
        (True, LEADER, {"master_link_status": "down"}),
        (True, LEADER, {"master_sync_in_progress": "1"}),
        (True, LEADER, {"role": "master"}),
    ],
)
def test_only_who_follows_the_proven_leader_saves(
    machine: Machine, mine: bool, leader: str | None, changed: dict[str, str]
) -> None:
    """A replica that was never in sync would save nothing, and call it everything."""
    machine.say_turn(mine, leader)
    machine.redis.info |= changed
    state = machine.run()
    assert state["done"] is False
    assert "not this node's turn" in state["says"]
    assert (machine.redis.forks, machine.bucket.objects) == (0, {})


def test_an_agent_that_says_nothing_any_more_proves_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    turn.TURN.write_text(json.dumps(asdict(Turn(True, LEADER, time.monotonic() - turn.FRESH - 1))))
    assert machine.run()["done"] is False
    assert machine.redis.forks == 0


def test_without_room_nothing_is_forked(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    free = SimpleNamespace(f_bavail=16, f_frsize=2**20)
    monkeypatch.setattr(backup.os, "statvfs", lambda _: free)
    state = machine.run()
    assert state["says"].startswith("16 MiB are free on the data volume; accepted: 64 MiB")
    assert (state["done"], state["next"], machine.redis.forks) == (False, NOW + backup.LATER, 0)


def test_a_redis_that_is_busy_is_asked_again(machine: Machine) -> None:
    machine.redis.busy = 3
    assert machine.run()["done"]
    machine.now += 86400
    machine.redis.busy = 10_000
    machine.say_turn()
    assert "Another child process" in machine.run()["says"]
    assert machine.left == []


def test_a_snapshot_that_redis_ended_is_none_though_the_one_before_was_good(machine: Machine) -> None:
    """A child that Redis kills, to be fed anew, leaves the status and the file of the last one."""
    machine.redis.dump.write_bytes(RDB)
    machine.redis.saves = False
    state = machine.run()
    assert (state["done"], state["says"]) == (False, "Redis could not save, or ended it")
    assert machine.bucket.objects == {}


@pytest.mark.parametrize("broken", [RDB[:100], RDB[:-1] + b"\0", RDB[:150] + b"\xff" + RDB[151:]])
def test_a_broken_file_is_never_uploaded(machine: Machine, broken: bytes) -> None:
    machine.redis.content = broken
    state = machine.run()
    assert state["done"] is False
    assert "the snapshot is broken: redis-check-rdb exited with" in state["says"]
    assert (machine.bucket.objects, machine.left) == ({}, [])


def test_a_leader_that_changes_during_the_snapshot_makes_it_none(machine: Machine) -> None:
    machine.redis.meanwhile = lambda: machine.say_turn(leader="10.40.32.4")
    state = machine.run()
    assert state["says"] == "its Redis did not follow the proven leader to the end of the snapshot"
    assert (machine.bucket.objects, machine.left) == ({}, [])


def test_a_failover_later_leaves_what_the_new_leader_has_too(machine: Machine) -> None:
    fail_over(machine, taken_over=200)
    assert machine.run()["says"] == "complete"


def test_a_failover_later_makes_it_none_where_the_new_leader_never_had_all_of_it(machine: Machine) -> None:
    fail_over(machine, taken_over=100)
    state = machine.run()
    assert state["done"] is False
    assert state["says"].endswith("what was saved is in nobody's history any more")
    assert machine.bucket.manifests() == []
    assert machine.left == []


def fail_over(machine: Machine, taken_over: int) -> None:
    """When the first part is uploaded. `taken_over`: bytes of the old history, of which the snapshot has 157."""

    def put(tier: str, name: str, part: str, content: bytes) -> None:
        if part == "00001":
            machine.say_turn(leader="10.40.32.4")
            machine.redis.info |= {
                "master_host": "10.40.32.4",
                "master_replid": "b" * 40,
                "master_replid2": HISTORY,
                "second_repl_offset": str(taken_over + 1),
            }
        Bucket.put(machine.bucket, tier, name, part, content)

    machine.bucket.put = put  # type: ignore[method-assign]


def test_an_api_that_is_away_or_slow_or_busy_is_asked_again_for_the_same_part(machine: Machine) -> None:
    machine.bucket.fails = [OSError("no route"), aws.Refused(503, "SlowDown", ""), TimeoutError()]
    assert machine.run()["done"]
    assert len(machine.slept) >= 3
    assert machine.bucket.calls.count("put 00001") == 1, "and no other"


def test_an_api_that_stays_away_is_given_up_before_the_next_base_is_due(machine: Machine) -> None:
    def never(*_: Any) -> Any:
        raise aws.Refused(503, "SlowDown", "")

    machine.bucket.put = never  # type: ignore[method-assign]
    state = machine.run()
    assert state["done"] is False
    assert state["says"] == "could not upload 00001 in time: SlowDown"
    assert machine.left == []


def test_a_process_that_ended_in_the_middle_goes_on_with_what_is_missing(machine: Machine) -> None:
    class Killed(BaseException):
        pass

    def put(tier: str, name: str, part: str, content: bytes) -> None:
        if part == "00003":
            raise Killed
        Bucket.put(machine.bucket, tier, name, part, content)

    machine.bucket.put = put  # type: ignore[method-assign]
    with pytest.raises(Killed):
        machine.run()
    assert machine.bucket.manifests() == []
    (name,) = machine.left
    del machine.bucket.put  # type: ignore[method-assign]
    machine.bucket.calls.clear()
    machine.now += 600
    assert machine.run()["id"] == name
    assert [call for call in machine.bucket.calls if call.startswith("put")] == ["put 00003", "put manifest.json"]
    assert machine.redis.forks == 1
    assert machine.left == []
    (manifest,) = machine.bucket.manifests()
    assert manifest["bytes"] == len(RDB)


def test_what_is_left_of_long_ago_makes_room_for_a_new_one(machine: Machine) -> None:
    old = machine.path / "backup" / base.name_of("local-a1", NOW - 2 * 86400)
    old.mkdir()
    (machine.path / "backup" / base.name_of("local-a1", NOW - 60)).mkdir()
    state = machine.run()
    assert (state["done"], state["id"]) == (True, base.name_of("local-a1", NOW))
    assert machine.left == []


def test_a_lone_leader_saves_too_and_proves_that_it_led_all_the_time(machine: Machine) -> None:
    """Without a replica it has no history by which a base could be told from another's."""
    machine.say_turn(leader=ME)
    machine.redis.info |= {"role": "master"}
    machine.redis.content = alone()
    assert machine.run()["says"] == "complete"
    machine.now += 86400
    machine.say_turn(leader=ME)
    put = machine.bucket.put

    def restart(tier: str, name: str, part: str, content: bytes) -> None:
        machine.redis.info["run_id"] = "r2"
        put(tier, name, part, content)

    machine.bucket.put = restart  # type: ignore[method-assign]
    assert machine.run()["done"] is False
    assert len(machine.bucket.manifests()) == 1


def alone() -> bytes:
    """The same without `repl-id` and `repl-offset`, and with the checksum of that."""
    begin, end = RDB.index(b"\xfa\x0erepl-stream-db"), RDB.index(b"\xfa\x08aof-base")
    content = RDB[:begin] + RDB[end:-8]
    return content + crc64(content).to_bytes(8, "little")


def crc64(content: bytes) -> int:
    """As Redis has it: the polynomial of Jones, reflected."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


def test_the_bucket_is_listed_from_where_it_matters_and_to_its_end(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast_node.saved import Saved

    asked = list[dict[str, str]]()
    pages = {
        "": "<R xmlns='http://s3'><Contents><Key>base/daily/2026-11-29T03-00-07Z-a/00001</Key></Contents>"
        "<NextContinuationToken>t/1</NextContinuationToken></R>",
        "t/1": "<R xmlns='http://s3'><Contents><Key>base/daily/2026-11-29T03-00-07Z-a/manifest.json</Key></Contents></R>",
    }

    def s3(self: Any, method: str, bucket: str, key: str, query: dict[str, str]) -> bytes:
        asked.append(query)
        return pages[query.get("continuation-token", "")].encode()

    monkeypatch.setattr(aws.Api, "s3", s3)
    since = base.taken_at("2026-11-29T03-00-00Z-") or 0.0
    assert Saved(identity, "b").complete("daily", since) == [since + 7]
    assert asked[0] == {
        "list-type": "2", "prefix": "base/daily/", "start-after": "base/daily/2026-11-29T02-59-59Z-"
    }  # fmt: skip
    assert Saved(identity, "b").complete("daily", since + 8) == []


def test_a_part_that_is_there_already_is_as_good_as_written(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast_node.saved import Saved

    answers = iter([aws.Refused(412, "PreconditionFailed", ""), aws.Refused(409, "ConditionalRequestConflict", "")])

    def s3(self: Any, method: str, bucket: str, key: str, body: bytes, headers: dict[str, str]) -> bytes:
        assert (method, key, headers) == ("PUT", "base/daily/x/00001", {"if-none-match": "*"})
        raise next(answers)

    monkeypatch.setattr(aws.Api, "s3", s3)
    Saved(identity, "b").put("daily", "x", "00001", b"1")
    with pytest.raises(aws.Refused, match="Conflict"):
        Saved(identity, "b").put("daily", "x", "00001", b"1")
