"""The chain of an environment's stacks: network, identity, one for each zone, watch; applied in this order."""

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
    """Every stack of the environment, in the order of their rollout: each waits for the one before it."""
    network = NetworkStack(scope, cluster)
    identity = IdentityStack(scope, cluster)
    zones = [ZoneStack(scope, cluster, zone, network=network, identity=identity) for zone in cluster.zones]
    instances = {node: instance for zone in zones for node, instance in zone.instances.items()}
    watch = WatchStack(scope, cluster, network=network, identity=identity, instances=instances)
    chain: list[Stack] = [network, identity, *zones, watch]
    for before, after in pairwise(chain):
        after.add_dependency(before)
    return chain
