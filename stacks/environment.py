"""The chain of an environment's stacks: network, identity, backups, one zone after the other, watch; names beside."""

from __future__ import annotations

from itertools import pairwise

from cdktf import App

from holdfast.topology import Cluster
from stacks.backups import BackupsStack
from stacks.base import Stack
from stacks.identity import IdentityStack
from stacks.names import NamesStack
from stacks.network import NetworkStack
from stacks.protection import refuse_destroy
from stacks.watch import WatchStack
from stacks.zone import ZoneStack


def add_environment(app: App, cluster: Cluster) -> list[Stack]:
    """Every stack of the environment. Network and identity are applied side by side, then the zones one at a time."""
    network = NetworkStack(app, cluster)
    identity = IdentityStack(app, cluster)
    backups = None if cluster.environment.backup is None else BackupsStack(app, cluster, cluster.environment.backup)
    zones: list[ZoneStack] = []
    for zone in cluster.zones:
        first = zones[0] if zones else None
        zones.append(ZoneStack(app, cluster, zone, network=network, identity=identity, backups=backups, first=first))
    instances = {node: instance for zone in zones for node, instance in zone.instances.items()}
    interfaces = {node: interface for zone in zones for node, interface in zone.interfaces.items()}
    public = {node: addresses for zone in zones for node, addresses in zone.public_addresses.items()}
    watch = WatchStack(
        app,
        cluster,
        network=network,
        identity=identity,
        instances=instances,
        interfaces=interfaces,
        public_addresses=public,
    )
    zones[0].add_dependency(network)
    zones[0].add_dependency(identity)
    if backups is not None:
        zones[0].add_dependency(backups)
    for before, after in pairwise([*zones, watch]):
        after.add_dependency(before)
    saved = [backups] if backups is not None else []
    stacks = [network, identity, *saved, *zones, watch, *_names(app, cluster, network)]
    if cluster.environment.protected:
        for stack in stacks:
            refuse_destroy(stack, cluster.environment.name)
    return stacks


def _names(app: App, cluster: Cluster, network: NetworkStack) -> list[Stack]:
    domain = cluster.environment.domain
    if domain is None:
        return []
    stack = NamesStack(app, cluster, domain, network=network)
    stack.add_dependency(network)
    return [stack]
