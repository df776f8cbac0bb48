"""What a well-typed environment must hold beyond its types, each as one small function that yields problems.

Each says which sections of the file it `reads`, so that it is left out where one of them has no valid value to look at,
and all other problems of the file are still found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from holdfast.topology import channels, names, presets, redis_settings
from holdfast.topology.cluster import ADDRESSES_PER_SLOT, RESERVED_HEAD
from holdfast.topology.layouts import SLOTS_PER_ZONE, Kind, kinds
from holdfast.topology.problems import Problem
from holdfast.topology.ranges import MOST, PRIVATE, RFC_1918, SHARED, WIDEST, within
from holdfast.topology.spec import (
    FLOATING_PREFIX,
    TEST_PREFIX,
    Distribution,
    Durability,
    Egress,
    Environment,
    Images,
    MachineSpec,
    Nat,
    Persistence,
    Role,
    SingleLayout,
    TieredLayout,
    TlsMode,
)
from holdfast.topology.users import OWN, RENEW
from holdfast.topology.versions import REDIS_VERSIONS

MINIMUM_PREFIX, MAXIMUM_PREFIX = 16, 24
"""A VPC is at most a /16; a sixteenth of a /24 is a /28, the smallest subnet that AWS has."""

MOST_TAGS = 50
"""Of one thing, by every service; `names.tags_of_ten` is for what takes fewer."""

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


@_reads("name", "teststack")
def test_names_are_reserved(environment: Environment) -> Iterator[Problem]:
    """What begins with the prefix may be reaped, and nothing else may."""
    reserved, test = environment.name.startswith(TEST_PREFIX), environment.teststack is not None
    if reserved and not test:
        accepted = "another name (only `holdfast teststack up` makes such ones)"
        yield Problem("name", f"{environment.name}, which begins as test stacks do", accepted)
    if test and not reserved:
        yield Problem("teststack", f"it, in {environment.name}", f"nothing, or a name that begins with {TEST_PREFIX}")


@_reads("teststack", "protected")
def test_stacks_can_be_destroyed(environment: Environment) -> Iterator[Problem]:
    if environment.teststack is not None and environment.protected:
        yield Problem("protected", "true, in a test stack", "false")


@_reads("zones")
def zones_repeat(environment: Environment) -> Iterator[Problem]:
    for index, letter in enumerate(environment.zones):
        if letter in environment.zones[:index]:
            yield Problem(f"zones[{index}]", f"{letter} again", "each zone once")


@_reads("layout", "machines")
def machines_suit_the_layout(environment: Environment) -> Iterator[Problem]:
    found = ", ".join(environment.machines) or "nothing"
    if not isinstance(environment.layout, TieredLayout):
        if list(environment.machines) != ["node"]:
            yield Problem("machines", found, f"node alone, in the layout {environment.layout.kind}")
        return
    roles = Counter(role for key in environment.machines for role in key.split("+"))
    if roles != Counter(list(Role)):
        accepted = "data, gateway and sentinel once each, in the layout tiered, alone or joined as in gateway+sentinel"
        yield Problem("machines", found, accepted)


@_reads("layout", "machines")
def shared_machines_are_enough(environment: Environment) -> Iterator[Problem]:
    for kind in kinds(environment):
        first, *others = kind.counts.items()
        for role, count in others:
            if count > first[1]:
                found = f"{count} of role {role} on the {first[1]} machines of role {first[0]}"
                yield Problem(f"machines.{kind.key}", found, f"at most as many as {first[0]}, or machines of their own")


@_reads("zones", "layout")
def sentinels_survive_a_zone(environment: Environment) -> Iterator[Problem]:
    """With a majority of all. The layout `single` survives no zone, and is exempt."""
    layout, zones = environment.layout, len(set(environment.zones))
    if isinstance(layout, SingleLayout):
        return
    what, count = ("Sentinels", layout.sentinels) if isinstance(layout, TieredLayout) else ("nodes", layout.nodes)
    largest = -(-count // zones)
    if count - largest < count // 2 + 1:
        found = f"{count} {what} over {zones} zone{'s' * (zones != 1)}: losing one zone may take {largest} of {count}"
        yield Problem("zones", found, "three or more zones, so that a majority survives the loss of any one of them")


@_reads("zones", "layout")
def every_zone_has_a_machine(environment: Environment) -> Iterator[Problem]:
    """Machines are dealt out zone by zone, so those with data, and the gateways, are in two zones or more."""
    most, zones = max(environment.layout.counts().values()), len(set(environment.zones))
    if most < zones:
        found = f"{zones} zones for {most} node{'s' * (most != 1)}"
        yield Problem("zones", found, f"at most {most} zone{'s' * (most != 1)}")


@_reads("network.cidr", "network.vpc")
def network_is_private_and_of_a_size(environment: Environment) -> Iterator[Problem]:
    """One of its own: a VPC that was there already is as it is."""
    cidr = environment.network.cidr
    if environment.network.vpc is not None:
        return
    if not MINIMUM_PREFIX <= cidr.prefixlen <= MAXIMUM_PREFIX:
        yield Problem("network.cidr", str(cidr), f"a network from /{MINIMUM_PREFIX} to /{MAXIMUM_PREFIX}")
    if not within(cidr, RFC_1918):
        yield Problem("network.cidr", f"{cidr}, a public range", "a private range (10/8, 172.16/12, 192.168/16)")


def _addresses_of_a_zone(environment: Environment) -> int:
    """How many the machines of a zone need, with those that the layout can grow by."""
    tiers = len(Role) if isinstance(environment.layout, TieredLayout) else 1
    return tiers * SLOTS_PER_ZONE * ADDRESSES_PER_SLOT


@_reads("network.cidr", "network.vpc", "layout")
def network_has_room(environment: Environment) -> Iterator[Problem]:
    cidr = environment.network.cidr
    if environment.network.vpc is not None or cidr.prefixlen > MAXIMUM_PREFIX:
        return
    needed = _addresses_of_a_zone(environment)
    room = cidr.num_addresses // 16 - RESERVED_HEAD - 1
    if needed > room:
        found = f"{cidr}: {room} addresses for the machines of a zone, which need {needed}"
        yield Problem("network.cidr", found, "a larger network")


@_reads("network.vpc", "zones")
def every_zone_has_a_subnet(environment: Environment) -> Iterator[Problem]:
    vpc = environment.network.vpc
    if vpc is not None and set(vpc.subnets) != set(environment.zones):
        found = f"those of zones {', '.join(vpc.subnets) or 'none'}"
        yield Problem("network.vpc.subnets", found, f"one for each of the zones {', '.join(environment.zones)}")


@_reads("network.cidr", "network.vpc")
def subnets_are_apart_and_in_the_network(environment: Environment) -> Iterator[Problem]:
    network = environment.network
    subnets = list(network.vpc.subnets.items()) if network.vpc is not None else []
    for index, (letter, subnet) in enumerate(subnets):
        path = f"network.vpc.subnets.{letter}.cidr"
        if not subnet.cidr.subnet_of(network.cidr):
            found = f"{subnet.cidr}, outside of network.cidr {network.cidr}"
            yield Problem(path, found, "a subnet in it; network.cidr is the range of the VPC that has all three")
        for other, before in subnets[:index]:
            if subnet.cidr.overlaps(before.cidr):
                found = f"{subnet.cidr}, which overlaps {before.cidr} of zone {other}"
                yield Problem(path, found, "a subnet of its own for each zone")


@_reads("network.vpc", "layout")
def blocks_are_free_for_nodes(environment: Environment) -> Iterator[Problem]:
    vpc, needed = environment.network.vpc, _addresses_of_a_zone(environment)
    for letter, subnet in vpc.subnets.items() if vpc is not None else ():
        block, path = subnet.block, f"network.vpc.subnets.{letter}.block"
        if not block.subnet_of(subnet.cidr):
            yield Problem(path, f"{block}, outside of its subnet {subnet.cidr}", "a part of the subnet")
            continue
        reserved = [subnet.cidr[0] + step for step in range(RESERVED_HEAD)] + [subnet.cidr[-1]]
        if taken := [str(address) for address in reserved if address in block]:
            accepted = "a block without the subnet's first four addresses and its last one, which are AWS' own"
            yield Problem(path, f"{block}, with {', '.join(taken)}", accepted)
        if block.num_addresses < needed:
            found = f"{block}: {block.num_addresses} addresses for the machines of a zone, which need {needed}"
            yield Problem(path, found, f"at least a /{32 - (needed - 1).bit_length()}")


@_reads("network")
def a_given_network_has_its_own_ways(environment: Environment) -> Iterator[Problem]:
    """Nothing that leads into it or out of it is made: all that is the team's."""
    network = environment.network
    if network.vpc is None:
        return
    theirs = "with network.vpc, whose ways out are there already"
    if network.egress is not Egress.NAT:
        yield Problem("network.egress", f"{network.egress}, {theirs}", "nothing")
    if network.nat is not Nat.ZONAL:
        yield Problem("network.nat", f"{network.nat}, {theirs}", "nothing")
    if network.public:
        yield Problem("network.public", "true, with network.vpc", "false, or a network of its own")
    if environment.floating is not None and not network.vpc.route_tables:
        found = f"{environment.floating}, with network.vpc, and no route table to lead there"
        yield Problem("network.floating", found, "none, nothing, or network.vpc.route_tables")
    for index, table in enumerate(network.vpc.route_tables):
        if table in network.vpc.route_tables[:index]:
            yield Problem(f"network.vpc.route_tables[{index}]", f"{table} again", "each route table once")


