"""The chain of an environment's stacks: network and identity, then one zone after the other, then watch."""

from __future__ import annotations

from itertools import pairwise

from constructs import Construct

from holdfast.topology import Cluster
from stacks.base import Stack
from stacks.identity import IdentityStack
from stacks.network import NetworkStack
from stacks.watch import WatchStack
from stacks.zone import ZoneStack


def add_environment(scope: Construct, cluster: Cluster) -> list[Stack]:
    """Every stack of the environment. Network and identity are applied side by side, the others one at a time."""
    network = NetworkStack(scope, cluster)
    identity = IdentityStack(scope, cluster)
    zones = [ZoneStack(scope, cluster, zone, network=network, identity=identity) for zone in cluster.zones]
    instances = {node: instance for zone in zones for node, instance in zone.instances.items()}
    watch = WatchStack(scope, cluster, network=network, identity=identity, instances=instances)
    for before in (network, identity):
        zones[0].add_dependency(before)
    for before, after in pairwise([*zones, watch]):
        after.add_dependency(before)
    return [network, identity, *zones, watch]
