"""The process that prepares a restore: fetches a backup, proves that it is whole and fits, and lays it out for Redis.

Traffic goes on meanwhile. It touches nothing that Redis has; what it made waits on the volume until the generation of
it begins (see swap.py). A process that restarts goes on with the parts that it lacks.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from holdfast_node import aws, backup, base, generation, resp
from holdfast_node.files import read_state, write_for_all
from holdfast_node.identity import Identity
from holdfast_node.log import say

ASKED = Path("/run/holdfast-node/restore")
"""Whenever it changes, systemd starts this process (holdfast-restore.path): which order, and where its backup is."""
STATE = Path("/run/holdfast-restore/state.json")
"""What the process says of itself."""
FOLDER = generation.ROOT / generation.PREPARED

PREFIX = "restore/copies/"
"""Of what is copied for a restore into the environment's bucket: all that a node may read of any backup."""

TIMEOUT = 60.0
"""Seconds for a part."""

RETRY, GIVES_UP_AFTER = 2.0, 600.0
"""Seconds before a call that failed is made again, and for which the cloud may be away."""

MISSING = 404
"""HTTP status of what is not there."""

MANIFEST_LARGEST = 4 * 2**20

UNFINISHED = "unfinished"


class Failed(Exception):
    """It cannot be restored here, and why. Nothing was changed."""


@dataclass(frozen=True)
class State:
    order: str | None = None
    says: str = "has not begun"
    done: bool | None = None
    """None while it is at work."""
    backup: str | None = None
    """SHA-256 of what is prepared."""


def state() -> State:
    return read_state(STATE, State)


class Copies:
    """What was copied for a restore, in the environment's bucket. Raises `aws.Refused`, or OSError for no answer."""

    def __init__(self, identity: Identity) -> None:
        self._bucket = identity.bucket
        self._api = aws.Api(identity.region, identity.api_endpoint, TIMEOUT, largest=base.PART)

    def get(self, key: str) -> bytes:
        return self._api.s3("GET", self._bucket, key)