@_reads("network.cidr", "network.peered")
def network_overlaps_nothing(environment: Environment) -> Iterator[Problem]:
    for index, other in enumerate(environment.network.peered):
        if other.overlaps(environment.network.cidr):
            found = f"{other}, which overlaps network.cidr {environment.network.cidr}"
            yield Problem(f"network.peered[{index}]", found, "networks apart from this one")


@_reads("name", "network")
def floating_pair_is_elsewhere(environment: Environment) -> Iterator[Problem]:
    """A route to a part of a network's own range, or of a range that another route leads to, would win over those."""
    pair, network = environment.floating, environment.network
    if pair is None:
        return
    found = f"{pair}{'' if network.floating else ', by default'}"
    if pair.prefixlen != FLOATING_PREFIX:
        yield Problem("network.floating", found, f"a pair of addresses, such as 100.127.0.0/{FLOATING_PREFIX}, or none")
    if not within(pair, PRIVATE):
        accepted = f"a private range (10/8, 172.16/12, 192.168/16) or {SHARED}"
        yield Problem("network.floating", f"{found}, a public range", accepted)
    others = {"network.cidr": (network.cidr,), "network.peered": network.peered}
    for path, cidrs in others.items():
        for cidr in cidrs:
            if cidr.overlaps(pair):
                yield Problem("network.floating", f"{found}, which overlaps {path} {cidr}", "addresses outside of it")


