"""The floating pair where two gateways do not hear each other, so that both are elected."""

from __future__ import annotations

import json

from holdfast.drill.cluster import Cluster

SEEN_WITHIN = 30.0
"""Seconds until who held the pair sees that another gateway took it: it looks every five."""


def leading_holder(cluster: Cluster) -> str:
    """The node that holds the pair, once it leads too."""
    holder: str | None = cluster.wait_healthy()["floating"]["gateway"]
    assert holder is not None
    if cluster.status()["leader"] != holder:
        done = json.loads(cluster.holdfast("failover", cluster.environment, "--to", holder, "--yes", "--json").stdout)
        assert done["done"] is True
        cluster.wait_healthy()
    return holder


def part_from_another(cluster: Cluster, holder: str) -> None:
    """Cut the holder off from another gateway, and wait until it has seen that this one took the pair.

    Until then both say that they hold it, and so a status names neither. Where the holder leads, the other one misses
    the leader, and gives the pair back after four seconds.
    """
    before = _said(cluster, holder)
    other = next(gateway.node for gateway in cluster.gateways() if gateway.node != holder)
    cluster.fault("partition", holder, "--from", other)
    cluster.wait(
        f"{holder} to say that another gateway took the pair", lambda _: _said(cluster, holder) > before, SEEN_WITHIN
    )


def _said(cluster: Cluster, node: str) -> int:
    """How often since it booted."""
    journal = cluster.exec(node, "journalctl", "--boot", "--unit=holdfast-node", "--output=cat")
    return journal.count("another gateway took the floating pair")
