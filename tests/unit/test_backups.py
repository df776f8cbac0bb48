"""Backups as operators have them: the bucket's content is a node's word, and compared with itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from holdfast import cli
from holdfast.ops import cloud, reports
from holdfast.ops.backups.store import Broken, NotThere, Store
from holdfast.ops.backups.take import NoBackups, take
from holdfast.ops.reports import Backup
from holdfast.topology import Environment, names
from holdfast.topology.spec import BackupSpec
from tests.unit.test_failover import report

ID, OLDER = "2026-11-29T03-00-07Z-prod-c1", "2026-11-28T03-00-07Z-prod-b1"
PARTS = [b"REDIS0010" + b"a" * 40, b"rest"]
SPEC = BackupSpec()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def manifest(id: str = ID, **changes: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "id": id,
        "environment": "prod",
        "node": "prod-c1",
        "tier": "daily",
        "redis_version": "7.0.15",
        "rdb_version": 10,
        "replication_id": "a" * 40,
        "offset": 281,
        "databases": [0],
        "keys": 812_334,
        "expires": 1,
        "bytes": 53,
        "sha256": sha256(b"".join(PARTS)),
        "parts": [
            {"name": f"{number:05}", "bytes": len(part), "sha256": sha256(part)} for number, part in enumerate(PARTS, 1)
        ],
        **changes,
    }


class Bucket:
    def __init__(self, environment: Environment) -> None:
        self.environment, self.name = environment, names.backups_bucket(environment)
        self.s3 = boto3.client("s3", region_name="eu-central-1")
        self.s3.create_bucket(Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def put(self, id: str, name: str, content: bytes, tier: str = "daily") -> None:
        self.s3.put_object(Bucket=self.name, Key=f"base/{tier}/{id}/{name}", Body=content)

    def add(self, id: str = ID, tier: str = "daily", **changes: Any) -> None:
        for number, part in enumerate(PARTS, 1):
            self.put(id, f"{number:05}", part, tier)
        self.put(id, "manifest.json", json.dumps(manifest(id, **changes)).encode(), tier)


@pytest.fixture
def bucket(prod: Environment) -> Iterator[Bucket]:
    yield Bucket(prod)


def problem(bucket: Bucket) -> str | None:
    (only,) = Store(bucket.environment).all()
    return only.problem


def test_what_has_a_manifest_is_listed_the_newest_first(bucket: Bucket) -> None:
    bucket.add(OLDER, tier="monthly")
    bucket.add()
    bucket.put("2026-11-30T03-00-07Z-prod-c1", "00001", b"unfinished")
    bucket.put("lost+found", "manifest.json", b"{}")
    found = Store(bucket.environment).all()
    assert [(one.id, one.tier, one.node, one.problem) for one in found] == [
        (ID, "daily", "prod-c1", None),
        (OLDER, "monthly", "prod-b1", None),
    ]
    assert found[0].taken_at == datetime(2026, 11, 29, 3, 0, 7, tzinfo=UTC)
    assert found[0].manifest is not None
    assert found[0].manifest.keys == 812_334


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": OLDER}, f"its manifest is of {OLDER}"),
        ({"version": 2}, "its manifest cannot be read: version: Input should be 1"),
        ({"parts": [{"name": "../../x", "bytes": 1, "sha256": "a" * 64}]}, "its manifest cannot be read: parts.0.name"),
        ({"parts": [{"name": "00001", "bytes": 50, "sha256": "a" * 64}]}, "part 00001 has 49 bytes; its manifest: 50"),
        ({"parts": [{"name": "00009", "bytes": 1, "sha256": "a" * 64}]}, "1 of 1 parts are gone"),
    ],
)
def test_a_manifest_that_does_not_fit_what_is_there_is_told(bucket: Bucket, changes: Any, says: str) -> None:
    for number, part in enumerate(PARTS, 1):
        bucket.put(ID, f"{number:05}", part)
    bucket.put(ID, "manifest.json", json.dumps(manifest() | changes).encode())
    assert str(problem(bucket)).startswith(says)
    with pytest.raises(Broken):
        Store(bucket.environment).check(Store(bucket.environment).find(ID), lambda done, parts: None)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b" " * (4 * 2**20 + 1)], ids=["empty", "list", "bytes", "long"]
)
def test_a_manifest_that_is_none_is_told(bucket: Bucket, content: bytes) -> None:
    bucket.put(ID, "manifest.json", content)
    assert str(problem(bucket)).startswith("its manifest ")


def test_a_downloaded_backup_is_the_file_that_was_saved(bucket: Bucket, tmp_path: Path) -> None:
    bucket.add()
    store, seen = Store(bucket.environment), list[tuple[int, int]]()
    store.download(store.find(None), tmp_path / "dump.rdb", lambda done, parts: seen.append((done, parts)))
    assert (tmp_path / "dump.rdb").read_bytes() == b"".join(PARTS)
    assert [file.name for file in tmp_path.iterdir()] == ["dump.rdb"]
    assert seen == [(0, 2), (1, 2)]


def test_one_changed_bit_is_found_and_leaves_no_file(bucket: Bucket, tmp_path: Path) -> None:
    bucket.add()
    bucket.put(ID, "00001", b"REDIS0010" + b"a" * 39 + b"c")
    store = Store(bucket.environment)
    with pytest.raises(Broken, match=f"^{ID}: part 00001 has SHA-256 "):
        store.download(store.find(ID), tmp_path / "dump.rdb", lambda done, parts: None)
    assert list(tmp_path.iterdir()) == []
    assert cli.main(["backup", "check", "prod", ID]) == 1


def test_parts_that_are_not_the_whole_are_found(bucket: Bucket) -> None:
    bucket.add(sha256=sha256(b"another"))
    store = Store(bucket.environment)
    with pytest.raises(Broken, match="the parts together"):
        store.check(store.find(ID), lambda done, parts: None)


def test_an_id_that_is_none_is_answered_with_what_there_is(bucket: Bucket) -> None:
    with pytest.raises(NotThere, match="found no backup at all; the newest: none"):
        Store(bucket.environment).find(None)
    bucket.add()
    with pytest.raises(NotThere, match=f"found no backup yesterday; the newest: {ID}"):
        Store(bucket.environment).find("yesterday")


def test_without_a_bucket_it_is_said_what_makes_one(prod: Environment) -> None:
    with pytest.raises(cloud.CloudError, match="so it never had backups; they come with `backup:` in its file"):
        Store(prod).all()


@pytest.mark.parametrize(
    ("hours", "tier", "late"), [(1, "daily", False), (28, "daily", False), (28, "monthly", False), (29, "daily", True)]
)
def test_a_backup_is_late_after_1_2_intervals(bucket: Bucket, hours: float, tier: str, late: bool) -> None:
    now = datetime.now(UTC) + timedelta(days=10)
    id = f"{now - timedelta(hours=hours):%Y-%m-%dT%H-%M-%SZ}-prod-c1"
    bucket.put(id, "00001", b"")
    assert Store(bucket.environment).newest(SPEC, now).late, "a part alone is none"
    bucket.put(id, "manifest.json", b"{}", tier)
    found = Store(bucket.environment).newest(SPEC, now)
    assert (found.late, found.says.startswith("none within 28.8 hours")) == (late, late)


def test_a_name_of_the_future_does_not_hide_that_none_is_there(bucket: Bucket) -> None:
    bucket.put("2999-01-01T00-00-00Z-prod-c1", "manifest.json", b"{}")
    assert Store(bucket.environment).newest(SPEC, datetime.now(UTC) + timedelta(days=10)).late


def test_a_bucket_that_has_just_been_made_is_not_late(bucket: Bucket) -> None:
    found = Store(bucket.environment).newest(SPEC, datetime.now(UTC))
    assert (found.late, found.says) == (False, "none yet: the first one is on its way")


@pytest.fixture
def ordered(prod: Environment, seconds_fly: None) -> Environment:
    boto3.client("s3", region_name="eu-central-1").create_bucket(
        Bucket=names.bucket(prod), CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    return prod.model_copy(update={"backup": SPEC})


def nodes_say(monkeypatch: pytest.MonkeyPatch, environment: Environment, *says: tuple[str, bool | None]) -> None:
    """Whoever has the turn obeys the order, and says these things one after the other, and the last one for ever."""
    left = list(says)

    def fetch(_: Environment) -> dict[str, Any]:
        s3 = boto3.client("s3", region_name="eu-central-1")
        order = json.load(s3.get_object(Bucket=names.bucket(environment), Key="orders/backup.json")["Body"])["id"]
        if not left:
            return {}
        text, done = left.pop(0) if len(left) > 1 else left[0]
        made = Backup(turn=True, says=text, done=done, id=ID, order=order)
        return {"prod-c1": replace(report("prod-c1", "10.40.32.4", "replica"), backup=made)}

    monkeypatch.setattr(reports, "fetch", fetch)


def test_an_order_is_answered_by_who_took_it_and_then_withdrawn(
    ordered: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes_say(monkeypatch, ordered, ("Redis saves", None), ("uploads part 1 of 2", None), ("complete", True))
    heard = list[str]()
    answer = take(ordered, heard.append)
    assert (answer.node, answer.backup.id if answer.backup else None) == ("prod-c1", ID)
    assert heard == ["prod-c1: Redis saves", "prod-c1: uploads part 1 of 2"]
    listed = boto3.client("s3", region_name="eu-central-1").list_objects_v2(Bucket=names.bucket(ordered))
    assert listed["KeyCount"] == 0


def test_an_order_that_nobody_takes_is_an_error(ordered: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes_say(monkeypatch, ordered)
    with pytest.raises(cloud.CloudError, match="no node took the order within 30 s"):
        take(ordered, print)


def test_without_backups_there_is_nobody_to_order_one(prod: Environment) -> None:
    with pytest.raises(NoBackups, match="^prod: backup: found off; accepted: "):
        take(prod, print)
