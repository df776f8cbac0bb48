"""The twin's network: a router per VPC, a cable per interface, kept as the view of the cloud says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NamedTuple

from holdfast.twin import netns, outside
from holdfast.twin.rules import INTERNET, INTERNET_LINK, METADATA, Cut, link, plugged, resolvers, ruleset
from holdfast.twin.run import CommandFailed, run
from holdfast.twin.view import CloudView, Interface, Subnet, Vpc

FIRST_TABLE = 100
"""Routing table, and priority of the rules that lead to it, of a VPC's first subnet."""
FIRST_INTERNET_TABLE = 33_000
"""The same of its ways to the internet: after the main table, for what is inside goes before."""
MAX_SUBNETS = 200

ROUTER_SETTINGS = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv4/conf/default/proxy_arp": "1",
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
}
LIBERAL = Path("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal")


class Key(NamedTuple):
    table: int
    destination: IPv4Network


@dataclass
class Router:
    """What a VPC's router has been given so far."""

    namespace: str
    cables: dict[str, str] = field(default_factory=dict)
    """Interface id → instance id."""
    local: set[IPv4Address] = field(default_factory=set)
    routes: dict[Key, str] = field(default_factory=dict)
    selectors: set[tuple[str, int]] = field(default_factory=set)
    """Traffic from this cable looks into this routing table first."""
    filter: str = ""
    public: frozenset[IPv4Address] = frozenset()
    """Addresses that lead here from the internet. Without any there is no cable to it."""


def gateway(subnet: Subnet) -> IPv4Address:
    """The router's address in a subnet."""
    return subnet.cidr.network_address + 1


