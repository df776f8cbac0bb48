"""Who this machine is: /etc/holdfast/node.json, which its user-data wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path("/etc/holdfast/node.json")


@dataclass(frozen=True)
class Identity:
    """Addresses as text. `data`, `sentinels` and `gateways` name every slot of the layout that has the role: this
    node's too, and those not deployed yet."""

    environment: str
    node: str
    zone: str
    region: str
    roles: list[str]
    """What this machine runs: `data`, `gateway`, `sentinel`."""
    address: str
    leader_endpoint: str | None
    """HAProxy's, as `replica_endpoint`: both None where this is no gateway."""
    replica_endpoint: str | None
    floating: list[str]
    """The pair of addresses that one of the gateways holds, leader and replicas; empty where there is none."""
    sentinel_id: str
    volume_id: str | None
    """None where this is only a gateway."""
    bucket: str
    api_endpoint: str | None
    program: str
    secrets: dict[str, str]
    """Redis user → name in Secrets Manager, of those whose password this machine checks."""
    logins: list[str]
    """Of these, the users as whom this machine logs in: it may read their passwords, and of the others the hashes."""
    certificate: str | None
    """Name in Secrets Manager of this machine's certificate, with its key; None without TLS."""
    data: dict[str, str]
    """Node name → address."""
    sentinels: dict[str, str]
    gateways: dict[str, str]
    redis_port: int
    sentinel_port: int
    lease_port: int
    endpoint_port: int
    detection: float
    """Seconds for which a leader may not answer until it counts as lost."""
    crowded: int
    """Clients of one Redis, above which who has not logged in is ended."""
    since_6_2: bool
    """Whether this is Redis 6.2 or newer: permissions for channels, and a pause of writes alone."""
    since_7_0: bool
    """Whether this is Redis 7.0 or newer: a Sentinel whose periods can be set."""
    backup: Mapping[str, Any] | None
    """What the environment's file says of backups: see base.py; None where there are none, or this has no data."""

    def has(self, role: str) -> bool:
        return role in self.roles

    def endpoints(self) -> tuple[str, ...]:
        """The leader's and the replicas'; none where this is no gateway."""
        return tuple(address for address in (self.leader_endpoint, self.replica_endpoint) if address)

    def other_sentinels(self) -> list[str]:
        """Addresses of all other Sentinels' slots."""
        return [address for address in self.sentinels.values() if address != self.address]


def load(file: Path = FILE) -> Identity:
    return Identity(**json.loads(file.read_text(encoding="utf-8")))
