"""Faults of the network. What stands is recorded, and `cuts` says what that means: here it is only put into effect."""

from __future__ import annotations

from holdfast.twin import client
from holdfast.twin.faults.cuts import PORTS
from holdfast.twin.faults.kind import Kind, Option, nothing
from holdfast.twin.faults.record import Fault


def apply(_: Fault) -> None:
    """Have the daemon make the network what is recorded; in effect on return."""
    client.request("cut")


PEERS = "Nodes or zones on the other side.  [default: all others]"
FROM = Option("--from", "peers", PEERS, "PEERS")
TO = Option("--to", "peers", PEERS, "PEERS")
PORT = Option("--port", "port", f"Cut off one service only: {', '.join(PORTS)}.", "SERVICE", accepted=tuple(PORTS))
PERCENT = Option("--percent", "amount", "Share of the packets.", "PERCENT", lowest=1, highest=99, default=20)

KINDS = {
    "isolate": Kind("Cut off a node or a zone from everything but itself.", apply, nothing),
    "partition": Kind("Cut off a node or a zone from its peers, in both directions.", apply, nothing, (FROM, PORT)),
    "one-way": Kind(
        "Drop the packets from a node or a zone to its peers, in that direction only.", apply, nothing, (TO, PORT)
    ),
    "loss": Kind("Drop a share of the packets from and to a node.", apply, nothing, (PERCENT,)),
    "api-outage": Kind("Make the API of the cloud unreachable for machines.", apply, nothing, target="all"),
}
"""Undone by what is forgotten: see `heal`."""