class Fabric:
    """Not for several threads at once, apart from `routers`."""

    def __init__(self) -> None:
        self.routers: dict[str, Router] = {}
        """VPC id → its router."""
        self._unsure: set[str] = set()
        """VPCs whose router may have something else than what was noted: a change of it failed half-way."""

    def apply(self, view: CloudView, cut: Cut) -> None:
        """Change what differs from last time; a few milliseconds for each router that something changed in.

        Raises:
            CommandFailed: a router could not be changed; the others were. The next call sets that one anew.
        """
        failures = []
        for vpc_id in self.routers.keys() - view.vpcs.keys():
            self._remove(vpc_id)
        for vpc_id in view.vpcs:
            try:
                self._follow(view, vpc_id, cut)
            except CommandFailed as error:
                self._unsure.add(vpc_id)
                failures.append(error)
        if failures:
            raise failures[0]

    def _follow(self, view: CloudView, vpc_id: str, cut: Cut) -> None:
        interfaces = plugged(view, vpc_id)
        if vpc_id not in self.routers or vpc_id in self._unsure:
            self.routers = self.routers | {vpc_id: self._make(view.vpcs[vpc_id])}
            self._unsure.discard(vpc_id)
        router = self.routers[vpc_id]
        self._filter(router, ruleset(view, vpc_id, cut))
        self._plug(router, view, interfaces)
        self._publish(router, vpc_id, interfaces)
        self._route(router, view, vpc_id, interfaces)

    def renew(self, instance_id: str) -> None:
        """Take a machine that is off from the network with everything it had open; `apply` gives it a fresh one."""
        for router in self.routers.values():
            for interface_id, owner in list(router.cables.items()):
                if owner == instance_id:
                    self._unplug(router, interface_id)
        netns.delete(netns.name_of(instance_id))

    def _make(self, vpc: Vpc) -> Router:
        router = Router(netns.name_of(vpc.id))
        if netns.exists(router.namespace):
            # Cables are kept for the machines that run on, all else is set anew.
            router.cables = _cables(router.namespace)
            _forget(router.namespace)
        netns.create(router.namespace)
        netns.call(router.namespace, lambda: _set_up(METADATA, INTERNET, *resolvers(vpc)))
        return router

    def _remove(self, vpc_id: str) -> None:
        router = self.routers[vpc_id]
        self.routers = {key: value for key, value in self.routers.items() if key != vpc_id}
        self._unsure.discard(vpc_id)
        for interface_id in list(router.cables):
            self._unplug(router, interface_id)
        outside.disconnect(router.namespace)
        netns.delete(router.namespace)

    def _filter(self, router: Router, text: str) -> None:
        if text != router.filter:
            netns.call(router.namespace, lambda: run(["nft", "-f", "-"], input=text))
            router.filter = text

    def _plug(self, router: Router, view: CloudView, interfaces: list[Interface]) -> None:
        wanted = {interface.id: interface.instance_id or "" for interface in interfaces}
        for interface_id, owner in list(router.cables.items()):
            if wanted.get(interface_id) != owner:
                self._unplug(router, interface_id)
        for interface in interfaces:
            if interface.id not in router.cables:
                try:
                    _connect(router, view, interface)
                except CommandFailed:
                    # Half a cable would be in the way of the next attempt.
                    netns.ip(router.namespace, [f"link delete {link(interface.id)}"], force=True)
                    raise

    def _unplug(self, router: Router, interface_id: str) -> None:
        name = link(interface_id)
        owner = router.cables.pop(interface_id)
        netns.ip(router.namespace, [f"link delete {name}"], force=True)
        # What led to it went with it.
        router.routes = {key: how for key, how in router.routes.items() if name not in how.split()}
        gone = {selector for selector in router.selectors if selector[0] == name}
        netns.ip(router.namespace, [_selector("delete", *selector) for selector in gone], force=True)
        router.selectors -= gone
        if owner not in router.cables.values():
            netns.delete(netns.name_of(owner))

    def _publish(self, router: Router, vpc_id: str, interfaces: list[Interface]) -> None:
        """Before the routes, of which some lead over the cable that this lays."""
        wanted = frozenset(mapped.public for interface in interfaces for mapped in interface.public)
        if wanted and not router.public:
            outside.connect(router.namespace, link(vpc_id))
        if wanted:
            outside.lead(link(vpc_id), router.public, wanted)
        elif router.public:
            outside.disconnect(router.namespace)
            router.routes = {key: how for key, how in router.routes.items() if how != outside.WAY_OUT}
        router.public = wanted

    def _route(self, router: Router, view: CloudView, vpc_id: str, interfaces: list[Interface]) -> None:
        subnets = sorted((s for s in view.subnets.values() if s.vpc_id == vpc_id), key=lambda s: s.cidr)
        # Those two first: the kernel asks for machines' hardware addresses in the name of the first.
        local = {gateway(subnet) for subnet in subnets}
        numbers = {subnet.id: number for number, subnet in enumerate(subnets[:MAX_SUBNETS])}
        routes = _routes(view, interfaces, subnets, numbers)
        if router.public:
            routes |= _ways_out(subnets, numbers)
        used = {key.table for key in routes}
        selectors = {
            (link(interface.id), first + numbers[interface.subnet_id])
            for interface in interfaces
            for first in (FIRST_TABLE, FIRST_INTERNET_TABLE)
            if first + numbers[interface.subnet_id] in used
        }
        gone = [key for key in router.routes if key not in routes]
        changed = {key: how for key, how in routes.items() if router.routes.get(key) != how}
        netns.ip(
            router.namespace,
            [
                *(f"address add {address}/32 dev lo" for address in sorted(local - router.local)),
                *(f"address delete {address}/32 dev lo" for address in sorted(router.local - local)),
                *(f"route delete {key.destination} table {key.table}" for key in gone),
                *(f"route replace {key.destination} {how} table {key.table}" for key, how in changed.items()),
                *(_selector("delete", *selector) for selector in router.selectors - selectors),
                *(_selector("add", *selector) for selector in selectors - router.selectors),
            ],
        )
        router.local, router.routes, router.selectors = local, routes, selectors


def sweep() -> list[str]:
    """Remove every namespace of the twin with its cables, whoever made it; return their names."""
    found = netns.names()
    for namespace in found:
        cables = [INTERNET_LINK, *map(link, _cables(namespace))]
        netns.ip(namespace, [f"link delete {cable}" for cable in cables], force=True)
        netns.delete(namespace)
    return found


MAIN = 254


def _routes(
    view: CloudView, interfaces: list[Interface], subnets: list[Subnet], numbers: dict[str, int]
) -> dict[Key, str]:
    """Each address leads to the interface that has it, whatever its machine says; overlay routes by subnet."""
    routes: dict[Key, str] = {}
    ways: dict[str, str] = {}
    for interface in interfaces:
        # By way of the primary address, whose hardware address is known: nobody is asked, as in EC2.
        ways[interface.id] = f"via {interface.addresses[0]} dev {link(interface.id)} onlink"
        source = gateway(view.subnets[interface.subnet_id])
        for address in interface.addresses:
            routes[Key(MAIN, IPv4Network(address))] = f"{ways[interface.id]} src {source}"
    for subnet in subnets:
        for route in subnet.routes:
            if route.target in ways:
                routes[Key(FIRST_TABLE + numbers[subnet.id], route.destination)] = ways[route.target]
    return routes


