"""Every file that a machine gets from its user-data, by its path on the machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2

from holdfast.rendering.features import Features
from holdfast.rendering.program import SOURCES, program
from holdfast.rendering.threads import Threads
from holdfast.topology import (
    Cluster,
    Durability,
    Environment,
    Images,
    Node,
    Persistence,
    Role,
    channels,
    names,
    ports,
    presets,
    redis_settings,
    sessions,
    users,
)
from holdfast.topology.invariants import SYSTEM_MEMORY
from holdfast.topology.spec import ApplicationSpec, CommandGroup
from holdfast.topology.versions import REDIS_VERSIONS

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"

MINIMUM_BACKLOG = 64
"""MiB of replication backlog; a tenth of the memory where that is more."""

PACKAGES: dict[str, frozenset[Role]] = {
    "redis-server": frozenset({Role.DATA}),
    "redis-sentinel": frozenset({Role.SENTINEL}),
    "redis-tools": frozenset(Role),
    "haproxy": frozenset({Role.GATEWAY}),
    "keepalived": frozenset({Role.GATEWAY}),
}
"""What a stock image lacks, by the roles that need it. redis-tools: redis-cli, for whoever looks."""

NEEDED_BY: dict[str, frozenset[Role]] = {
    "redis.conf": frozenset({Role.DATA}),
    "users.acl": frozenset({Role.DATA}),
    "sentinel.conf": frozenset({Role.SENTINEL}),
    "sentinel-users.acl": frozenset({Role.SENTINEL}),
    "haproxy.cfg": frozenset({Role.GATEWAY}),
    "keepalived.conf": frozenset({Role.GATEWAY}),
    "systemd/holdfast-kernel.service": frozenset({Role.DATA}),
    "systemd/holdfast-begin.service": frozenset({Role.DATA, Role.SENTINEL}),
    "systemd/holdfast-redis.service": frozenset({Role.DATA}),
    "systemd/holdfast-backup.path": frozenset({Role.DATA}),
    "systemd/holdfast-backup.service": frozenset({Role.DATA}),
    "systemd/holdfast-restore.path": frozenset({Role.DATA}),
    "systemd/holdfast-restore.service": frozenset({Role.DATA}),
    "systemd/holdfast-generation.path": frozenset({Role.DATA}),
    "systemd/holdfast-generation.service": frozenset({Role.DATA}),
    "systemd/holdfast-handover.service": frozenset({Role.DATA}),
    "systemd/holdfast-sentinel.service": frozenset({Role.SENTINEL}),
    "systemd/holdfast-volume.service": frozenset({Role.DATA, Role.SENTINEL}),
    "systemd/holdfast-addresses.service": frozenset({Role.GATEWAY}),
    "systemd/holdfast-haproxy.service": frozenset({Role.GATEWAY}),
    "systemd/holdfast-keepalived.service": frozenset({Role.GATEWAY}),
}
"""Which roles need a template; one that is not here is for every machine."""

CONFIGURATIONS = ("redis.conf", "users.acl", "sentinel.conf", "sentinel-users.acl", "haproxy.cfg", "keepalived.conf")
ELECTION = frozenset({"keepalived.conf", "systemd/holdfast-keepalived.service", "keepalived"})
"""Templates and package without use where there is no other gateway to elect."""

BACKUPS = frozenset({"systemd/holdfast-backup.path", "systemd/holdfast-backup.service"})
"""Templates without use where there are no backups."""

OWN_CONNECTION = ("caching", "getname", "getredir", "help", "id", "reply", "setname")
"""Subcommands of CLIENT in Redis 6.0 that change or tell one's own connection alone, as others in `@connection` do."""

MINIMUM_CHECK = 256
"""MiB for the backup process: a part of an upload, and the largest value, which is checked in memory. A quarter of the
memory where that is more: what the fork took is free again by then."""

templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render_files(cluster: Cluster, node: Node) -> dict[str, str]:
    """Path on the machine → content, of all the files of `node`."""
    values = _values(cluster, node)
    places = {
        **{f"/etc/holdfast/{name}": name for name in CONFIGURATIONS},
        # The last file wins.
        "/etc/apt/apt.conf.d/zz-holdfast": "apt.conf",
        "/etc/needrestart/conf.d/holdfast.conf": "needrestart.conf",
        "/etc/sysctl.d/60-holdfast.conf": "sysctl.conf",
        "/etc/security/limits.d/60-holdfast.conf": "limits.conf",
        "/usr/local/sbin/holdfast-fetch": "fetch.py",
        "/usr/local/sbin/holdfast-first-boot": "first-boot.sh",
    }
    places |= {f"/etc/systemd/system/{unit.name}": f"systemd/{unit.name}" for unit in _units()}
    files = {
        path: templates.get_template(name).render(values)
        for path, name in places.items()
        if _is_for(cluster, node, name)
    }
    # By which the first boot fetches the rest of the node program.
    files["/usr/local/lib/holdfast/aws.py"] = (SOURCES / "holdfast_node" / "aws.py").read_text(encoding="utf-8")
    content: dict[str, Any] = {"node.json": _identity(cluster, node), "packages.json": _packages(cluster, node)}
    if baked := _baked(cluster, node):
        content["baked.json"] = baked
    return {f"/etc/holdfast/{name}": json.dumps(it, indent=1) + "\n" for name, it in content.items()} | files


def _units() -> list[Path]:
    return sorted((TEMPLATES / "systemd").iterdir())


def _is_for(cluster: Cluster, node: Node, template: str) -> bool:
    if template in ELECTION and not cluster.elects:
        return False
    if template in BACKUPS and cluster.environment.backup is None:
        return False
    return bool(node.roles & NEEDED_BY.get(template, node.roles))


