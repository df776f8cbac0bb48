"""Every file that a machine gets from its user-data, by its path on the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2

from holdfast.rendering.features import Features
from holdfast.rendering.program import program
from holdfast.topology import Cluster, Durability, Images, Node, Persistence, names, ports

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"

MINIMUM_BACKLOG = 64
"""MiB of replication backlog; a tenth of the memory where that is more."""

PACKAGES = ("redis-server", "redis-sentinel", "redis-tools", "haproxy", "python3-boto3", "python3-redis")
"""What a stock image lacks."""

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render_files(cluster: Cluster, node: Node) -> dict[str, str]:
    """Path on the machine → content, of all the files of `node`."""
    values = _values(cluster, node)
    rendered = {
        "/etc/holdfast/redis.conf": "redis.conf",
        "/etc/holdfast/sentinel.conf": "sentinel.conf",
        "/etc/holdfast/haproxy.cfg": "haproxy.cfg",
        "/etc/sysctl.d/60-holdfast.conf": "sysctl.conf",
        "/etc/security/limits.d/60-holdfast.conf": "limits.conf",
        "/usr/local/sbin/holdfast-fetch": "fetch.py",
        "/usr/local/sbin/holdfast-first-boot": "first-boot.sh",
    }
    rendered |= {f"/etc/systemd/system/{unit.name}": f"systemd/{unit.name}" for unit in _units()}
    files = {path: _templates.get_template(name).render(values) for path, name in rendered.items()}
    return {"/etc/holdfast/node.json": json.dumps(_identity(cluster, node), indent=1) + "\n"} | files


def _units() -> list[Path]:
    return sorted((TEMPLATES / "systemd").iterdir())


def _values(cluster: Cluster, node: Node) -> dict[str, Any]:
    settings = cluster.environment.redis
    features = Features.of(node.machine.image)
    return {
        "cluster": cluster,
        "environment": cluster.environment,
        "node": node,
        "ports": ports,
        "slots": cluster.slots,
        "packages": PACKAGES if cluster.environment.images is Images.STOCK else (),
        "backlog_mib": max(MINIMUM_BACKLOG, settings.memory // 10),
        "min_replicas": 0 if settings.durability is Durability.AVAILABLE else 1,
        "append_only": settings.persistence is Persistence.AOF,
        "appendfsync": "always" if settings.durability is Durability.STRICT else "everysec",
        "snapshots": settings.persistence is Persistence.RDB,
        "since_7_0": features.since_7_0,
    }


def _identity(cluster: Cluster, node: Node) -> dict[str, Any]:
    """The content of /etc/holdfast/node.json: see node/holdfast_node/identity.py."""
    environment, features = cluster.environment, Features.of(node.machine.image)
    return {
        "environment": environment.name,
        "node": node.name,
        "zone": node.zone.letter,
        "region": environment.region,
        "address": str(node.address),
        "leader_endpoint": str(node.leader_endpoint),
        "replica_endpoint": str(node.replica_endpoint),
        "sentinel_id": node.sentinel_id,
        "volume_id": node.volume_id,
        "bucket": names.bucket(environment),
        "api_endpoint": environment.node_api_endpoint,
        "program": program().sha256,
        "secrets": {purpose: names.secret(environment, purpose) for purpose in ("app", "system")},
        "peers": {slot.name: str(slot.address) for slot in cluster.slots},
        "redis_port": ports.REDIS,
        "sentinel_port": ports.SENTINEL,
        "lease_port": ports.LEASE,
        "endpoint_port": ports.ENDPOINT,
        "since_6_2": features.since_6_2,
        "since_7_0": features.since_7_0,
    }
