"""Settings that others ship, written as our own files: a folder for each, and `common` for what all of them need here.

Pure: a cluster and its first leader in, the files of one machine out. The values are theirs; a comment says where the
machinery around them is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jinja2

from holdfast.rendering.files import templates as our_templates
from holdfast.topology import Cluster, Node, ports

FOLDER = Path(__file__).parent

HOME = "/var/lib/holdfast/peer"
"""On the machine: what Redis and Sentinel write, on the data volume as ours, and what they start with."""

TARGET = "peer.target"
REDIS = "peer-redis.service"
UNITS = (REDIS, "peer-sentinel.service", "peer-haproxy.service")

PLACES = {
    f"{HOME}/redis.conf": "redis.conf",
    f"{HOME}/sentinel.conf": "sentinel.conf",
    "/etc/peer/haproxy.cfg": "haproxy.cfg",
    **{f"/etc/systemd/system/{unit}": unit for unit in (*UNITS, TARGET)},
}
"""Path on the machine → template, in the peer's own folder or else in `common`."""

templates = our_templates.overlay(loader=jinja2.FileSystemLoader(FOLDER))
"""Rendered as ours are."""


@dataclass(frozen=True)
class Peer:
    name: str
    """Its folder's."""
    title: str
    ships: str
    """For who reads the results: what makes the difference."""


PEERS = (
    Peer(
        "tutorial",
        "A tutorial's three nodes",
        "down-after 15 s, failover-timeout 30 s; HAProxy asks every second who leads, and needs three bad answers or "
        "two good ones; no minimum of replicas, snapshots only",
    ),
    Peer(
        "quiq",
        "Quiq's HA Redis",
        "down-after 5 s, failover-timeout 180 s; HAProxy asks three Sentinels twice a second, follows two, and ends "
        "old sessions; one replica within 5 s or no writes; a Redis that restarts follows itself",
    ),
    Peer(
        "redis-ha",
        "The redis-ha chart",
        "down-after 10 s, failover-timeout 180 s; HAProxy asks Redis and Sentinels every second, and one answer "
        "counts; one replica within 5 s or no writes, snapshots only",
    ),
    Peer(
        "railway",
        "Railway's template",
        "down-after 5 s, failover-timeout 30 s; HAProxy asks every 3 s, every 0.5 s once something fails, needs two "
        "answers either way, and ends old sessions; one replica within 5 s or no writes",
    ),
)


def render(peer: Peer, cluster: Cluster, node: Node, leader: Node) -> dict[str, str]:
    """Path on the machine → content, of all the files that make `node` one of a fresh cluster which `leader` leads."""
    values = {
        "peer": peer,
        "cluster": cluster,
        "name": cluster.environment.name,
        "node": node,
        "leader": leader,
        "ports": ports,
        "home": HOME,
    }
    return {
        path: templates.select_template([f"{peer.name}/{name}", f"common/{name}"]).render(values)
        for path, name in PLACES.items()
    }
