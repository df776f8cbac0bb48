"""What a restore would do: to whom, with what, for how long, and how it is undone; or why it cannot be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from holdfast.errors import HoldfastError
from holdfast.ops import status
from holdfast.ops.backups.store import Backup, Store
from holdfast.ops.reports import Report, Unreadable
from holdfast.topology import Cluster, Environment, Role, names
from holdfast.topology.versions import newest_rdb

KEPT_DAYS = 14
"""For which nodes keep the data of before: see node/holdfast_node/generation.py."""

STOPS, LOADS, SYNCS = 3.0, 0.005, 0.009
"""Seconds without writes for the change itself, and for each MB that one node loads and the others get."""


class NotPossible(HoldfastError):
    """It cannot be restored as asked; nothing was done."""


@dataclass(frozen=True)
class Plan:
    """`node` brings the data, and leads with it."""

    environment: str
    leader: str | None
    node: str
    silent: tuple[str, ...]
    """Nodes with data that do not report."""
    backup: Backup | None
    """None: the data of before the last restore."""
    source: str
    """The environment that the backup is of."""
    undo: str | None
    """The generation that is undone; None where a backup is restored."""
    undo_until: float | None
    """Until when that could be done, in seconds since the epoch."""
    away: float | None
    """About how long writes will be away, in seconds; None where nobody knows how much data it is."""
    engine: str

    @property
    def hands_over(self) -> bool:
        return self.leader is not None and self.leader != self.node


def of_backup(
    cluster: Cluster,
    seen: Mapping[str, Report | Unreadable],
    generation: str,
    source: Environment,
    id: str | None,
) -> Plan:
    """Restore that backup of `source`, None for its newest one, into `cluster`. `generation`: the present one.

    Raises:
        NotPossible: as the cluster or the backup is, that would not end well.
        NotThere: there is no such backup.
        CloudError: the API refused.
    """
    name, data = cluster.environment.name, _data(cluster, seen)
    _require_settled(name, data, generation)
    found = status.work_out(cluster, seen)
    if found.leader is None:
        raise NotPossible(f"{name}: nobody leads; accepted: a leader, with replicas in sync; holdfast status {name}")
    replicas = [node.name for node in found.nodes if node.role == "replica" and node.healthy]
    if len(cluster.having(Role.DATA)) > 1 and not replicas:
        raise NotPossible(f"{name}: no replica is in sync, which could prepare it; holdfast status {name}")
    backup = Store(source).find(id)
    facts = backup.manifest
    if facts is None or backup.problem is not None:
        raise NotPossible(
            f"{backup.id}: {backup.problem}; accepted: one that is complete; holdfast backup list {source.name}"
        )
    # Each one must be able to follow.
    engine = min((report.version for report in data.values() if report.version), key=_numbers, default="0")
    loads = newest_rdb(_numbers(engine))
    if facts.rdb_version > loads:
        raise NotPossible(
            f"{backup.id}: it is RDB {facts.rdb_version}, of Redis {facts.redis_version}; accepted by Redis {engine} "
            f"of {name}: RDB {loads} and lower. Restore it into an environment with a newer Redis"
        )
    limit = cluster.environment.redis.memory * 2**20
    if facts.used_memory is not None and facts.used_memory > limit:
        raise NotPossible(
            f"{backup.id}: it took {facts.used_memory >> 20:,} MiB of memory; accepted by {name}: "
            f"{limit >> 20:,} MiB (redis.memory)"
        )
    megabytes = facts.bytes / 1e6
    return Plan(
        environment=name,
        leader=found.leader,
        node=max(replicas, default=found.leader),
        silent=_silent(cluster, data),
        backup=backup,
        source=source.name,
        undo=None,
        undo_until=None,
        away=STOPS + megabytes * (LOADS + (SYNCS if replicas else 0.0)),
        engine=engine,
    )


def of_undo(
    cluster: Cluster, seen: Mapping[str, Report | Unreadable], generation: str, brought_by: str | None = None
) -> Plan:
    """Put back the data of before the present generation, which the node `brought_by` had.

    Raises:
        NotPossible: nothing was restored, or nobody has that data any more.
    """
    name, data = cluster.environment.name, _data(cluster, seen)
    if generation == names.FIRST_GENERATION:
        raise NotPossible(f"{name}: nothing was restored into it, so there is nothing to undo")
    holders = {
        node: report.restore.kept_until
        for node, report in data.items()
        if report.restore and report.restore.generation == generation and report.restore.kept_until is not None
    }
    if not holders:
        raise NotPossible(
            f"{name}: no node that reports has the data of before {generation} any more; it is kept for {KEPT_DAYS} "
            "days"
        )
    found = status.work_out(cluster, seen)
    healthy = [node.name for node in found.nodes if node.healthy and node.name in holders]
    # Who brought the present data led before with the other one, and so had all of it.
    preferred = [node for node in (found.leader and brought_by, found.leader, brought_by) if node in holders]
    node = next((one for one in preferred if one in (found.leader, *healthy) or found.leader is None), None)
    node = node or max(healthy or holders)
    if found.leader is not None and node not in (found.leader, *healthy):
        raise NotPossible(f"{name}: {node} has the data of before, and is not in sync; holdfast status {name}")
    return Plan(
        environment=name,
        leader=found.leader,
        node=node,
        silent=_silent(cluster, data),
        backup=None,
        source=name,
        undo=generation,
        undo_until=holders[node],
        away=None,
        engine=data[node].version or "unknown",
    )


def _require_settled(name: str, data: Mapping[str, Report], generation: str) -> None:
    """A second restore must not begin while nodes are still about the first one."""
    others = [node for node, report in data.items() if report.restore and report.restore.generation != generation]
    if others:
        raise NotPossible(
            f"{name}: a restore is not over: {', '.join(others)} is not in generation {generation}; wait for it, "
            f"with holdfast status {name}, or: holdfast restore {name} --undo"
        )
    old = [node for node, report in data.items() if report.restore is None]
    if old:
        raise NotPossible(
            f"{name}: the node program of {', '.join(old)} knows no restores; deploy: make deploy ENV={name}"
        )


def _data(cluster: Cluster, seen: Mapping[str, Report | Unreadable]) -> dict[str, Report]:
    """The reports that count, of nodes with data."""
    names = [node.name for node in cluster.having(Role.DATA)]
    return {name: it for name in names if isinstance(it := seen.get(name), Report) and it.fresh}


def _silent(cluster: Cluster, data: Mapping[str, Report]) -> tuple[str, ...]:
    return tuple(node.name for node in cluster.having(Role.DATA) if node.name not in data)


def _numbers(version: str) -> tuple[int, int]:
    major, minor = (*version.split("."), "0")[:2]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)


def age(backup: Backup) -> float:
    """In seconds."""
    return (datetime.now(UTC) - backup.taken_at).total_seconds()
