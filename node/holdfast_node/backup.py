"""The backup process: one base, from Redis' own snapshot to the bucket, or the rest of one that was begun.

Started by systemd when the agent asks for it (turn.py), and gone when it is done. A base has its manifest last, so what
was interrupted is no backup. It goes on where it was after a restart of the process or of the machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from holdfast_node import aws, base, resp, turn
from holdfast_node.base import Facts, Part, Plan
from holdfast_node.files import write_for_all
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.saved import Saved
from holdfast_node.turn import State

DUMP = Path("/var/lib/holdfast/redis/dump.rdb")
RDB, RECORD = "base.rdb", "base.json"

POLL = 1.0
"""Seconds between two looks at what Redis does."""

BUSY_FOR = 300.0
"""Seconds for which Redis may be busy with another fork before the snapshot is put off."""

SPARE = 64 * 2**20
"""Bytes of the disk that a snapshot must leave free, beside what it may take itself."""

RETRY, SLOWEST = 2.0, 60.0
"""Seconds before a call that failed is made again, twice as long each time, up to the second."""

LATER = 300.0
"""Seconds before a snapshot that could not be taken is tried again."""

ANSWER_TIMEOUT = 10.0
"""Seconds for one answer of Redis, which may be busy."""

Redis = Callable[[], resp.Client]
T = TypeVar("T")


class Failed(Exception):
    """There is no backup, and why. What was begun is removed."""


@dataclass(frozen=True)
class Record:
    """What is known of a file that waits to be uploaded: beside it on the disk."""

    id: str
    tier: str
    rdb_version: int
    run_id: str
    """Of the Redis process that saved it."""
    leads: bool
    """Whether that one led."""
    facts: Facts


class Backup:
    """`saved`: the bucket; `redis`: a new connection to the node's own. The folders are those of the machine."""

    def __init__(
        self,
        identity: Identity,
        plan: Plan,
        saved: Saved,
        redis: Redis,
        *,
        dump: Path = DUMP,
        folder: Path = turn.FOLDER,
        state: Path = turn.STATE,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._identity, self._plan, self._saved, self._redis = identity, plan, saved, redis
        self._dump, self._folder, self._file = dump, folder, state
        self._clock, self._sleep = clock, sleep
        self._state = State(pid=os.getpid())

    def run_all(self, asked: Callable[[], str | None]) -> None:
        """`run`, and again for each order that comes meanwhile. `asked`: the last order, None for the schedule."""
        order = asked()
        self.run(order)
        while (following := asked()) not in (None, order):
            order = following
            self.run(order)

    def run(self, order: str | None) -> None:
        """Upload what is left, or what is due, or what is ordered. The state says what came of it."""
        left, now = self._left(), self._clock()
        following = self._plan.slot(now) + self._plan.every
        self._say("begins", id=left.id if left else None, order=order)
        try:
            if left is None and order is None and self._is_done(now):
                self._say("nothing is due", done=True, next=following)
                return
            record = left or self._save(now)
            self._say(f"{record.facts.keys:,} keys saved and checked", id=record.id)
            self._upload(record)
        except (Failed, OSError, resp.Refused) as error:
            if self._state.id:
                shutil.rmtree(self._folder / self._state.id, ignore_errors=True)
            self._say(str(error), done=False, next=self._clock() + LATER)
            return
        shutil.rmtree(self._folder / record.id)
        self._say("complete", done=True, next=following)

    def _left(self) -> Record | None:
        """What waits to be uploaded, if it is young enough; all else is removed."""
        found = None
        for folder in sorted(self._folder.iterdir()):
            at = base.taken_at(folder.name)
            young = at is not None and self._clock() - at < self._plan.every
            if young and (folder / RECORD).exists():
                content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
                content["facts"]["databases"] = tuple(content["facts"]["databases"])
                found = Record(**{**content, "facts": Facts(**content["facts"])})
            else:
                say(f"removes {folder.name}, which was not finished in time")
                shutil.rmtree(folder)
        return found

    def _is_done(self, now: float) -> bool:
        """Whether there is one already, of whichever node."""
        since = self._plan.slot(now)
        return self._patiently(
            "list what there is", since + self._plan.every,
            # One of the future is a lie, or a wrong clock's.
            lambda: any(at <= now for tier in self._plan.tiers for at in self._saved.complete(tier, since)),
        )  # fmt: skip

    def _save(self, now: float) -> Record:
        """A snapshot of Redis that was checked, under a name of its own.

        Raises:
            Failed: it is not this node's turn, Redis is not where it must be, the disk is short, the file is broken.
        """
        name = base.name_of(self._identity.node, now)
        with self._redis() as redis:
            info = self._in_place(redis)
            if info is None:
                raise Failed("it is not this node's turn, or its Redis does not follow the proven leader")
            self._have_room(int(info["used_memory"]))
            self._say("Redis saves", id=name)
            self._snapshot(redis)
            folder = self._folder / name
            folder.mkdir()
            # It is Redis' file, in a folder where its group may write.
            (folder / RDB).hardlink_to(self._dump)
            if info["aof_enabled"] == "1":
                # Elsewhere Redis starts from it.
                self._dump.unlink()
            after = self._in_place(redis)
        if after is None or after["run_id"] != info["run_id"]:
            raise Failed("its Redis did not follow the proven leader to the end of the snapshot")
        self._say("checks the snapshot")
        facts = check(folder / RDB)
        record = Record(
            id=name,
            tier=self._tier(now, facts.keys),
            rdb_version=_rdb_version(folder / RDB),
            run_id=info["run_id"],
            leads=info["role"] == "master",
            facts=facts,
        )
        (folder / RECORD).write_text(json.dumps(asdict(record)), encoding="utf-8")
        return record

    def _in_place(self, redis: resp.Client) -> Mapping[str, str] | None:
        """`INFO` of a Redis that has everything, by the proof of now; None of one that may not have."""
        said, info = turn.turn(), resp.fields(redis.call("INFO"))
        if said is None or not said.mine:
            return None
        if info["role"] == "master":
            return info if said.leader == self._identity.address else None
        return info if _follows(info, said.leader) and info.get("master_sync_in_progress") == "0" else None

    def _have_room(self, used: int) -> None:
        """An RDB is smaller than the memory that it is of."""
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        if free < used + SPARE:
            raise Failed(
                f"{free >> 20} MiB are free on the data volume; accepted: {(used + SPARE) >> 20} MiB, the most that a "
                "snapshot takes; a larger data_volume_gib makes room"
            )

    def _snapshot(self, redis: resp.Client) -> None:
        before, deadline = _which(self._dump), self._clock() + BUSY_FOR
        while True:
            try:
                redis.call("BGSAVE")
                break
            except resp.Refused as refused:
                # Another fork: a rewrite of the append-only file, or a replica that is fed.
                if self._clock() > deadline:
                    raise Failed(f"Redis does not save: {refused}") from None
                self._sleep(POLL)
        while True:
            self._sleep(POLL)
            info = resp.fields(redis.call("INFO", "persistence"))
            if info["rdb_bgsave_in_progress"] == "0":
                break
        # One that Redis itself ended, to be fed anew, leaves the status of the one before.
        if info["rdb_last_bgsave_status"] != "ok" or _which(self._dump) in (None, before):
            raise Failed("Redis could not save, or ended it")

    def _tier(self, now: float, keys: int) -> str:
        def ask() -> str:
            monthly = self._saved.complete(base.MONTHLY, base.month(now))
            return base.tier(self._plan, now, keys, monthly, self._saved.complete(base.WEEKLY, base.week(now)))

        return self._patiently("list what there is", now + self._plan.every, ask)

    def _upload(self, record: Record) -> None:
        """Every part that is not there, then the manifest.

        Raises:
            Failed: it took longer than until the next one, or what was saved is in nobody's history any more.
        """
        file, begun = self._folder / record.id / RDB, base.taken_at(record.id) or 0.0
        deadline, total = begun + self._plan.every, -(-file.stat().st_size // base.PART)
        there = self._patiently("list what there is", deadline, lambda: self._saved.there(record.tier, record.id))
        whole, parts = hashlib.sha256(), list[Part]()
        for number, content in enumerate(_cut(file), 1):
            whole.update(content)
            part = Part(f"{number:05}", len(content), hashlib.sha256(content).hexdigest())
            parts.append(part)
            if part.name not in there:
                self._say(f"uploads part {number} of {total}")
                self._put(record, deadline, part.name, content)
        self._patiently("prove what it saved", deadline, lambda: self._prove(record))
        written = base.manifest(
            environment=self._identity.environment,
            node=self._identity.node,
            name=record.id,
            tier=record.tier,
            rdb_version=record.rdb_version,
            found=record.facts,
            parts=parts,
            sha256=whole.hexdigest(),
        )
        self._put(record, deadline, base.MANIFEST, json.dumps(written, indent=1).encode())

    def _put(self, record: Record, deadline: float, part: str, content: bytes) -> None:
        self._patiently(f"upload {part}", deadline, lambda: self._saved.put(record.tier, record.id, part, content))

    def _prove(self, record: Record) -> None:
        """Raises Failed where it is in no history that counts, OSError while nobody is proven to lead."""
        with self._redis() as redis:
            said, info = turn.turn(), resp.fields(redis.call("INFO"))
        if said is None or said.leader is None:
            raise OSError("nobody is proven to lead")
        leads = info["role"] == "master" and said.leader == self._identity.address
        if not leads and not _follows(info, said.leader):
            raise OSError("its Redis does not follow the proven leader")
        # One that never had a replica has no history: then it must be the same process, which led all the time.
        alone = record.facts.replication_id is None and record.leads and leads and info["run_id"] == record.run_id
        if not alone and not base.belongs(record.facts, info):
            raise Failed("a failover came in between, and what was saved is in nobody's history any more")

    def _patiently(self, doing: str, deadline: float, call: Callable[[], T]) -> T:
        """The answer, as soon as there is one. Raises Failed at the deadline."""
        pause = RETRY
        while True:
            try:
                return call()
            except (OSError, aws.Refused, resp.Refused) as error:
                if self._clock() > deadline:
                    raise Failed(f"could not {doing} in time: {error}") from None
                self._say(f"cannot {doing} yet: {error}")
            self._sleep(pause)
            pause = min(2 * pause, SLOWEST)

    def _say(self, says: str, **changed: Any) -> None:
        """Keep the rest of what was said last."""
        if says != self._state.says:
            say(says)
        self._state = State(**{**asdict(self._state), "done": None, "says": says, **changed})
        write_for_all(self._file, json.dumps(asdict(self._state)))


def _follows(info: Mapping[str, str], leader: str | None) -> bool:
    """Whether a Redis that says this of itself hears from that leader."""
    return info.get("master_host") == leader and info.get("master_link_status") == "up"


def _cut(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while content := stream.read(base.PART):
            yield content


def check(file: Path) -> Facts:
    """What is in an RDB. Raises Failed where `redis-check-rdb` finds a fault."""
    done = subprocess.run(["redis-check-rdb", file], capture_output=True, text=True, errors="replace", check=False)
    try:
        if done.returncode:
            raise ValueError((done.stdout + done.stderr).strip().rpartition("\n")[2])
        return base.facts(done.stdout)
    except ValueError as error:
        raise Failed(f"the snapshot is broken: redis-check-rdb exited with {done.returncode}: {error}") from None


def _rdb_version(file: Path) -> int:
    """`REDIS0010…`"""
    with file.open("rb") as stream:
        return int(stream.read(9)[5:])


def _which(file: Path) -> tuple[int, int] | None:
    """Tells one file of that name from the next one."""
    try:
        found = file.lstat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
