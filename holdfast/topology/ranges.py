"""Which networks are on the internet, and which are nobody's there."""

from __future__ import annotations

from ipaddress import IPv4Network

SHARED = IPv4Network("100.64.0.0/10")
"""For carriers' own use (RFC 6598): reachable from nowhere else, though not among the private ranges."""

RFC_1918 = (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16"))
"""For networks of one's own."""

PRIVATE = (*RFC_1918, SHARED)

NO_HOSTS = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")))
"""This network, loopback, link-local, multicast and what is reserved: no packet comes from there."""

WIDEST, MOST = 16, 40
"""Of networks of the internet that are let in: prefix length of the largest, and how many. Larger ones, such as those
of clouds, hold what the nodes themselves call; a route table takes 50 routes."""


def within(network: IPv4Network, others: tuple[IPv4Network, ...]) -> bool:
    return any(network.subnet_of(other) for other in others)


def is_public(network: IPv4Network) -> bool:
    """Whether anything of it is on the internet."""
    return not within(network, (*PRIVATE, *NO_HOSTS))