def _values(cluster: Cluster, node: Node) -> dict[str, Any]:
    settings, durability = cluster.environment.redis, cluster.environment.durability
    features, gateways = Features.of(node.machine.image), cluster.slots_having(Role.GATEWAY)
    return {
        "cluster": cluster,
        "environment": cluster.environment,
        "node": node,
        "ports": ports,
        "slots": cluster.slots_having(Role.DATA),
        "floating": cluster.floating,
        "elects": cluster.elects and Role.GATEWAY in node.roles,
        "other_gateways": [slot for slot in gateways if slot.name != node.name],
        # All differ, so that no two are elected at the same time when all begin together.
        "election_priority": 100 - [slot.name for slot in gateways].index(node.name)
        if Role.GATEWAY in node.roles
        else 0,
        "sessions": sessions,
        "maxclients": sessions.SESSIONS * len(gateways) + sessions.OTHERS,
        "redis_memory_max_mib": node.machine.instance.memory - SYSTEM_MEMORY,
        "backup_memory_max_mib": max(MINIMUM_CHECK, settings.memory // 4),
        "threads": Threads.of(cluster.environment, node),
        "settings": list(redis_settings.lines(settings.settings, settings.memory, REDIS_VERSIONS[node.machine.image])),
        "backlog_mib": max(MINIMUM_BACKLOG, settings.memory // 10),
        "min_replicas": 0 if durability is Durability.AVAILABLE else 1,
        "append_only": settings.persistence is Persistence.AOF,
        "appendfsync": "always" if durability is Durability.STRICT else "everysec",
        "snapshots": settings.persistence is Persistence.RDB,
        "since_6_2": features.since_6_2,
        "since_7_0": features.since_7_0,
        "applications": {
            name: " ".join(_rules(application, features, alone=len(cluster.environment.applications) == 1))
            for name, application in cluster.environment.applications.items()
        },
        "greetings": channels.GREETINGS,
    }


def _rules(application: ApplicationSpec, features: Features, alone: bool) -> Iterator[str]:
    """What an application may do, as Redis' ACL has it."""
    everything = CommandGroup.ALL in application.commands
    every_key, every_channel = "*" in application.keys, channels.ALL in application.channels
    yield from (f"~{pattern}" for pattern in application.keys)
    if features.since_7_0:
        yield from (f"&{pattern}" for pattern in application.channels if pattern != channels.ALL)
        yield from (f"&{pattern}" for pattern in channels.EVERY_OTHER if every_channel)
    # What every client library says at first.
    yield from (f"+@{group}" for group in (*application.commands, *(() if everything else ("connection",))))
    # ROLE tells no more than INFO does.
    yield from ("-@admin", "-@dangerous", "+info", "+role")
    if not features.since_7_0:
        # Redis 6.0 has all of CLIENT among what administers, and SELECT among keys.
        yield from (f"+client|{subcommand}" for subcommand in OWN_CONNECTION)
        if not everything:
            yield "+select"
    if everything and features.since_7_0:
        yield from ("+sort", "+sort_ro")
    elif everything and every_key:
        yield "+sort"  # Redis 6.0 lets BY and GET of it read any key.
    if not features.since_7_0:
        yield "-publish"  # It knows no permissions for channels, and so cannot keep anybody from the Sentinels'.
    if not every_key:
        # They tell the names of all keys.
        yield from ("-randomkey", "-client|tracking") if features.since_7_0 else ("-randomkey",)
    elif not features.since_7_0:
        yield "+client|tracking"
    if features.since_7_0 and not every_channel:
        # They tell the names of all channels.
        yield from ("-pubsub|channels", "-pubsub|shardchannels")
    if not (alone if application.functions is None else application.functions):
        yield from _no_functions(features, scripts=everything or CommandGroup.SCRIPTING in application.commands)
    yield from presets.rules(application)
    if features.since_7_0 and every_channel and (everything or CommandGroup.PUBSUB in application.commands):
        # Redis wants a subscriber's pattern to be one of its own, to the letter: this lets it have any.
        yield "(+psubscribe &*)"


def _no_functions(features: Features, scripts: bool) -> Iterator[str]:
    """Functions and scripts belong to all: an application may call them, and not change what another one runs."""
    yield from ("-script", "-function") if features.since_7_0 else ("-script",)
    if scripts:
        yield from ("+script|load", "+script|exists")
    if scripts and features.since_7_0:
        # Not STATS: of a function that runs for long it tells the keys and values that another application gave it.
        yield "+function|list"


def _packages(cluster: Cluster, node: Node) -> dict[str, str | None]:
    """The content of /etc/holdfast/packages.json: what first boot installs, and in which version. None: the newest."""
    if cluster.environment.images is Images.BAKED:
        return {}
    versions = node.machine.packages.versions if node.machine.packages else {}
    needed = [package for package, roles in PACKAGES.items() if roles & node.roles]
    return {package: versions.get(package) for package in needed if cluster.elects or package not in ELECTION}


def _baked(cluster: Cluster, node: Node) -> dict[str, str]:
    """The content of /etc/holdfast/baked.json: package → version that the pinned image is to have; none: not known."""
    of_image = node.machine.baked_packages if cluster.environment.images is Images.BAKED else None
    return dict(of_image.versions) if of_image else {}


def _identity(cluster: Cluster, node: Node) -> dict[str, Any]:
    """The content of /etc/holdfast/node.json: see node/holdfast_node/identity.py."""
    environment, features = cluster.environment, Features.of(node.machine.image)
    return {
        "environment": environment.name,
        "node": node.name,
        "zone": node.zone.letter,
        "region": environment.region,
        "roles": [role for role in Role if role in node.roles],
        "address": str(node.address),
        "leader_endpoint": str(node.leader_endpoint) if node.leader_endpoint else None,
        "replica_endpoint": str(node.replica_endpoint) if node.replica_endpoint else None,
        "floating": [str(address) for address in cluster.floating.addresses] if cluster.floating else [],
        "sentinel_id": node.sentinel_id,
        "volume_id": node.volume.id if node.volume else None,
        "bucket": names.bucket(environment),
        "api_endpoint": environment.node_api_endpoint,
        "program": program().sha256,
        "secrets": {user: names.secret(environment, user) for user in users.known_to(environment, node.roles)},
        "logins": users.said_by(environment, node.roles),
        "certificate": names.node_certificate(environment, node.name) if environment.tls.on else None,
        "data": _slots(cluster, Role.DATA),
        "sentinels": _slots(cluster, Role.SENTINEL),
        "gateways": _slots(cluster, Role.GATEWAY),
        "redis_port": ports.REDIS,
        "sentinel_port": ports.SENTINEL,
        "lease_port": ports.LEASE,
        "endpoint_port": cluster.endpoint_port,
        "detection": environment.detection / 1000,
        "crowded": sessions.CROWDED,
        "since_6_2": features.since_6_2,
        "since_7_0": features.since_7_0,
        "backup": _backup(environment) if Role.DATA in node.roles else None,
    }


def _backup(environment: Environment) -> dict[str, Any] | None:
    """See node/holdfast_node/base.py."""
    if (backup := environment.backup) is None:
        return None
    bucket, tiers = names.backups_bucket(environment), list(backup.keep.days)
    return {"bucket": bucket, "every": backup.interval, "at": backup.anchor, "tiers": tiers}


def _slots(cluster: Cluster, role: Role) -> dict[str, str]:
    return {slot.name: str(slot.address) for slot in cluster.slots_having(role)}
