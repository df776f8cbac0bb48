"""The bucket of backups: which there are, whether what is there is what was saved, and a copy of one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud
from holdfast.ops.backups.manifest import LARGEST, Manifest
from holdfast.plain import plain
from holdfast.topology import Environment, names
from holdfast.topology.spec import BackupSpec

MANIFEST = "manifest.json"
KEY = re.compile(
    names.BASE_PREFIX + r"(?P<tier>daily|weekly|monthly)/"
    r"(?P<id>(?P<at>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)-(?P<node>[a-z0-9-]{1,63}))/(?P<part>[a-z0-9.]{1,20})"
)
ID_TIME = "%Y-%m-%dT%H-%M-%SZ"

LATE = 1.2
"""Intervals without a backup, after which one is late."""

CLOCKS_DIFFER = timedelta(minutes=5)

CHUNK = 2**20
"""Bytes that are read at once."""

Progress = Callable[[int, int], None]
"""Parts that are done, and all."""


class NotThere(HoldfastError):
    """No complete backup has that id."""

    exit_code = 2


class Broken(HoldfastError):
    """What is in the bucket is not what was saved."""


@dataclass(frozen=True)
class Backup:
    """One that has a manifest."""

    id: str
    tier: str
    taken_at: datetime
    node: str
    manifest: Manifest | None
    problem: str | None
    """What is wrong with it by its manifest and by what is there; None: nothing."""

    def as_json(self) -> dict[str, Any]:
        facts = self.manifest.model_dump(exclude={"parts"}) if self.manifest else None
        return {**asdict(replace(self, manifest=None)), "taken_at": f"{self.taken_at:%Y-%m-%dT%H:%M:%SZ}"} | {
            "manifest": facts
        }


@dataclass(frozen=True)
class Newest:
    """Whether the last backup is as young as it has to be. `says`: a sentence."""

    taken_at: str | None
    """In ISO 8601; None where none is young enough."""
    late: bool
    says: str


class Store:
    """The backups of one environment, which may be gone. Every method raises `CloudError` where the API refuses."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._bucket = names.backups_bucket(environment)
        self._s3 = cloud.client(environment, "s3")

    def all(self) -> list[Backup]:
        """Every one that has a manifest, the newest one first."""
        found: dict[tuple[str, str], dict[str, int]] = {}
        for key, size in self._keys(names.BASE_PREFIX):
            if match := KEY.fullmatch(key):
                found.setdefault((match["id"], match["tier"]), {})[match["part"]] = size
        return [
            self._read(tier, id, sizes)
            for (id, tier), sizes in sorted(found.items(), reverse=True)
            if MANIFEST in sizes
        ]

    def find(self, id: str | None) -> Backup:
        """The one of that id; None: the newest one.

        Raises:
            NotThere: with what there is.
        """
        found = self.all()
        chosen = next((one for one in found if id in (None, one.id)), None)
        if chosen is None:
            there = ", ".join(one.id for one in found[:3]) or "none"
            raise NotThere(
                f"{self._environment.name}: found no backup {id or 'at all'}; the newest: {there}; "
                f"all: holdfast backup list {self._environment.name}"
            )
        return chosen

    def newest(self, backup: BackupSpec, now: datetime) -> Newest:
        """Whether one is late. Asks for no more than the names of the last ones."""
        allowed = timedelta(seconds=LATE * backup.interval)
        # A name may be of the future: a node's clock is wrong, or somebody wants none to be missed.
        since, until = now - allowed, now + CLOCKS_DIFFER
        taken = [
            at
            for tier in backup.keep.days
            for key, _ in self._keys(f"{names.BASE_PREFIX}{tier}/", f"{since:{ID_TIME}}")
            if key.endswith(f"/{MANIFEST}")
            and (match := KEY.fullmatch(key))
            and since <= (at := _time(match["at"])) <= until
        ]
        if taken:
            return Newest(
                f"{max(taken):%Y-%m-%dT%H:%M:%SZ}", late=False, says=f"the last one is of {max(taken):%F %T} UTC"
            )
        if now - self._begun() < allowed:
            return Newest(None, late=False, says="none yet: the first one is on its way")
        return Newest(None, late=True, says=f"none within {allowed.total_seconds() / 3600:.1f} hours")

    def check(self, backup: Backup, progress: Progress) -> None:
        """Read all of it, and compare.

        Raises:
            Broken: it is not what was saved.
        """
        for _ in self._content(backup, progress):
            pass

    def download(self, backup: Backup, file: Path, progress: Progress) -> None:
        """Write it to `file`, which then is an RDB that Redis loads; only if it is what was saved.

        Raises:
            Broken: it is not.
            HoldfastError: the file cannot be written.
        """
        unfinished = file.with_name(f".{file.name}.unfinished")
        try:
            with unfinished.open("wb") as stream:
                for chunk in self._content(backup, progress):
                    stream.write(chunk)
            unfinished.replace(file)
        except OSError as error:
            raise HoldfastError(f"{file} cannot be written: {error.strerror}; name another file") from None
        finally:
            unfinished.unlink(missing_ok=True)

    def _content(self, backup: Backup, progress: Progress) -> Iterator[bytes]:
        manifest = backup.manifest
        if manifest is None or backup.problem is not None:
            raise Broken(f"{backup.id}: {backup.problem}")
        whole = hashlib.sha256()
        for number, part in enumerate(manifest.parts):
            progress(number, len(manifest.parts))
            key, one = f"{names.BASE_PREFIX}{backup.tier}/{backup.id}/{part.name}", hashlib.sha256()
            with self._explained(f"reading {key}"):
                for chunk in self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].iter_chunks(CHUNK):
                    one.update(chunk)
                    whole.update(chunk)
                    yield chunk
            if one.hexdigest() != part.sha256:
                raise Broken(
                    f"{backup.id}: part {part.name} has SHA-256 {one.hexdigest()}; its manifest: {part.sha256}"
                )
        if whole.hexdigest() != manifest.sha256:
            raise Broken(
                f"{backup.id}: the parts together have SHA-256 {whole.hexdigest()}; its manifest: {manifest.sha256}"
            )

    def _read(self, tier: str, id: str, sizes: dict[str, int]) -> Backup:
        at, node = id[: id.index("Z") + 1], id[id.index("Z") + 2 :]
        made = Backup(id, tier, _time(at), node, None, None)
        if sizes[MANIFEST] > LARGEST:
            return replace(made, problem=f"its manifest has {sizes[MANIFEST]:,} bytes; accepted: {LARGEST:,}")
        key = f"{names.BASE_PREFIX}{tier}/{id}/{MANIFEST}"
        with self._explained(f"reading {key}"):
            content = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        try:
            manifest = Manifest.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            return replace(made, problem=plain(f"its manifest cannot be read: {where[:60]}: {first['msg']}"))
        return replace(made, manifest=manifest, problem=_problem(manifest, id, sizes))

    def _begun(self) -> datetime:
        with self._explained("looking for the bucket of backups"):
            buckets = self._s3.list_buckets()["Buckets"]
        return next((one["CreationDate"] for one in buckets if one["Name"] == self._bucket), datetime.now(UTC))

    def _keys(self, prefix: str, after: str = "") -> Iterator[tuple[str, int]]:
        """Key and size, of those that come behind `prefix` with `after`."""
        with self._explained("listing the backups"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, StartAfter=f"{prefix}{after}"
            )
            for page in pages:
                yield from ((entry["Key"], entry["Size"]) for entry in page.get("Contents", ()))

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchBucket":
                name = self._environment.name
                raise cloud.CloudError(
                    f"{name}: there is no bucket {self._bucket}, so it never had backups; they come with `backup:` in "
                    f"its file, and: make deploy ENV={name}"
                ) from None
            raise cloud.explain(self._environment, doing, error) from None


def _problem(manifest: Manifest, id: str, sizes: dict[str, int]) -> str | None:
    if manifest.id != id:
        return f"its manifest is of {manifest.id}"
    gone = [part.name for part in manifest.parts if part.name not in sizes]
    if gone:
        return f"{len(gone)} of {len(manifest.parts)} parts are gone"
    other = next((part for part in manifest.parts if sizes[part.name] != part.bytes), None)
    return f"part {other.name} has {sizes[other.name]:,} bytes; its manifest: {other.bytes:,}" if other else None


def _time(text: str) -> datetime:
    return datetime.strptime(text, ID_TIME).replace(tzinfo=UTC)
