"""Who may reach whom in a VPC, as text for nftables: made of the view alone, without touching anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, fields
from ipaddress import IPv4Address, IPv4Network, collapse_addresses
from typing import NamedTuple

from holdfast.twin.view import CloudView, Instance, Interface, Mapped, Rule, Subnet, Vpc

METADATA = IPv4Address("169.254.169.254")
METADATA_PORT = 80
LINK_RESOLVER = IPv4Address("169.254.169.253")
RESOLVER_PORT = 53
INTERNET = IPv4Address("198.51.100.1")
"""Stands for everything outside of the VPCs: the cloud's APIs and the package mirrors. An address for documentation."""
API_PORT, MIRROR_PORT = 5599, 3142
INTERNET_LINK = "hf-internet"
"""The router's end of the cable to machines on the internet, where there are public addresses."""

ANYWHERE = IPv4Network("0.0.0.0/0")
HTTPS = 443


class Severed(NamedTuple):
    """Packets from one machine to another that are lost. Instance ids."""

    source: str
    target: str
    port: int | None = None
    """Only those of connections to this TCP port, of either side."""

    def reversed(self) -> Severed:
        return Severed(self.target, self.source, self.port)


class Loss(NamedTuple):
    instance: str
    percent: int


@dataclass(frozen=True)
class Cut:
    """What does not work just now. `off` machines are silent; `nodes` and `zones` have only themselves left."""

    off: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    """Instance ids, each alone."""
    zones: frozenset[tuple[str, str]] = frozenset()
    """Environment and zone, as `local`, `eu-central-1a`: an environment's own part of a zone."""
    severed: frozenset[Severed] = frozenset()
    lossy: frozenset[Loss] = frozenset()
    without_api: frozenset[str] = frozenset()
    """Instance ids: the cloud's API does not answer them."""

    def __or__(self, other: Cut) -> Cut:
        """What either of them cuts."""
        return Cut(**{one.name: getattr(self, one.name) | getattr(other, one.name) for one in fields(Cut)})

    def isolates(self, instance: Instance) -> bool:
        return instance.id in self.nodes or (instance.environment, instance.zone) in self.zones


def link(interface_id: str) -> str:
    """The router's end of an interface's cable; the kernel takes 15 characters."""
    return f"hf-{interface_id.partition('-')[2][-12:]}"


def resolvers(vpc: Vpc) -> tuple[IPv4Address, IPv4Address]:
    """Where a VPC answers for names. The first is what machines learn from their lease."""
    return vpc.cidr.network_address + 2, LINK_RESOLVER


def plugged(view: CloudView, vpc_id: str) -> list[Interface]:
    """The VPC's interfaces that are attached to an instance that still exists, in a stable order."""
    instances = {instance.id for instance in view.instances.values() if instance.state != "terminated"}
    return sorted(
        (
            interface
            for interface in view.interfaces.values()
            if interface.instance_id in instances and view.subnets[interface.subnet_id].vpc_id == vpc_id
        ),
        key=lambda interface: interface.id,
    )


def has_internet(view: CloudView, interface: Interface) -> bool:
    """Whether what is sent from its first address finds a way to the APIs and mirrors, and back.

    Through a NAT gateway; or straight through an internet gateway, where that address has a public one.
    """
    target = _way_to_internet(view.subnets[interface.subnet_id])
    nat = view.nat_gateways.get(target)
    if nat is None:
        return target.startswith("igw-") and interface.addresses[0] in {one.private for one in interface.public}
    outside = view.subnets.get(nat.subnet_id)
    return outside is not None and _way_to_internet(outside).startswith("igw-")


def holder(view: CloudView, vpc_id: str, address: IPv4Address) -> Interface | None:
    """Who has an address: VPCs may use the same ones."""
    return next((found for found in plugged(view, vpc_id) if address in found.addresses), None)


def admits_api(view: CloudView, vpc_id: str, source: IPv4Address, service: str) -> bool:
    """Whether a call from an address in a VPC finds a way to one of the cloud's APIs (`s3`, `secretsmanager`)."""
    interface = holder(view, vpc_id, source)
    if interface is None:
        return False
    subnet = view.subnets[interface.subnet_id]
    if has_internet(view, interface):
        return True
    for endpoint in view.endpoints.values():
        if (endpoint.vpc_id, endpoint.service) != (subnet.vpc_id, service):
            continue
        if not endpoint.interface and subnet.id in endpoint.subnets:
            return True
        if endpoint.interface and any(_admits(view, group, source) for group in endpoint.groups):
            return True
    return False