@_reads("machines.*.type", "machines.*.image", "redis.memory", "layout")
def memory_fits(environment: Environment) -> Iterator[Problem]:
    """With what the file gives clients beyond Redis' defaults here, which the factor has room for."""
    wanted, given = environment.redis.memory, environment.redis.settings
    for kind, machine in _machines(environment, Role.DATA):
        more = redis_settings.beyond(given, wanted, REDIS_VERSIONS[machine.image])
        limit = max(int((machine.instance.memory - SYSTEM_MEMORY - more) / FORK_FACTOR), 0)
        if wanted > limit:
            clients = f", and {more}MB more for clients (redis.settings)" if more else ""
            found = f"{wanted}MB{clients} on {machine.type}, which has {machine.instance.memory}MB"
            yield Problem("redis.memory", found, f"at most {limit}MB there, or a larger machines.{kind.key}.type")


@_reads("machines.*.image", "layout")
def settings_suit_the_version(environment: Environment) -> Iterator[Problem]:
    for kind, machine in _machines(environment, Role.DATA):
        version = REDIS_VERSIONS[machine.image]
        where = f"on machines.{kind.key}.image {machine.image}, which has Redis {_version(version)}"
        for name, value in environment.redis.settings.items():
            setting = redis_settings.SETTINGS[name]
            path, needed = f"redis.settings.{name}", setting.kind.needs(value)
            if version < setting.since:
                yield Problem(
                    path, f"it {where}", f"nothing, or a distribution with Redis {_version(setting.since)} or newer"
                )
            elif setting.until is not None and version > setting.until:
                yield Problem(path, f"it {where}", f"nothing: the last Redis that has it is {_version(setting.until)}")
            elif version < needed:
                yield Problem(path, f"{value!r} {where}", f"a value that Redis before {_version(needed)} takes")


