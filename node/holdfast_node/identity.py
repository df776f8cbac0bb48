"""Who this machine is: /etc/holdfast/node.json, which its user-data wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FILE = Path("/etc/holdfast/node.json")


@dataclass(frozen=True)
class Identity:
    """Addresses as text. `peers` names every slot of the layout, this node's and those not deployed yet included."""

    environment: str
    node: str
    zone: str
    region: str
    address: str
    leader_endpoint: str
    replica_endpoint: str
    sentinel_id: str
    volume_id: str
    bucket: str
    api_endpoint: str | None
    program: str
    secrets: dict[str, str]
    """Purpose (`app`, `system`) → name in Secrets Manager."""
    peers: dict[str, str]
    """Node name → address."""
    redis_port: int
    sentinel_port: int
    lease_port: int
    endpoint_port: int
    since_6_2: bool
    """Whether this is Redis 6.2 or newer: permissions for channels, and a pause of writes alone."""
    since_7_0: bool
    """Whether this is Redis 7.0 or newer: a Sentinel whose periods can be set."""

    def others(self) -> dict[str, str]:
        return {name: address for name, address in self.peers.items() if name != self.node}


def load(file: Path = FILE) -> Identity:
    return Identity(**json.loads(file.read_text(encoding="utf-8")))
