"""What a well-typed environment must hold beyond its types, each as one small function that yields problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from holdfast.topology.cluster import ADDRESSES_PER_NODE, RESERVED_HEAD
from holdfast.topology.problems import Problem
from holdfast.topology.spec import Egress, Environment, Images, Persistence

MINIMUM_PREFIX, MAXIMUM_PREFIX = 16, 24
"""A VPC is at most a /16; a sixteenth of a /24 is a /28, the smallest subnet that AWS has."""

SYSTEM_MEMORY = 384
"""MiB kept for the kernel, Sentinel, HAProxy and the node program."""

FORK_FACTOR = 1.35
"""Redis forks to write snapshots and to feed a replica: pages changed meanwhile exist twice."""


def zones_repeat(environment: Environment) -> Iterator[Problem]:
    for index, letter in enumerate(environment.zones):
        if letter in environment.zones[:index]:
            yield Problem(f"zones[{index}]", f"{letter} again", "each zone once")


def layout_survives_a_zone(environment: Environment) -> Iterator[Problem]:
    nodes, zones = environment.layout.nodes, len(set(environment.zones))
    largest = -(-nodes // zones)
    if nodes - largest < nodes // 2 + 1:
        found = f"{nodes} nodes over {zones} zone{'s' * (zones != 1)}: losing one zone may take {largest} of {nodes}"
        yield Problem("zones", found, "three or more zones, so that a majority survives the loss of any one of them")


def network_is_usable(environment: Environment) -> Iterator[Problem]:
    cidr = environment.network.cidr
    if not MINIMUM_PREFIX <= cidr.prefixlen <= MAXIMUM_PREFIX:
        yield Problem("network.cidr", str(cidr), f"a network from /{MINIMUM_PREFIX} to /{MAXIMUM_PREFIX}")
        return
    if not cidr.is_private:
        yield Problem("network.cidr", f"{cidr}, a public range", "a private range (10/8, 172.16/12, 192.168/16)")
    per_zone = -(-environment.layout.nodes // len(set(environment.zones)))
    room = cidr.num_addresses // 16 - RESERVED_HEAD - 1
    if per_zone * ADDRESSES_PER_NODE > room:
        found = f"{cidr}: {room} addresses a zone for {per_zone} nodes of {ADDRESSES_PER_NODE}"
        yield Problem("network.cidr", found, "a larger network")


def network_overlaps_nothing(environment: Environment) -> Iterator[Problem]:
    for index, other in enumerate(environment.network.peered):
        if other.overlaps(environment.network.cidr):
            found = f"{other}, which overlaps network.cidr {environment.network.cidr}"
            yield Problem(f"network.peered[{index}]", found, "networks apart from this one")


def memory_fits(environment: Environment) -> Iterator[Problem]:
    machine, wanted = environment.machines.node, environment.redis.memory
    room = machine.instance.memory - SYSTEM_MEMORY
    forks = environment.redis.persistence is not Persistence.NONE or environment.layout.nodes > 1
    limit = int(room / FORK_FACTOR) if forks else room
    if wanted > limit:
        found = f"{wanted}MB on {machine.type}, which has {machine.instance.memory}MB"
        yield Problem("redis.memory", found, f"at most {max(limit, 0)}MB there, or a larger machines.node.type")


def addresses_fit(environment: Environment) -> Iterator[Problem]:
    machine = environment.machines.node
    if machine.instance.addresses < ADDRESSES_PER_NODE:
        found = f"{machine.type}, whose interface holds {machine.instance.addresses} addresses"
        yield Problem("machines.node.type", found, f"a type that holds {ADDRESSES_PER_NODE} (t3.small and larger)")


def volume_fits(environment: Environment) -> Iterator[Problem]:
    minimum = -(-2 * environment.redis.memory // 1024)
    size = environment.machines.node.data_volume_gib
    if size is not None and size < minimum:
        found = f"{size} GiB for {environment.redis.memory}MB of Redis memory"
        yield Problem("machines.node.data_volume_gib", found, f"at least {minimum}, or nothing for the default")


def stock_images_need_the_internet(environment: Environment) -> Iterator[Problem]:
    if environment.images is Images.STOCK and environment.network.egress is Egress.ENDPOINTS:
        found = "stock, with network.egress: endpoints"
        yield Problem("images", found, "baked, or network.egress: nat (packages come from the distribution's mirrors)")


def nodes_reach_the_api(environment: Environment) -> Iterator[Problem]:
    endpoint = environment.cloud.endpoint
    loopback = endpoint is not None and endpoint.host in {"localhost", "127.0.0.1"}
    if loopback and environment.cloud.node_endpoint is None:
        found = f"nothing, and cloud.endpoint is {environment.api_endpoint}, which means another machine on a node"
        yield Problem("cloud.node_endpoint", found, "the URL by which nodes reach the same API")


INVARIANTS: tuple[Callable[[Environment], Iterator[Problem]], ...] = (
    zones_repeat,
    layout_survives_a_zone,
    network_is_usable,
    network_overlaps_nothing,
    memory_fits,
    addresses_fit,
    volume_fits,
    stock_images_need_the_internet,
    nodes_reach_the_api,
)


def problems_of(environment: Environment) -> list[Problem]:
    return [problem for invariant in INVARIANTS for problem in invariant(environment)]
