"""For which names and addresses a node's certificate is: those that its clients and its peers use."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address

from holdfast.topology import dns
from holdfast.topology.cluster import Cluster, Node

LASTS = timedelta(days=365)
DUE = LASTS / 3
"""A certificate that ends sooner is to be made anew."""

LOOPBACK = IPv4Address("127.0.0.1")
"""For the machine's own programs, and for who comes through a tunnel, as from outside of the twin."""


@dataclass(frozen=True)
class Subject:
    """`name` is the common name; the rest are the alternative names."""

    name: str
    dns: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()


def of_node(cluster: Cluster, node: Node, public: Collection[IPv4Address] = ()) -> Subject:
    """Its own name and addresses, of which the cloud gave it the `public` ones.

    A gateway's is also for the names of all endpoints, and for the floating pair.
    """
    labels, addresses = [node.name], [*node.addresses, *public, LOOPBACK]
    if node.leader_endpoint is not None:
        labels += ["leader", "replica"]
        if cluster.floating is not None:
            labels += [dns.FLOATING_LEADER, dns.FLOATING_REPLICA]
            addresses += cluster.floating.addresses
    domain = cluster.environment.domain
    full = [f"{label}.{domain}" for label in labels] if domain else []
    return Subject(node.name, (node.name, *full), tuple(addresses))


def of_application(name: str) -> Subject:
    """A client's, for nobody to connect to."""
    return Subject(name)
