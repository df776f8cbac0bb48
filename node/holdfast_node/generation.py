"""Of which generation the data on this node's volume is, and how that of another one takes its place.

A restore is a new generation: its id stands in the environment's bucket, and on each volume that of the data there.
Data of another generation is put aside, and no Redis of this node starts from it any more. Whoever was interrupted in
the middle goes on at the next boot, without the cloud: what was begun stands on the volume.
"""

from __future__ import annotations

import calendar
import json
import os
import pwd
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from holdfast_node.files import REDIS, write_for_all
from holdfast_node.log import say

ROOT = Path("/var/lib/holdfast")
REDIS_FOLDER, PREPARED = "redis", "restore"
"""Folders of the volume: Redis' own, and that of what was fetched."""
DATA = "data"
"""In the latter, in a folder with the name of what it is: what Redis is to find in its own."""

RECORD, BEGUN = "generation.json", "generation-next.json"

RESTORED = ROOT / "node" / "restored"
"""There from when this node put data in place until it has led with it, or followed another in sync."""

BEFORE, STALE = "before", "stale"
"""How a folder with data of before begins: the cluster's until then, or that of a machine that was off."""

DAYS = 14
"""For which it is kept."""

TIMES, SPARE = 2, 64 * 2**20
"""How often the disk must have room for new data, beside what is kept: as it comes, and as Redis saves it first. And
bytes that stay free."""

FIRST = "19700101T000000Z-0000"
"""The generation of data from before the first restore."""

ID = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{4}")
"""Of a generation: when it was ordered, in UTC."""


@dataclass(frozen=True)
class Generation:
    """As the bucket has it."""

    id: str
    node: str
    """Who has the data, and leads with it."""
    backup: str | None
    """SHA-256 of the file that was prepared; None where data is put back."""
    undo: str | None
    """The generation before which it was that data which is put back."""
    bytes: int | None = None
    """Of that file."""


@dataclass(frozen=True)
class Kept:
    """Data that was put aside when that generation began. `until`: seconds since the epoch."""

    id: str
    until: float


class Data:
    """The folders of the volume. All but looking takes root: what it moves is in a folder of root's."""

    def __init__(self, root: Path = ROOT, owner: str = REDIS) -> None:
        self._root, self._owner = root, owner
        self._redis = root / REDIS_FOLDER

    def generation(self) -> str:
        """Of the data that is there."""
        try:
            found: str = json.loads((self._root / RECORD).read_text(encoding="utf-8"))["id"]
            return found
        except FileNotFoundError:
            return FIRST

    def kept(self) -> list[Kept]:
        """What an undo may put back, the oldest first."""
        return [kept for folder, kept in self._aside() if folder.name.startswith(BEFORE)]

    def expired(self, now: float) -> bool:
        return any(kept.until <= now for _, kept in self._aside())

    def has(self, wanted: Generation) -> bool:
        """Whether the data that a generation begins with is here."""
        return self._source(wanted).is_dir()

    def expire(self, now: float) -> None:
        """Remove what was kept long enough."""
        for folder, kept in list(self._aside()):
            if kept.until <= now:
                say(f"removes {folder}, which was kept for {DAYS} days")
                shutil.rmtree(folder)

    def record(self, wanted: Generation) -> None:
        """What is there is of that generation: the leader's, with which this Redis is in sync, or nothing."""
        write_for_all(self._root / RECORD, json.dumps({"id": wanted.id}))

    def replace(self, wanted: Generation, *, mine: bool, aside: str = BEFORE) -> None:
        """Put aside what there is, and the data of that generation in its place where it is `mine` to have it.

        Redis must not run.
        """
        if not mine and not self._holds_any():
            self.record(wanted)
            return
        write_for_all(self._root / BEGUN, json.dumps({"wanted": asdict(wanted), "mine": mine, "aside": aside}))
        self.finish()

    def finish(self) -> None:
        """Go on where `replace` was interrupted, at whichever step. Does nothing where nothing was begun."""
        try:
            begun = json.loads((self._root / BEGUN).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        wanted, mine = Generation(**begun["wanted"]), begun["mine"]
        before, source = self._root / f"{begun['aside']}-{wanted.id}", self._source(wanted)
        if not before.exists():
            self._redis.rename(before)
            say(f"put its data aside as {before}, for {DAYS} days")
        if mine and source.exists():
            # A boot has made an empty one in the meantime.
            if self._redis.exists():
                self._redis.rmdir()
            source.rename(self._redis)
        self._redis.mkdir(mode=0o700, exist_ok=True)
        self._give_to_redis()
        if mine:
            write_for_all(self._root / "node" / RESTORED.name, wanted.id)
            shutil.rmtree(self._root / PREPARED / str(wanted.backup), ignore_errors=True)
        self.record(wanted)
        (self._root / BEGUN).unlink()
        if not mine and before.exists() and self.room() < TIMES * (wanted.bytes or 0) + SPARE:
            # The node that has the new data keeps the old one too. Without room this one would never be in sync.
            say(f"removes {before}: the new data needs its room")
            shutil.rmtree(before)

    def room(self) -> int:
        """Free bytes of the volume."""
        disk = os.statvfs(self._root)
        return disk.f_bavail * disk.f_frsize

    def _source(self, wanted: Generation) -> Path:
        if wanted.undo is not None:
            return self._root / f"{BEFORE}-{wanted.undo}"
        return self._root / PREPARED / str(wanted.backup) / DATA

    def _holds_any(self) -> bool:
        return self._redis.exists() and any(self._redis.iterdir())

    def _give_to_redis(self) -> None:
        """All of it, and through no link."""
        user = pwd.getpwnam(self._owner)
        for folder, _, files in os.walk(self._redis):
            for path in (folder, *(os.path.join(folder, file) for file in files)):
                os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        os.chmod(self._redis, 0o770)

    def _aside(self) -> Iterator[tuple[Path, Kept]]:
        for folder in sorted(self._root.glob("*-*")):
            kind, _, id = folder.name.partition("-")
            if kind in (BEFORE, STALE) and (begun := began(id)) is not None:
                yield folder, Kept(id, begun + DAYS * 86400)


def began(id: str) -> float | None:
    """When that generation was ordered, in seconds since the epoch; None where it is no id of one."""
    found = ID.fullmatch(id)
    try:
        return float(calendar.timegm(time.strptime(found[1], "%Y%m%dT%H%M%SZ"))) if found else None
    except ValueError:
        return None
