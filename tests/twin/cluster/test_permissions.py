"""The twin refuses what a node's role does not allow. So what works is allowed; and here, nothing else is."""

from holdfast.drill.cluster import Cluster
from holdfast.topology import find_environment, load_environment
from tests.twin import pair, permissions

ELECTION = "holdfast-keepalived.service"


def test_a_nodes_role_allows_what_nodes_use_and_nothing_more(healthy: Cluster) -> None:
    """All was used when they booted, but for what moves the floating pair: so it is moved, and contested."""
    holder = pair.leading_holder(healthy)
    pair.part_from_another(healthy, holder)
    # It asks two seconds later whether the other one holds the pair still. A third one may take it meanwhile.
    healthy.wait("one to hold the pair", lambda seen: seen["floating"]["gateway"] is not None, lasting=5)
    healthy.heal()
    holder = healthy.wait_healthy()["floating"]["gateway"]
    healthy.exec(holder, "systemctl", "stop", ELECTION)
    healthy.wait("another holder", lambda status: status["floating"]["gateway"] not in (None, holder), 30)
    healthy.exec(holder, "systemctl", "start", ELECTION)
    assert permissions.unused(load_environment(find_environment("local"))) == {"data-gateway-sentinel": []}