@_reads("machines.*.type", "layout")
def threads_have_processors(environment: Environment) -> Iterator[Problem]:
    threads = int(environment.redis.settings.get(redis_settings.IO_THREADS, "1"))
    for kind, machine in _machines(environment, Role.DATA):
        if threads > machine.instance.vcpus:
            found = f"{threads} on {machine.type}, which has {machine.instance.vcpus} processors"
            accepted = f"at most {machine.instance.vcpus} there, or a larger machines.{kind.key}.type"
            yield Problem(f"redis.settings.{redis_settings.IO_THREADS}", found, accepted)


@_reads("redis.memory")
def clients_have_some_memory(environment: Environment) -> Iterator[Problem]:
    """With less, sessions that do nothing wrong are closed."""
    given, memory = environment.redis.settings, environment.redis.memory
    size = redis_settings.clients_bytes(given, memory) // 2**20
    if size < redis_settings.FEWEST_MIB:
        found = f"{given[redis_settings.CLIENTS]} of {memory}MB, which is {size}MB"
        yield Problem(f"redis.settings.{redis_settings.CLIENTS}", found, f"at least {redis_settings.FEWEST_MIB}mb")


def _version(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


@_reads("machines.*.type", "layout")
def addresses_fit(environment: Environment) -> Iterator[Problem]:
    for kind, machine in _machines(environment, Role.GATEWAY):
        if machine.instance.addresses < ADDRESSES_PER_SLOT:
            found = f"{machine.type}, whose interface holds {machine.instance.addresses} addresses"
            accepted = f"a type that holds {ADDRESSES_PER_SLOT} (t3.small and larger)"
            yield Problem(f"machines.{kind.key}.type", found, accepted)


@_reads("machines.*.data_volume_gib", "redis.memory", "redis.persistence", "layout")
def volume_fits(environment: Environment) -> Iterator[Problem]:
    minimum = 1 if environment.redis.persistence is Persistence.NONE else -(-2 * environment.redis.memory // 1024)
    for kind, machine in _machines(environment, Role.DATA):
        size = machine.data_volume_gib
        if size is not None and size < minimum:
            found = f"{size} GiB for {environment.redis.memory}MB of Redis memory"
            accepted = f"at least {minimum}, or nothing for the default"
            yield Problem(f"machines.{kind.key}.data_volume_gib", found, accepted)


@_reads("machines.*.data_volume_gib", "layout")
def only_data_has_a_size(environment: Environment) -> Iterator[Problem]:
    for kind in kinds(environment):
        size = environment.machines[kind.key].data_volume_gib
        if size is not None and Role.DATA not in kind.counts:
            yield Problem(f"machines.{kind.key}.data_volume_gib", f"{size}, on machines without data", "nothing")


@_reads("redis.durability", "layout")
def one_node_replicates_nothing(environment: Environment) -> Iterator[Problem]:
    durability = environment.redis.durability
    if isinstance(environment.layout, SingleLayout) and durability not in (None, Durability.AVAILABLE):
        found = f"{durability} in the layout single, whose leader has no replica and so would take no writes"
        yield Problem(
            "redis.durability", found, "available, nothing (the default there is available), or layout compact"
        )


@_reads("machines.*.image", "network.sentinel_clients", "layout")
def sentinels_tell_clients_apart(environment: Environment) -> Iterator[Problem]:
    for kind, machine in _machines(environment, Role.SENTINEL):
        if environment.network.sentinel_clients and machine.image is Distribution.UBUNTU_22_04:
            found = f"{machine.image}, whose Sentinels (Redis 6.0) know no users, with network.sentinel_clients"
            accepted = "a newer distribution, or no network.sentinel_clients: with the one password, all may do all"
            yield Problem(f"machines.{kind.key}.image", found, accepted)


@_reads("failover.detection", "machines.*.image")
def sentinels_are_quick_enough(environment: Environment) -> Iterator[Problem]:
    if environment.detection < environment.quickest:
        old = f"{Distribution.UBUNTU_22_04}, whose Sentinels (Redis 6.0) ask once a second"
        found = f"{environment.detection}ms, with {old}"
        accepted = f"at least {environment.quickest}ms, or a newer distribution"
        yield Problem("failover.detection", found, accepted)


@_reads("applications")
def applications_are_some_and_not_our_own(environment: Environment) -> Iterator[Problem]:
    if not environment.applications:
        yield Problem("applications", "none", "at least one, or no such key: then there is one, app")
    taken = {user.name for user in OWN} | {"default", RENEW}
    for name, application in environment.applications.items():
        if not application.commands:
            yield Problem(f"applications.{name}.commands", "none", "at least one group, or no such key: then all")
        if name in taken:
            yield Problem(f"applications.{name}", "it, which is a user of every environment", "another name")


@_reads("machines.*.image", "applications", "layout")
def channels_can_be_limited(environment: Environment) -> Iterator[Problem]:
    for kind, machine in _machines(environment, Role.DATA):
        for name, application in environment.applications.items():
            if application.channels != (channels.ALL,) and machine.image is Distribution.UBUNTU_22_04:
                found = f"some, on machines.{kind.key}.image {machine.image}, whose Redis 6.0 cannot limit them"
                yield Problem(f"applications.{name}.channels", found, "nothing, or a newer distribution")


@_reads("applications")
def applications_greet_no_sentinels(environment: Environment) -> Iterator[Problem]:
    for name, application in environment.applications.items():
        for index, pattern in enumerate(application.channels):
            if pattern != channels.ALL and channels.matches(pattern, channels.GREETINGS):
                found = f"{pattern}, which matches {channels.GREETINGS}: who publishes there commands the Sentinels"
                accepted = (
                    "* for all channels but those that begin with __s, or patterns that do not match that one, "
                    "such as __key*"
                )
                yield Problem(f"applications.{name}.channels[{index}]", found, accepted)


@_reads("applications")
def presets_fit_the_application(environment: Environment) -> Iterator[Problem]:
    for name, application in environment.applications.items():
        for index, preset in enumerate(application.presets):
            if refused := presets.refusal(preset, application):
                yield Problem(f"applications.{name}.presets[{index}]", *refused)


@_reads("machines.*.image", "applications", "layout")
def redis_has_the_commands_of_presets(environment: Environment) -> Iterator[Problem]:
    for kind, machine in _machines(environment, Role.DATA):
        version = REDIS_VERSIONS[machine.image]
        for name, application in environment.applications.items():
            for index, preset in enumerate(application.presets):
                if version < (offer := presets.OFFERS[preset]).since:
                    redis = ".".join(map(str, version))
                    on = f"on machines.{kind.key}.image {machine.image}, whose Redis {redis} has no {offer.command}"
                    path = f"applications.{name}.presets[{index}]"
                    yield Problem(path, f"{preset}, {on}", f"no {preset}, or a newer distribution")


@_reads("tls")
def mutual_has_no_way_around(environment: Environment) -> Iterator[Problem]:
    if environment.tls.mutual and environment.tls.mode is not TlsMode.REQUIRED:
        yield Problem("tls.mutual", f"true, with tls.mode: {environment.tls.mode}", "false, or tls.mode: required")


@_reads("network.public", "tls")
def the_internet_takes_tls(environment: Environment) -> Iterator[Problem]:
    if environment.network.public and not environment.tls.on:
        yield Problem("network.public", "true, with tls.mode: off", "false, or tls.mode: required or optional")


@_reads("network.public", "network.egress")
def the_internet_has_a_gateway(environment: Environment) -> Iterator[Problem]:
    if environment.network.public and environment.network.egress is not Egress.NAT:
        found = "true, with network.egress: endpoints, which has no internet gateway"
        yield Problem("network.public", found, "false, or network.egress: nat")


@_reads("network.nat", "network.egress")
def endpoints_need_no_nat(environment: Environment) -> Iterator[Problem]:
    network = environment.network
    if network.nat is Nat.ONE and network.egress is not Egress.NAT:
        yield Problem("network.nat", "one, with network.egress: endpoints, which has none", "nothing, or egress: nat")


@_reads("network")
def the_internet_is_listed(environment: Environment) -> Iterator[Problem]:
    """Who may come to the public addresses is said, and is not everybody."""
    network = environment.network
    if not network.public:
        return
    listed = network.public_clients
    if not listed:
        found = f"{', '.join(map(str, network.clients)) or 'the network itself'}, with network.public: true"
        yield Problem("network.clients", found, "at least one network of the internet, or network.public: false")
    if len(listed) > MOST:
        yield Problem("network.clients", f"{len(listed)} networks of the internet", f"at most {MOST}")
    for index, cidr in enumerate(network.clients):
        if cidr in listed and cidr.prefixlen < WIDEST:
            found = f"{cidr}, with network.public: true"
            yield Problem(f"network.clients[{index}]", found, f"networks of the internet of /{WIDEST} or smaller")


@_reads("network.clients", "network.sentinel_clients")
def networks_are_listed_once(environment: Environment) -> Iterator[Problem]:
    network = environment.network
    for path, cidrs in (("clients", network.clients), ("sentinel_clients", network.sentinel_clients)):
        for index, cidr in enumerate(cidrs):
            if cidr in cidrs[:index]:
                yield Problem(f"network.{path}[{index}]", f"{cidr} again", "each network once")


@_reads("images", "network.egress")
def stock_images_need_the_internet(environment: Environment) -> Iterator[Problem]:
    if environment.images is Images.STOCK and environment.network.egress is Egress.ENDPOINTS:
        found = "stock, with network.egress: endpoints"
        yield Problem("images", found, "baked, or network.egress: nat (packages come from the distribution's mirrors)")


@_reads("tags", "teststack")
def tags_are_not_our_own(environment: Environment) -> Iterator[Problem]:
    """Whatever the case: IAM tells neither tags of a role nor those in a condition apart by it."""
    own = names.OWN_TAGS if environment.teststack is None else names.OWN_TAGS | names.TESTSTACK_TAGS
    taken = {name.lower(): f"{name}, which is Holdfast's own" for name in own}
    for key in environment.tags:
        if key.lower() in taken:
            yield Problem(f"tags.{key}", f"it, beside {taken[key.lower()]}", "another name (case makes no difference)")
        elif key.lower().startswith(names.RUN_TIME_TAGS):
            found = f"it, which begins with {names.RUN_TIME_TAGS}, as what Terraform leaves alone"
            yield Problem(f"tags.{key}", found, "another name")
        taken.setdefault(key.lower(), key)
    most = MOST_TAGS - len(names.OWN_TAGS | names.TESTSTACK_TAGS)
    if len(environment.tags) > most:
        found = f"{len(environment.tags)}, beside those that Holdfast gives"
        yield Problem("tags", found, f"at most {most}: AWS takes {MOST_TAGS} on one thing")


@_reads("cloud")
def nodes_reach_the_api(environment: Environment) -> Iterator[Problem]:
    endpoint = environment.cloud.endpoint
    loopback = endpoint is not None and endpoint.host in {"localhost", "127.0.0.1"}
    if loopback and environment.cloud.node_endpoint is None:
        found = f"nothing, and cloud.endpoint is {environment.api_endpoint}, which means another machine on a node"
        yield Problem("cloud.node_endpoint", found, "the URL by which nodes reach the same API")


@_reads("cloud.account", "cloud.permissions_boundary")
def boundary_is_of_the_account(environment: Environment) -> Iterator[Problem]:
    account, boundary = environment.cloud.account, environment.cloud.permissions_boundary
    if account is not None and boundary is not None and boundary.split(":")[4] != account:
        accepted = f"a policy of the account {account}, which cloud.account names: IAM takes no other"
        yield Problem("cloud.permissions_boundary", boundary, accepted)


def _machines(environment: Environment, role: Role) -> Iterator[tuple[Kind, MachineSpec]]:
    """The kinds of machines that have a role."""
    for kind in kinds(environment):
        if role in kind.counts:
            yield kind, environment.machines[kind.key]


def problems_of(environment: Environment, without: Collection[str] = ()) -> list[Problem]:
    """Every broken invariant, leaving out those that read a path in `without` (or a path above or below one)."""
    return [
        problem
        for invariant in INVARIANTS
        if not any(_related(read, path) for read in invariant.reads for path in without)
        for problem in invariant.check(environment)
    ]


def _related(one: str, other: str) -> bool:
    """Whether one path leads to the other or to a part of it. `*` in a path is any key."""
    return all(mine == its or "*" in (mine, its) for mine, its in zip(_keys(one), _keys(other), strict=False))


def _keys(path: str) -> list[str]:
    return re.sub(r"\[\d+\]", "", path).split(".")
