"""What can be reached from where: TCP connections, tried from a machine's own network."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from itertools import product

from holdfast.topology import ports
from holdfast.twin import client
from tests.twin.conftest import Cluster

TIMEOUT = 0.5
"""Seconds. What no security group lets through is not answered at all."""

AT_ONCE = 32

OURS = {ports.ENDPOINT, ports.TLS_ENDPOINT, ports.REDIS, ports.SENTINEL, ports.LEASE, ports.STATS}
OTHERS = {22, 53, 80, 111, 443, 5355, 10000 + ports.REDIS}
"""What distributions, and a Redis Cluster, would listen on."""


def listening(cluster: Cluster) -> set[int]:
    """Every TCP port on which anything listens on any machine of the cluster, at whatever address; and some more."""
    found = {
        int(line.split()[3].rpartition(":")[2])
        for node in cluster.instances()
        for line in cluster.exec(node, "ss", "--no-header", "--listening", "--tcp", "--numeric").splitlines()
    }
    return found | OURS | OTHERS


def reached(source: str, addresses: Collection[str], tried: Collection[int]) -> dict[str, set[int]]:
    """Address → ports of it that a machine of that name can connect to; addresses without any are left out."""
    pairs = list(product(addresses, tried))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        open_ = list(pool.map(lambda pair: _connects(source, *pair), pairs))
    found: dict[str, set[int]] = {}
    for (address, port), is_open in zip(pairs, open_, strict=True):
        if is_open:
            found.setdefault(address, set()).add(port)
    return found


def _connects(source: str, address: str, port: int) -> bool:
    try:
        client.connect_from_node(source, address, port, TIMEOUT).close()
    except OSError:
        return False
    return True
