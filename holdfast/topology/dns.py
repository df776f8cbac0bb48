"""Private names of an environment: its endpoints, its nodes, and its Sentinels for clients that look them up."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.topology import ports
from holdfast.topology.cluster import Cluster
from holdfast.topology.spec import Environment, Role

TTL = 5
"""Seconds for which a resolver may answer from memory."""


@dataclass(frozen=True)
class Record:
    """`label` is the name without the domain."""

    label: str
    type: str
    values: tuple[str, ...]


def name(environment: Environment, label: str) -> str | None:
    """The whole name, as `leader.prod.holdfast.internal`; None where the environment has no names."""
    return f"{label}.{environment.domain}" if environment.domain else None


SENTINEL_SERVICE = "_sentinel._tcp"
LEADER, REPLICA = "leader", "replica"
FLOATING_LEADER, FLOATING_REPLICA = "floating-leader", "floating-replica"


def records(cluster: Cluster) -> tuple[Record, ...]:
    """Every record of the environment's zone; empty where it has no names.

    An endpoint's name is one record with the addresses of all gateways, not a multivalue record for each: there are no
    health checks of private addresses, and without them both give the same answer. Clients get all addresses, in an
    order that changes, and so find another gateway at the next attempt when one is lost.
    """
    if cluster.environment.domain is None:
        return ()
    gateways, sentinels = cluster.having(Role.GATEWAY), cluster.having(Role.SENTINEL)
    # Priority 0, weight 1: all alike.
    services = tuple(f"0 1 {ports.SENTINEL} {name(cluster.environment, node.name)}" for node in sentinels)
    floating = cluster.floating
    pair = ((FLOATING_LEADER, floating.leader), (FLOATING_REPLICA, floating.replica)) if floating else ()
    return (
        Record(LEADER, "A", tuple(str(node.leader_endpoint) for node in gateways)),
        Record(REPLICA, "A", tuple(str(node.replica_endpoint) for node in gateways)),
        *(Record(label, "A", (str(address),)) for label, address in pair),
        *(Record(node.name, "A", (str(node.address),)) for node in cluster.nodes),
        Record(SENTINEL_SERVICE, "SRV", services),
    )