def ruleset(view: CloudView, vpc_id: str, cut: Cut) -> str:
    """Everything that the VPC's router filters, to be loaded at once in place of what it had."""
    interfaces = plugged(view, vpc_id)
    groups = sorted({group for interface in interfaces for group in interface.groups if group in view.groups})
    lines = ["table ip hf", "delete table ip hf", "table ip hf {"]
    for group in groups:
        lines += _chain(f"in_{group}", _group_rules(view, view.groups[group].ingress, "saddr", "accept"))
        lines += _chain(f"out_{group}", _group_rules(view, view.groups[group].egress, "daddr", "goto arrive"))
    for interface in interfaces:
        known = [group for group in interface.groups if group in view.groups]
        lines += _chain(f"in_{link(interface.id)}", [*(f"jump in_{group}" for group in known), "drop"])
        lines += _chain(f"out_{link(interface.id)}", [*(f"jump out_{group}" for group in known), "drop"])
    to, of = (_verdicts(interfaces, direction) for direction in ("in", "out"))
    names = _set(resolvers(view.vpcs[vpc_id]))
    public = [mapped for interface in interfaces for mapped in interface.public]
    published = _set(one.private for one in public)
    lines += _chain(
        "arrive",
        [
            *_internet(view, interfaces),
            *_when(to, f"oifname vmap {to}"),
            *_when(published, f"oifname {INTERNET_LINK} accept"),
            "drop",
        ],
    )
    lines += _chain("honest", _honest(interfaces))
    if public:
        lines += _translation(public)
    lines += _chain(
        "forward",
        [
            "type filter hook forward priority filter; policy drop;",
            *_off(interfaces, cut, "iifname", "oifname"),
            *_islands(view, interfaces, cut, ("iifname {0} oifname != {0} drop", "iifname != {0} oifname {0} drop")),
            *_severed(interfaces, cut),
            *_lossy(interfaces, cut, "iifname", "oifname"),
            "jump honest",
            *_when(published, f"oifname {INTERNET_LINK} ip saddr != {published} drop"),
            "ct state established,related accept",
            *_when(of, f"iifname vmap {of}"),
            *_when(published, f"iifname {INTERNET_LINK} goto arrive"),
        ],
    )
    lines += _chain(
        "input",
        [
            "type filter hook input priority filter; policy drop;",
            "iifname lo accept",
            *_off(interfaces, cut, "iifname"),
            *_islands(view, interfaces, cut, (f"iifname {{0}} ip daddr != {METADATA} drop",)),
            *_without_api(interfaces, cut),
            *_lossy(interfaces, cut, "iifname"),
            "jump honest",
            "ct state established,related accept",
            # Security groups filter neither the metadata service nor the resolver.
            f"ip daddr {METADATA} tcp dport {METADATA_PORT} accept",
            f"ip daddr {names} meta l4proto {{ tcp, udp }} th dport {RESOLVER_PORT} accept",
            *_when(of, f"ip daddr {INTERNET} iifname vmap {of}"),
        ],
    )
    lines += _chain(
        "output",
        [
            "type filter hook output priority filter; policy drop;",
            "oifname lo accept",
            *_off(interfaces, cut, "oifname"),
            *_islands(view, interfaces, cut, (f"oifname {{0}} ip saddr != {METADATA} drop",)),
            *_lossy(interfaces, cut, "oifname"),
            "ct state established,related accept",
            *_when(to, f"oifname vmap {to}"),
        ],
    )
    return "\n".join([*lines, "}", ""])


def _way_to_internet(subnet: Subnet) -> str:
    """The target of the route that wins: the most specific one."""
    found = [route for route in subnet.routes if INTERNET in route.destination]
    return max(found, key=lambda route: route.destination.prefixlen).target if found else ""


def _admits(view: CloudView, group_id: str, source: IPv4Address) -> bool:
    group = view.groups.get(group_id)
    return group is not None and any(
        rule.protocol in ("tcp", "-1")
        and (rule.from_port is None or rule.to_port is None or rule.from_port <= HTTPS <= rule.to_port)
        and any(source in network for network in _peers(view, rule))
        for rule in group.ingress
    )


