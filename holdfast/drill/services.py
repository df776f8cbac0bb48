"""The services of a node stop as by a loss of power, and start again, without the boot of a machine."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from holdfast.drill.cluster import Cluster

SERVICES = ("holdfast-node", "holdfast-sentinel", "holdfast-redis")


def stop(cluster: Cluster, nodes: Collection[str]) -> None:
    """All of these nodes at the same time; nobody hands over, nobody says goodbye."""
    kill = " ".join(f"{service}.service" for service in SERVICES)
    _each(cluster, nodes, f"systemctl kill --signal=KILL {kill}; systemctl stop {kill}")


def start(cluster: Cluster, nodes: Collection[str]) -> None:
    """All of these nodes at the same time; what runs already stays as it is."""
    _each(cluster, nodes, f"systemctl start {' '.join(SERVICES)}")


def _each(cluster: Cluster, nodes: Collection[str], command: str) -> None:
    with ThreadPoolExecutor(len(nodes)) as pool:
        for done in [pool.submit(cluster.exec, node, "sh", "-c", command) for node in nodes]:
            done.result()