def _ways_out(subnets: list[Subnet], numbers: dict[str, int]) -> dict[Key, str]:
    """To the internet, of each subnet whose table has such a route: without one, nothing goes back there."""
    return {
        Key(FIRST_INTERNET_TABLE + numbers[subnet.id], route.destination): outside.WAY_OUT
        for subnet in subnets
        for route in subnet.routes
        if route.target.startswith("igw-")
    }


def _connect(router: Router, view: CloudView, interface: Interface) -> None:
    subnet = view.subnets[interface.subnet_id]
    owner = interface.instance_id or ""
    machine = netns.name_of(owner)
    name, inside = link(interface.id), f"eth{interface.device_index or 0}"
    primary = interface.addresses[0]
    netns.create(machine)
    netns.ip(
        router.namespace,
        [
            f"link add {name} type veth peer name {inside} address {interface.mac} netns {machine}",
            f'link set {name} alias "{interface.id} {owner}"',
            f"link set {name} up",
            f"neighbour replace {primary} lladdr {interface.mac} dev {name} nud permanent",
        ],
    )
    # As cloud-init has the distributions' images do it: all secondary addresses, in the order of their text, then the
    # lease, with the primary one and a default route that has it as source. So the kernel speaks as a secondary address
    # within the subnet and to its own machine, and as the primary one elsewhere.
    addresses = [*sorted(map(str, interface.addresses[1:])), str(primary)]
    out = f"route replace default via {gateway(subnet)} dev {inside} src {primary}"
    default = [out] if not interface.device_index else []
    # Else the kernel waits up to 0.8 s before it answers for somebody else.
    netns.call(router.namespace, lambda: _set(f"ipv4/neigh/{name}/proxy_delay", "0"))
    netns.ip(
        machine,
        [
            "link set lo up",
            *(f"address add {address}/{subnet.cidr.prefixlen} dev {inside}" for address in addresses),
            f"link set {inside} up",
            *default,
        ],
    )
    router.cables[interface.id] = owner


def _set(name: str, value: str) -> None:
    Path("/proc/sys/net", name).write_text(value, encoding="ascii")


def _set_up(*services: IPv4Address) -> None:
    """Settings, and the addresses at which the router itself has something to offer."""
    for name, value in ROUTER_SETTINGS.items():
        _set(name, value)
    # Scope host: these never become the source of what the router itself says.
    addresses = "".join(f"address replace {address}/32 dev lo scope host\n" for address in services)
    run(["ip", "-batch", "-"], input=f"link set lo up\n{addresses}")
    run(["nft", "-f", "-"], input="table ip hf { chain warm { ct state established accept; }; }")
    if LIBERAL.exists():
        # Which packets belong to a connection is the machines' business; filtered is who may begin one.
        LIBERAL.write_text("1", encoding="ascii")


def _forget(namespace: str) -> None:
    listing = netns.call(namespace, lambda: run(["ip", "-json", "-N", "rule"]))
    priorities = [int(rule["priority"]) for rule in json.loads(listing)]
    firsts = (FIRST_TABLE, FIRST_INTERNET_TABLE)
    ours = [number for number in priorities if any(0 <= number - first < MAX_SUBNETS for first in firsts)]
    tables = [*sorted(set(ours)), MAIN]
    commands = [*(f"rule delete priority {number}" for number in ours), *(f"route flush table {n}" for n in tables)]
    # A table that has no routes is an error to the kernel.
    netns.ip(namespace, [*commands, "address flush dev lo scope global", f"link delete {INTERNET_LINK}"], force=True)


def _cables(namespace: str) -> dict[str, str]:
    """Interface id → instance id, as `_connect` wrote it on each cable."""
    labels = [cable.get("ifalias", "") for cable in netns.links(namespace)]
    return dict(label.split(" ", 1) for label in labels if " " in label)


def _selector(verb: str, name: str, table: int) -> str:
    return f"rule {verb} iif {name} priority {table} table {table}"
