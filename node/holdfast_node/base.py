"""What a base backup is: when it is due, its name, its parts, its manifest, and whether it is of the data that counts.

Pure. A base is an RDB, in parts which put together are the file again. What has no manifest is no backup.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

VERSION = 1
"""Of the manifest."""

PART = 16 * 2**20
"""Bytes of a part, but for the last one: what is in memory at once, and sent again where a connection breaks."""

MANIFEST = "manifest.json"

DAILY, WEEKLY, MONTHLY = "daily", "weekly", "monthly"

LATE = 1.2
"""Intervals without a base, after which one is late."""


@dataclass(frozen=True)
class Plan:
    """Of node.json: what the environment's file says of backups."""

    bucket: str
    every: int
    """Seconds between two bases; a day is a multiple of them."""
    at: int
    """Seconds after midnight, UTC, of one of them."""
    tiers: tuple[str, ...]
    """Those in which any base is kept."""

    def slot(self, now: float) -> float:
        """Since when the last base counts that is due by `now`. All in seconds since the epoch."""
        return now - (now - self.at) % self.every


def plan(found: Mapping[str, Any] | None) -> Plan | None:
    """Of the identity's `backup`."""
    return None if found is None else Plan(**{**found, "tiers": tuple(found["tiers"])})


@dataclass(frozen=True)
class Facts:
    """What `redis-check-rdb` found in a file that it takes for good."""

    redis_version: str
    keys: int
    expires: int
    """Of the keys, those with an end."""
    databases: tuple[int, ...]
    replication_id: str | None
    """Whose history it is; None where nobody ever replicated."""
    offset: int | None
    """Where in that history it was saved."""
    used_memory: int | None = None
    """Bytes that it took in memory; None where nobody says it."""


@dataclass(frozen=True)
class Part:
    name: str
    bytes: int
    sha256: str


def name_of(node: str, now: float) -> str:
    """`2026-11-29T03-00-07Z-prod-c1`: sorted by name, bases are sorted by time."""
    return f"{time.strftime('%Y-%m-%dT%H-%M-%SZ', time.gmtime(now))}-{node}"


def taken_at(name: str) -> float | None:
    """When the base of that name was begun; None where it is no name of one."""
    found = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d)-(\d\d)-(\d\d)Z-", name)
    return float(calendar.timegm((*map(int, found.groups()), 0, 0, 0))) if found else None


def prefix(tier: str, name: str = "") -> str:
    """Where all bases of a tier are, or all that is of one base."""
    return f"base/{tier}/{name}/" if name else f"base/{tier}/"


def month(now: float) -> float:
    """When the month of that moment began, UTC."""
    year, number = time.gmtime(now)[:2]
    return float(calendar.timegm((year, number, 1, 0, 0, 0)))


def week(now: float) -> float:
    """When the week of that moment began: on Monday, UTC."""
    midnight = now - now % 86400
    return midnight - time.gmtime(now).tm_wday * 86400


def tier(plan: Plan, now: float, keys: int, monthly: Sequence[float], weekly: Sequence[float]) -> str:
    """The first base of a month is kept as a monthly one, the first one else of a week as a weekly one.

    One without keys is a daily one: that of an environment that was just made must not be all that stays of a month.

    `monthly`, `weekly`: when the complete ones of these tiers were taken.
    """
    if not keys:
        return DAILY
    for which, since, there in ((MONTHLY, month(now), monthly), (WEEKLY, week(now), weekly)):
        if which in plan.tiers and not any(since <= at <= now for at in there):
            return which
    return DAILY


def facts(said: str) -> Facts:
    """Of the output of `redis-check-rdb` for a good file.

    Raises:
        ValueError: it is not the output for one.
    """
    fields = dict(re.findall(r"AUX FIELD (\S+) = '(.*)'", said))
    counts = {what: int(number) for number, what in re.findall(r"\[info\] (\d+) (keys read|expires)", said)}
    if "RDB looks OK" not in said or "Checksum OK" not in said or len(counts) != 2:
        raise ValueError(said.strip().rpartition("\n")[2])
    return Facts(
        redis_version=fields.get("redis-ver") or fields.get("valkey-ver", ""),
        keys=counts["keys read"],
        expires=counts["expires"],
        databases=tuple(int(number) for number in re.findall(r"Selecting DB ID (\d+)", said)),
        replication_id=fields.get("repl-id"),
        offset=int(fields["repl-offset"]) if "repl-offset" in fields else None,
        used_memory=int(fields["used-mem"]) if "used-mem" in fields else None,
    )


def belongs(found: Facts, info: Mapping[str, str]) -> bool:
    """Whether all that is in a base is in the history of the Redis that says this `INFO` of itself.

    After a failover Redis goes on from the last leader's history, up to an offset. What lies behind it was never taken
    over: a base from there has writes that nobody has any more.
    """
    if found.replication_id is None or found.offset is None:
        return False
    if found.replication_id == info.get("master_replid"):
        return found.offset <= int(info["master_repl_offset"])
    return found.replication_id == info.get("master_replid2") and found.offset < int(info["second_repl_offset"])


def manifest(
    *,
    environment: str,
    node: str,
    name: str,
    tier: str,
    rdb_version: int,
    found: Facts,
    parts: Sequence[Part],
    sha256: str,
) -> dict[str, Any]:
    """The content of `manifest.json`; see docs/backups.md. `sha256`: of the whole file."""
    return {
        "version": VERSION,
        "id": name,
        "environment": environment,
        "node": node,
        "tier": tier,
        "rdb_version": rdb_version,
        **asdict(found),
        "bytes": sum(part.bytes for part in parts),
        "sha256": sha256,
        "parts": [asdict(part) for part in parts],
    }


def whose_turn(data: Mapping[str, str], leader: str, in_sync: Collection[str]) -> str | None:
    """The node that takes the next base: the last one by name of the replicas that have everything; else the leader.

    `data`: node → address. Addresses of the proven leader, and of the replicas that are in sync with it.
    """
    replicas = [name for name, address in data.items() if address in in_sync and address != leader]
    leaders = [name for name, address in data.items() if address == leader]
    return max(replicas or leaders, default=None)
