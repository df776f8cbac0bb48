"""Machines on the internet: a namespace that has all of their addresses, and a cable to each VPC that they may reach.

What leads from here to a public address, and from a subnet back, is what the API says. There is nothing else to reach.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network

from holdfast.twin import netns
from holdfast.twin.rules import INTERNET_LINK

NAMESPACE = INTERNET_LINK
MACHINES = IPv4Network("203.0.113.0/24")
"""Each address is some machine's: a socket in the namespace may be bound to any of them. For documentation."""

HERE, THERE = "169.254.0.1", "169.254.0.2"
"""The cable's ends, in the namespace and at the router. Neither is ever seen in a packet."""
HERE_MAC, THERE_MAC = "06:00:00:00:00:01", "06:00:00:00:00:02"

WAY_OUT = f"via {HERE} dev {INTERNET_LINK} onlink"
"""A router's route to any machine here."""


def connect(router: str, cable: str) -> None:
    """Lay a cable of that name from here to a router's namespace, in place of one that there may be."""
    disconnect(router)
    if not netns.exists(NAMESPACE):
        netns.create(NAMESPACE)
        netns.ip(NAMESPACE, ["link set lo up", f"route replace local {MACHINES} dev lo"])
    peer = f"peer name {cable} address {HERE_MAC} netns {NAMESPACE}"
    netns.ip(
        router,
        [
            f"link add {INTERNET_LINK} address {THERE_MAC} type veth {peer}",
            f"link set {INTERNET_LINK} up",
            f"neighbour replace {HERE} lladdr {HERE_MAC} dev {INTERNET_LINK} nud permanent",
        ],
    )
    netns.ip(
        NAMESPACE, [f"link set {cable} up", f"neighbour replace {THERE} lladdr {THERE_MAC} dev {cable} nud permanent"]
    )


def disconnect(router: str) -> None:
    """Take the cable away, and the routes over it with it; after the last one, all machines. Fine without one."""
    netns.ip(router, [f"link delete {INTERNET_LINK}"], force=True)
    if netns.exists(NAMESPACE) and not any(link["ifname"].startswith("hf-") for link in netns.links(NAMESPACE)):
        netns.delete(NAMESPACE)


def lead(cable: str, before: Collection[IPv4Address], after: Collection[IPv4Address]) -> None:
    """Have these public addresses, and of those before no other, lead over a cable."""
    netns.ip(
        NAMESPACE,
        [
            *(f"route delete {address}/32" for address in before if address not in after),
            *(f"route add {address}/32 via {THERE} dev {cable} onlink" for address in after if address not in before),
        ],
    )
