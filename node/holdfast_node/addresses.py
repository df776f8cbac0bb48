"""The node's endpoint addresses: the cloud routes them to the interface, here the machine takes them on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from holdfast_node.identity import Identity
from holdfast_node.log import say

DEVICE = Path("/run/holdfast-addresses/device.conf")
"""What keepalived reads the interface's name from."""


def take(identity: Identity) -> None:
    """Configure both endpoint addresses on the interface of the default route; harmless to repeat.

    And, where this is the only gateway that there can be, the floating pair's.

    Raises:
        OSError: there is no default route yet.
    """
    device = _default_device()
    for address in identity.endpoints():
        # /32: the subnet's own route belongs to the primary address.
        subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", device], check=True)
    DEVICE.write_text(f"$DEVICE={device}\n", encoding="ascii")
    if len(identity.gateways) == 1:
        # Elsewhere keepalived takes them on, and gives them back.
        for address in identity.floating:
            subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
    say(f"took {identity.leader_endpoint} (leader) and {identity.replica_endpoint} (replica) on {device}")


def _default_device() -> str:
    # Where there is no route, iproute2 says an empty list, or nothing.
    routes = json.loads(subprocess.check_output(["ip", "-json", "-4", "route", "show", "default"], text=True) or "[]")
    if not routes:
        raise OSError("this machine has no default route yet, by which its interface is known")
    device: str = routes[0]["dev"]
    return device
