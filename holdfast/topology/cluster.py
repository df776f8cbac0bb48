"""Names, zones and addresses of an environment's nodes, by arithmetic: the same file always gives the same answer."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network

from holdfast.topology import ports
from holdfast.topology.layouts import Kind, kinds
from holdfast.topology.spec import Environment, MachineSpec, Role, TlsMode

NETWORK_PARTS = 16
"""The network is cut into 16 subnets: zone a..h has part 0..7 for its nodes and part 8..15 for NAT or VPC endpoints."""

RESERVED_HEAD = 4
"""A subnet's first four addresses belong to AWS (network, router, DNS, future use), and its last one."""

ADDRESSES_PER_SLOT = 3
"""Primary, leader endpoint, replica endpoint. A machine that is no gateway leaves the last two free."""

SENTINEL_VOLUME_GIB = 1
"""The smallest there is: a Sentinel keeps its votes and epochs, a few kilobytes."""


@dataclass(frozen=True)
class Zone:
    """One failure domain: an availability zone with its two subnets, or with one that was there already."""

    letter: str
    name: str
    nodes_cidr: IPv4Network
    service_cidr: IPv4Network | None
    """For NAT gateways or VPC endpoints; None in a VPC that was there already, which has its own."""
    first: IPv4Address
    """From which on nodes have their addresses."""


@dataclass(frozen=True)
class Volume:
    """What outlives a machine's disk: `id` is the UUID of its file system, by which it is mounted."""

    id: str
    gib: int


@dataclass(frozen=True)
class Node:
    """One machine slot. All of it is stable through replacement of the machine and through scale-out."""

    name: str
    zone: Zone
    roles: frozenset[Role]
    machine: MachineSpec
    address: IPv4Address
    leader_endpoint: IPv4Address | None
    """HAProxy's, as `replica_endpoint`: both None where this is no gateway."""
    replica_endpoint: IPv4Address | None
    sentinel_id: str
    """`sentinel myid`: 40 hexadecimal digits."""
    volume: Volume | None
    """None where it is only a gateway, which keeps nothing."""

    @property
    def endpoints(self) -> dict[str, IPv4Address]:
        """`leader` and `replica` → HAProxy's address; empty where this is no gateway."""
        found = {"leader": self.leader_endpoint, "replica": self.replica_endpoint}
        return {kind: address for kind, address in found.items() if address is not None}

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """Every address of the interface, the primary first."""
        return (self.address, *self.endpoints.values())


@dataclass(frozen=True)
class Floating:
    """A pair of addresses outside of the network: route tables lead them to whichever gateway is elected."""

    leader: IPv4Address
    replica: IPv4Address

    @property
    def addresses(self) -> tuple[IPv4Address, IPv4Address]:
        return self.leader, self.replica


@dataclass(frozen=True)
class Cluster:
    """An environment worked out: its zones and nodes in order."""

    environment: Environment
    zones: tuple[Zone, ...]
    nodes: tuple[Node, ...]

    @classmethod
    def of(cls, environment: Environment) -> Cluster:
        """Lay out a valid environment (see `holdfast.topology.load`)."""
        zones = tuple(_zone(environment, letter) for letter in environment.zones)
        nodes = tuple(
            _node(environment, zones, kind, index) for kind in kinds(environment) for index in range(kind.count)
        )
        return cls(environment=environment, zones=zones, nodes=nodes)

    @cached_property
    def slots(self) -> tuple[Node, ...]:
        """Every node that the layout can grow to, with every role that it can have."""
        grown = [(kind, index) for kind in kinds(self.environment) for index in range(kind.most)]
        return tuple(
            _node(self.environment, self.zones, replace(kind, counts=dict.fromkeys(kind.counts, kind.most)), index)
            for kind, index in grown
        )

    @property
    def floating(self) -> Floating | None:
        network = self.environment.floating
        return Floating(network[0], network[1]) if network is not None else None

    @property
    def elects(self) -> bool:
        """Whether there is, or can be, more than one gateway to choose the floating pair's holder from."""
        return self.floating is not None and len(self.slots_having(Role.GATEWAY)) > 1

    @property
    def quorum(self) -> int:
        """A majority of the Sentinels."""
        return len(self.having(Role.SENTINEL)) // 2 + 1

    def having(self, role: Role) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if role in node.roles)

    def slots_having(self, role: Role) -> tuple[Node, ...]:
        return tuple(node for node in self.slots if role in node.roles)

    def shared(self, zone: Zone) -> bool:
        """Whether two nodes are in the zone, or can be once the layout has grown: then they are placed apart there.

        By what it can grow to: a machine comes to a placement group, and leaves one, only by being replaced.
        """
        return sum(slot.zone == zone for slot in self.slots) > 1

    def nodes_in(self, zone: Zone) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.zone == zone)

    def node(self, name: str) -> Node:
        """The node of that name.

        Raises:
            KeyError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    @property
    def endpoint_port(self) -> int:
        """Where clients come to the endpoints: with TLS where there is any."""
        return ports.TLS_ENDPOINT if self.environment.tls.on else ports.ENDPOINT

    @property
    def plaintext_port(self) -> int | None:
        """Where clients may come to the endpoints without TLS."""
        return None if self.environment.tls.mode is TlsMode.REQUIRED else ports.ENDPOINT


def _zone(environment: Environment, letter: str) -> Zone:
    network, name = environment.network, environment.region + letter
    if network.vpc is not None:
        subnet = network.vpc.subnets[letter]
        return Zone(letter, name, subnet.cidr, None, first=subnet.block.network_address)
    parts, ordinal = list(network.cidr.subnets(prefixlen_diff=4)), ord(letter) - ord("a")
    nodes, service = parts[ordinal], parts[NETWORK_PARTS // 2 + ordinal]
    return Zone(letter, name, nodes, service, first=nodes.network_address + RESERVED_HEAD)


def _node(environment: Environment, zones: tuple[Zone, ...], kind: Kind, index: int) -> Node:
    zone, slot = zones[index % len(zones)], index // len(zones)
    name = "-".join(part for part in (environment.name, kind.label, f"{zone.letter}{slot + 1}") if part)
    first = zone.first + ADDRESSES_PER_SLOT * (kind.first_slot + slot)
    identity = f"holdfast/{environment.name}/{name}"
    roles = kind.roles_of(index)
    machine = environment.machines[kind.key]
    return Node(
        name=name,
        zone=zone,
        roles=roles,
        machine=machine,
        address=first,
        leader_endpoint=first + 1 if Role.GATEWAY in roles else None,
        replica_endpoint=first + 2 if Role.GATEWAY in roles else None,
        sentinel_id=hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest(),
        volume=_volume(environment, machine, roles, identity),
    )


def _volume(environment: Environment, machine: MachineSpec, roles: frozenset[Role], identity: str) -> Volume | None:
    if roles <= {Role.GATEWAY}:
        return None
    gib = SENTINEL_VOLUME_GIB
    if Role.DATA in roles:
        gib = machine.data_volume_gib or max(4, -(-4 * environment.redis.memory // 1024))
    return Volume(id=str(uuid.uuid5(uuid.NAMESPACE_URL, identity)), gib=gib)
