"""From each node, and from a machine in no role, exactly that is reached which docs/environment.md says."""

from functools import partial

from holdfast.drill import reach
from holdfast.drill.cluster import Cluster
from holdfast.drill.writers import Gateway
from holdfast.topology import Cluster as Topology
from holdfast.topology import find_environment, load_environment, ports
from holdfast.twin import client

BETWEEN_NODES = {ports.REDIS, ports.SENTINEL, ports.STATS}


def test_nodes_reach_of_each_other_what_they_use(healthy: Cluster) -> None:
    nodes = Topology.of(load_environment(find_environment(healthy.name))).nodes
    tried = reach.listening(healthy)
    for source in nodes:
        others = [str(address) for node in nodes if node is not source for address in node.addresses]
        expected = {str(node.address): BETWEEN_NODES for node in nodes if node is not source}
        assert reach.reached(partial(client.connect_from_node, source.name), others, tried) == expected, source.name


def test_a_machine_in_no_role_reaches_the_endpoints_and_the_floating_pair_only(
    healthy: Cluster, floating: Gateway
) -> None:
    topology = Topology.of(load_environment(find_environment(healthy.name)))
    addresses = [str(address) for node in topology.nodes for address in node.addresses]
    endpoints = [str(it) for node in topology.nodes for it in (node.leader_endpoint, node.replica_endpoint)]
    pair = [floating.leader, floating.replica]
    found = reach.reached(
        partial(client.connect_from_node, floating.node), [*addresses, *pair], reach.listening(healthy)
    )
    assert found == dict.fromkeys([*endpoints, *pair], {ports.ENDPOINT})