def _chain(name: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"  chain {name} {{"
    yield from (f"    {rule}" for rule in rules)
    yield "  }"


def _when(needed: str, rule: str) -> list[str]:
    """nftables takes no empty set: then there is nobody whom the rule could be about."""
    return [rule] if needed else []


def _set(items: Iterable[object]) -> str:
    texts = [str(item) for item in items]
    return f"{{ {', '.join(texts)} }}" if texts else ""


def _names(interfaces: Iterable[Interface]) -> str:
    return _set(f'"{link(interface.id)}"' for interface in interfaces)


def _verdicts(interfaces: Iterable[Interface], direction: str) -> str:
    return _set(f'"{link(interface.id)}" : goto {direction}_{link(interface.id)}' for interface in interfaces)


def _peers(view: CloudView, rule: Rule) -> list[IPv4Network]:
    """Whom a rule is about: a group stands for every address of every interface in it."""
    members = (
        IPv4Network(address)
        for interface in view.interfaces.values()
        if not set(rule.groups).isdisjoint(interface.groups)
        for address in interface.addresses
    )
    return list(collapse_addresses([*rule.cidrs, *members]))


def _group_rules(view: CloudView, rules: Iterable[Rule], side: str, verdict: str) -> Iterator[str]:
    for rule in rules:
        peers = _peers(view, rule)
        if not peers:
            continue
        who = [] if ANYWHERE in peers else [f"ip {side} {_set(peers)}"]
        yield " ".join([*who, *_traffic(rule), verdict])


def _traffic(rule: Rule) -> list[str]:
    if rule.protocol == "-1":
        return []
    ports = rule.protocol in ("tcp", "udp") and rule.from_port is not None and rule.to_port is not None
    if ports and (rule.from_port, rule.to_port) not in ((-1, -1), (0, 65535)):
        return [f"{rule.protocol} dport {rule.from_port}-{rule.to_port}"]
    return [f"meta l4proto {rule.protocol}"]


def _internet(view: CloudView, interfaces: Iterable[Interface]) -> Iterator[str]:
    """Which services a call may use is decided when its signature has been read; here only whether any may be."""
    outside = [item for item in interfaces if has_internet(view, item)]
    with_endpoint = [
        item
        for item in interfaces
        if any(
            endpoint.vpc_id == view.subnets[item.subnet_id].vpc_id
            and (endpoint.interface or item.subnet_id in endpoint.subnets)
            for endpoint in view.endpoints.values()
        )
    ]
    callers = _names(dict.fromkeys([*outside, *with_endpoint]))
    browsers = _names(outside)
    yield from _when(callers, f"iifname {callers} ip daddr {INTERNET} tcp dport {API_PORT} accept")
    yield from _when(browsers, f"iifname {browsers} ip daddr {INTERNET} tcp dport {MIRROR_PORT} accept")


def _translation(public: Iterable[Mapped]) -> Iterator[str]:
    """What an internet gateway does: inside there are private addresses only, outside public ones only."""
    inwards = _set(f"{one.public} : {one.private}" for one in public)
    outwards = _set(f"{one.private} : {one.public}" for one in public)
    yield from _chain(
        "from_internet",
        [
            "type nat hook prerouting priority dstnat;",
            f"iifname {INTERNET_LINK} dnat to ip daddr map {inwards}",
        ],
    )
    yield from _chain(
        "to_internet",
        [
            "type nat hook postrouting priority srcnat;",
            f"oifname {INTERNET_LINK} snat to ip saddr map {outwards}",
        ],
    )


def _honest(interfaces: Iterable[Interface]) -> Iterator[str]:
    """The source/destination check of each interface that has not switched it off."""
    checked = [interface for interface in interfaces if interface.source_dest_check]
    names = _names(checked)
    held = _set(f'"{link(interface.id)}" . {address}' for interface in checked for address in interface.addresses)
    yield from _when(names, f"iifname {names} iifname . ip saddr != {held} drop")
    yield from _when(names, f"oifname {names} oifname . ip daddr != {held} drop")


def _of(interfaces: Iterable[Interface], instances: Collection[str]) -> str:
    return _names(interface for interface in interfaces if interface.instance_id in instances)


def _off(interfaces: Iterable[Interface], cut: Cut, *sides: str) -> Iterator[str]:
    names = _of(interfaces, cut.off)
    for side in sides:
        yield from _when(names, f"{side} {names} drop")


def _islands(view: CloudView, interfaces: list[Interface], cut: Cut, templates: Iterable[str]) -> Iterator[str]:
    """Before anything else: what is cut off loses its established connections too."""
    islands: dict[str, list[Interface]] = {}
    for interface in interfaces:
        instance = view.instances[interface.instance_id or ""]
        if cut.isolates(instance):
            island = instance.id if instance.id in cut.nodes else instance.zone
            islands.setdefault(island, []).append(interface)
    for _, members in sorted(islands.items()):
        yield from (template.format(_names(members)) for template in templates)


def _severed(interfaces: list[Interface], cut: Cut) -> Iterator[str]:
    for way in sorted(cut.severed, key=str):
        source, target = (_of(interfaces, {instance_id}) for instance_id in (way.source, way.target))
        if source and target:
            # Whoever of the two began the connection.
            which = [""] if way.port is None else [f"tcp {end} {way.port} " for end in ("dport", "sport")]
            yield from (f"iifname {source} oifname {target} {match}drop" for match in which)


def _lossy(interfaces: list[Interface], cut: Cut, *sides: str) -> Iterator[str]:
    for loss in sorted(cut.lossy):
        names = _of(interfaces, {loss.instance})
        for side in sides:
            yield from _when(names, f"{side} {names} numgen random mod 100 < {loss.percent} drop")


def _without_api(interfaces: list[Interface], cut: Cut) -> Iterator[str]:
    """Not refused: a cloud that is in trouble does not answer."""
    names = _of(interfaces, cut.without_api)
    yield from _when(names, f"iifname {names} ip daddr {INTERNET} tcp dport {API_PORT} drop")
