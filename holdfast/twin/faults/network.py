"""Faults of the network. What stands is recorded, and `cuts` says what that means: here it is only put into effect."""

from __future__ import annotations

from holdfast.twin import client
from holdfast.twin.faults.cuts import PORTS
from holdfast.twin.faults.kind import Kind, Option, nothing
from holdfast.twin.faults.record import Fault


def apply(_: Fault) -> None:
    """Have the daemon make the network what is recorded; in effect on return."""
    client.request("cut")


PEERS = "which nodes or zones (default: all others)"
FROM = Option("--from", "peers", PEERS, "PEERS")
TO = Option("--to", "peers", PEERS, "PEERS")
PORT = Option("--port", "port", "this service of either side only", "SERVICE", accepted=tuple(PORTS))
PERCENT = Option("--percent", "amount", "default: %(default)s", "PERCENT", lowest=1, highest=99, default=20)

KINDS = {
    "isolate": Kind("cut a node, or a whole zone, off from everything but itself", apply, nothing),
    "partition": Kind("a node or zone and its peers do not reach each other", apply, nothing, (FROM, PORT)),
    "one-way": Kind("packets from here to the peers are lost, not the others", apply, nothing, (TO, PORT)),
    "loss": Kind("a share of all packets from and to a node is lost", apply, nothing, (PERCENT,)),
    "api-outage": Kind("the cloud's API does not answer machines", apply, nothing, target="all"),
}
"""Undone by what is forgotten: see `heal`."""
