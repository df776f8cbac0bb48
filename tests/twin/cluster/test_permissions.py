"""The twin refuses what a node's role does not allow. So what works is allowed; and here, nothing else is."""

from holdfast.drill.cluster import Cluster
from holdfast.topology import find_environment, load_environment
from tests.twin import permissions

ELECTION = "holdfast-keepalived.service"


def test_a_nodes_role_allows_what_nodes_use_and_nothing_more(healthy: Cluster) -> None:
    """All was used when they booted, but for what moves the floating pair: so it is moved."""
    holder = healthy.status()["floating"]["gateway"]
    healthy.exec(holder, "systemctl", "stop", ELECTION)
    healthy.wait("another holder", lambda status: status["floating"]["gateway"] not in (None, holder), 30)
    healthy.exec(holder, "systemctl", "start", ELECTION)
    assert permissions.unused(load_environment(find_environment("local"))) == {"data-gateway-sentinel": []}