class Preparation:
    """`redis`: a new connection to the node's own."""

    def __init__(
        self,
        copies: Copies,
        redis: Callable[[], resp.Client],
        *,
        folder: Path = FOLDER,
        state: Path = STATE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._copies, self._redis, self._folder, self._file = copies, redis, folder, state
        self._clock, self._sleep = clock, sleep
        self._state = State()
        self._superseded: Callable[[], bool] = lambda: False
        """Whether another order has come."""

    def run_all(self, asked: Callable[[], Mapping[str, str]]) -> None:
        """`run`, and again for each order that comes meanwhile."""
        order = asked()
        self._superseded = lambda: asked() != order
        self.run(order["order"], order["from"])
        while (following := asked()) != order:
            order = following
            self.run(order["order"], order["from"])

    def run(self, order: str, prefix: str) -> None:
        """Have that backup ready, from the copy under `prefix`. The state says what came of it."""
        self._state = State(order)
        try:
            manifest = self._manifest(prefix)
            folder = self._folder / manifest["sha256"]
            for other in self._folder.iterdir():
                if other != folder:
                    shutil.rmtree(other)
            if not (folder / generation.DATA).exists():
                folder.mkdir(exist_ok=True)
                self._have_room(manifest, folder)
                self._fetch(prefix, manifest, folder / UNFINISHED)
                self._say("checks it")
                self._check(folder / UNFINISHED, manifest)
                self._lay_out(folder)
        except (Failed, backup.Failed, OSError, resp.Refused) as error:
            self._say(str(error), done=False)
            return
        self._say("prepared", done=True, backup=manifest["sha256"])

    def _manifest(self, prefix: str) -> dict[str, Any]:
        if not re.fullmatch(f"{PREFIX}[A-Za-z0-9-]{{1,100}}/", prefix):
            raise Failed(f"{prefix[:100]!r} is no place of a copy; accepted: {PREFIX}ID/")
        content = self._patiently(prefix + base.MANIFEST)
        try:
            if len(content) > MANIFEST_LARGEST:
                raise ValueError(f"{len(content):,} bytes")
            found: dict[str, Any] = json.loads(content)
            if found["version"] != base.VERSION or not re.fullmatch("[0-9a-f]{64}", found["sha256"]):
                raise ValueError(f"version {found['version']!r}, SHA-256 {found['sha256']!r}")
            parts = [(part["name"], int(part["bytes"]), part["sha256"]) for part in found["parts"]]
            if sum(size for _, size, _ in parts) != found["bytes"] or not all(_is_part(*part) for part in parts):
                raise ValueError("its parts are not those of its file")
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise Failed(f"the manifest of {prefix} cannot be read: {error}") from None
        return found

    def _have_room(self, manifest: Mapping[str, Any], folder: Path) -> None:
        there = folder / UNFINISHED
        needed = generation.TIMES * manifest["bytes"] + generation.SPARE
        needed -= there.stat().st_size if there.exists() else 0
        free = generation.Data(self._folder).room()
        if free < needed:
            raise Failed(
                f"{free >> 20} MiB are free on the data volume; accepted: {(needed >> 20) + 1} MiB, twice the backup, "
                "beside the data of now, which stays; a larger data_volume_gib makes room"
            )

    def _fetch(self, prefix: str, manifest: Mapping[str, Any], file: Path) -> None:
        """Every part that the file does not have yet."""
        whole, parts, at = hashlib.sha256(), manifest["parts"], 0
        file.touch()
        with file.open("r+b") as stream:
            for number, part in enumerate(parts, 1):
                stream.seek(at)
                content = stream.read(part["bytes"])
                if hashlib.sha256(content).hexdigest() != part["sha256"]:
                    self._say(f"fetches part {number} of {len(parts)}")
                    content = self._patiently(prefix + part["name"])
                    found = hashlib.sha256(content).hexdigest()
                    if found != part["sha256"]:
                        raise Failed(f"part {part['name']} has SHA-256 {found}; its manifest: {part['sha256']}")
                    stream.seek(at)
                    stream.write(content)
                whole.update(content)
                at += len(content)
            stream.truncate(at)
        if whole.hexdigest() != manifest["sha256"]:
            raise Failed(f"the parts together have SHA-256 {whole.hexdigest()}; its manifest: {manifest['sha256']}")

    def _check(self, file: Path, manifest: Mapping[str, Any]) -> None:
        facts = backup.check(file)
        if facts.keys != manifest["keys"]:
            raise Failed(f"it has {facts.keys:,} keys; its manifest: {manifest['keys']:,}")
        with self._redis() as redis:
            limit = int(resp.pairs(redis.call("CONFIG", "GET", "maxmemory"))["maxmemory"])
        if facts.used_memory is not None and 0 < limit < facts.used_memory:
            raise Failed(
                f"it took {facts.used_memory >> 20} MiB of memory; accepted: maxmemory, {limit >> 20} MiB here; "
                "more redis.memory in the environment's file makes room"
            )

    def _lay_out(self, folder: Path) -> None:
        """What Redis starts from. With an append-only file it would ignore a lone RDB, and start empty."""
        with self._redis() as redis:
            info = resp.fields(redis.call("INFO", "server"))
            config = {
                name: resp.pairs(redis.call("CONFIG", "GET", name)).get(name, "")
                for name in ("appendonly", "appendfilename", "appenddirname", "dbfilename")
            }
        made = folder / "making"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        if config["appendonly"] != "yes":
            target = made / config["dbfilename"]
        elif int(info["redis_version"].split(".")[0]) < 7:
            # An append-only file may begin with an RDB.
            target = made / config["appendfilename"]
        else:
            name = f"{config['appendfilename']}.1.base.rdb"
            (made / config["appenddirname"]).mkdir()
            target = made / config["appenddirname"] / name
            manifest = target.with_name(f"{config['appendfilename']}.manifest")
            _write_through(manifest, f"file {name} seq 1 type b\n".encode())
        (folder / UNFINISHED).rename(target)
        _flush(target)
        made.rename(folder / generation.DATA)

    def _patiently(self, key: str) -> bytes:
        deadline = self._clock() + GIVES_UP_AFTER
        while True:
            try:
                return self._copies.get(key)
            except (OSError, aws.Refused) as error:
                if isinstance(error, aws.Refused) and error.status == MISSING:
                    raise Failed(f"there is no {key}; the restore that it was for is over") from None
                if self._superseded():
                    raise Failed(f"another restore is ordered; could not fetch {key}: {error}") from None
                if self._clock() > deadline:
                    raise Failed(f"could not fetch {key} within {GIVES_UP_AFTER:g} s: {error}") from None
                self._say(f"cannot fetch {key} yet: {error}")
            self._sleep(RETRY)

    def _say(self, says: str, **changed: Any) -> None:
        if says != self._state.says:
            say(says)
        self._state = State(**{**asdict(self._state), "says": says, **changed})
        write_for_all(self._file, json.dumps(asdict(self._state)))


def ask(order: str, prefix: str) -> None:
    """Have the process started, for the copy under that prefix."""
    ASKED.write_text(json.dumps({"order": order, "from": prefix}), encoding="utf-8")


def asked() -> dict[str, str]:
    found: dict[str, str] = json.loads(ASKED.read_text(encoding="utf-8"))
    return found


def _is_part(name: str, size: int, sha256: str) -> bool:
    return bool(re.fullmatch("[0-9]{5}", name) and re.fullmatch("[0-9a-f]{64}", sha256) and 0 < size <= base.PART)


def _write_through(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    _flush(file)


def _flush(file: Path) -> None:
    """Onto the disk: a machine may lose its power right after."""
    for path in (file, file.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
