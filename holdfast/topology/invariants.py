"""What a well-typed environment must hold beyond its types, each as one small function that yields problems.

Each says which sections of the file it `reads`, so that it is left out where one of them has no valid value to look at,
and all other problems of the file are still found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from holdfast.topology.cluster import ADDRESSES_PER_NODE, RESERVED_HEAD
from holdfast.topology.problems import Problem
from holdfast.topology.spec import Egress, Environment, Images, Persistence

MINIMUM_PREFIX, MAXIMUM_PREFIX = 16, 24
"""A VPC is at most a /16; a sixteenth of a /24 is a /28, the smallest subnet that AWS has."""

SYSTEM_MEMORY = 384
"""MiB kept for the kernel, Sentinel, HAProxy and the node program."""

FORK_FACTOR = 1.35
"""Redis forks to write snapshots and to feed a replica: pages changed meanwhile exist twice."""

Check = Callable[[Environment], Iterator[Problem]]


@dataclass(frozen=True)
class Invariant:
    reads: frozenset[str]
    check: Check


INVARIANTS: list[Invariant] = []


def _reads(*paths: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        INVARIANTS.append(Invariant(frozenset(paths), check))
        return check

    return register


@_reads("zones")
def zones_repeat(environment: Environment) -> Iterator[Problem]:
    for index, letter in enumerate(environment.zones):
        if letter in environment.zones[:index]:
            yield Problem(f"zones[{index}]", f"{letter} again", "each zone once")


@_reads("zones", "layout")
def layout_survives_a_zone(environment: Environment) -> Iterator[Problem]:
    nodes, zones = environment.layout.nodes, len(set(environment.zones))
    largest = -(-nodes // zones)
    if nodes - largest < nodes // 2 + 1:
        found = f"{nodes} nodes over {zones} zone{'s' * (zones != 1)}: losing one zone may take {largest} of {nodes}"
        yield Problem("zones", found, "three or more zones, so that a majority survives the loss of any one of them")


@_reads("zones", "layout")
def every_zone_has_a_node(environment: Environment) -> Iterator[Problem]:
    nodes, zones = environment.layout.nodes, len(set(environment.zones))
    if nodes < zones:
        yield Problem("zones", f"{zones} zones for {nodes} nodes", f"at most {nodes} zones")


@_reads("network.cidr")
def network_is_private_and_of_a_size(environment: Environment) -> Iterator[Problem]:
    cidr = environment.network.cidr
    if not MINIMUM_PREFIX <= cidr.prefixlen <= MAXIMUM_PREFIX:
        yield Problem("network.cidr", str(cidr), f"a network from /{MINIMUM_PREFIX} to /{MAXIMUM_PREFIX}")
    if not cidr.is_private:
        yield Problem("network.cidr", f"{cidr}, a public range", "a private range (10/8, 172.16/12, 192.168/16)")


@_reads("network.cidr", "zones", "layout")
def network_has_room(environment: Environment) -> Iterator[Problem]:
    cidr = environment.network.cidr
    if cidr.prefixlen > MAXIMUM_PREFIX:
        return
    per_zone = -(-environment.layout.nodes // len(set(environment.zones)))
    room = cidr.num_addresses // 16 - RESERVED_HEAD - 1
    if per_zone * ADDRESSES_PER_NODE > room:
        found = f"{cidr}: {room} addresses a zone for {per_zone} nodes of {ADDRESSES_PER_NODE}"
        yield Problem("network.cidr", found, "a larger network")


@_reads("network.cidr", "network.peered")
def network_overlaps_nothing(environment: Environment) -> Iterator[Problem]:
    for index, other in enumerate(environment.network.peered):
        if other.overlaps(environment.network.cidr):
            found = f"{other}, which overlaps network.cidr {environment.network.cidr}"
            yield Problem(f"network.peered[{index}]", found, "networks apart from this one")


@_reads("machines.node.type", "redis.memory")
def memory_fits(environment: Environment) -> Iterator[Problem]:
    machine, wanted = environment.machines.node, environment.redis.memory
    limit = max(int((machine.instance.memory - SYSTEM_MEMORY) / FORK_FACTOR), 0)
    if wanted > limit:
        found = f"{wanted}MB on {machine.type}, which has {machine.instance.memory}MB"
        yield Problem("redis.memory", found, f"at most {limit}MB there, or a larger machines.node.type")


@_reads("machines.node.type")
def addresses_fit(environment: Environment) -> Iterator[Problem]:
    machine = environment.machines.node
    if machine.instance.addresses < ADDRESSES_PER_NODE:
        found = f"{machine.type}, whose interface holds {machine.instance.addresses} addresses"
        yield Problem("machines.node.type", found, f"a type that holds {ADDRESSES_PER_NODE} (t3.small and larger)")


@_reads("machines.node.data_volume_gib", "redis.memory", "redis.persistence")
def volume_fits(environment: Environment) -> Iterator[Problem]:
    if environment.redis.persistence is Persistence.NONE:
        return
    minimum = -(-2 * environment.redis.memory // 1024)
    size = environment.machines.node.data_volume_gib
    if size is not None and size < minimum:
        found = f"{size} GiB for {environment.redis.memory}MB of Redis memory"
        yield Problem("machines.node.data_volume_gib", found, f"at least {minimum}, or nothing for the default")


@_reads("images", "network.egress")
def stock_images_need_the_internet(environment: Environment) -> Iterator[Problem]:
    if environment.images is Images.STOCK and environment.network.egress is Egress.ENDPOINTS:
        found = "stock, with network.egress: endpoints"
        yield Problem("images", found, "baked, or network.egress: nat (packages come from the distribution's mirrors)")


@_reads("cloud")
def nodes_reach_the_api(environment: Environment) -> Iterator[Problem]:
    endpoint = environment.cloud.endpoint
    loopback = endpoint is not None and endpoint.host in {"localhost", "127.0.0.1"}
    if loopback and environment.cloud.node_endpoint is None:
        found = f"nothing, and cloud.endpoint is {environment.api_endpoint}, which means another machine on a node"
        yield Problem("cloud.node_endpoint", found, "the URL by which nodes reach the same API")


def problems_of(environment: Environment, without: Collection[str] = ()) -> list[Problem]:
    """Every broken invariant, leaving out those that read a path in `without` (or a path above or below one)."""
    return [
        problem
        for invariant in INVARIANTS
        if not any(_related(read, path) for read in invariant.reads for path in without)
        for problem in invariant.check(environment)
    ]


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith((f"{other}.", f"{other}[")) or other.startswith((f"{one}.", f"{one}["))
