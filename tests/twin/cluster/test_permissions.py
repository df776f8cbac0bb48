"""The twin refuses what a node's role does not allow. So what works is allowed; and here, nothing else is."""

from holdfast.drill.cluster import Cluster
from holdfast.topology import find_environment, load_environment
from tests.twin import permissions

ELECTION = "holdfast-keepalived.service"


def said(cluster: Cluster, node: str) -> str:
    return cluster.exec(node, "journalctl", "--boot", "--unit=holdfast-node", "--output=cat", "--since=-1min")


def test_a_nodes_role_allows_what_nodes_use_and_nothing_more(healthy: Cluster) -> None:
    """All was used when they booted, but for what moves the floating pair: so it is moved, and contested."""
    holder = healthy.status()["floating"]["gateway"]
    other = next(gateway.node for gateway in healthy.gateways() if gateway.node != holder)
    healthy.fault("partition", holder, "--from", other)
    healthy.wait("another holder", lambda status: status["floating"]["gateway"] == other, 30)
    healthy.wait(
        "that the first one has looked", lambda _: "another gateway took" in said(healthy, holder), 30, lasting=3
    )
    healthy.heal()
    holder = healthy.wait_healthy()["floating"]["gateway"]
    healthy.exec(holder, "systemctl", "stop", ELECTION)
    healthy.wait("another holder", lambda status: status["floating"]["gateway"] not in (None, holder), 30)
    healthy.exec(holder, "systemctl", "start", ELECTION)
    assert permissions.unused(load_environment(find_environment("local"))) == {"data-gateway-sentinel": []}
