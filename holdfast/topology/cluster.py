"""Names, zones and addresses of an environment's nodes, by arithmetic: the same file always gives the same answer."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network

from holdfast.topology import ports
from holdfast.topology.spec import Environment, MachineSpec

NETWORK_PARTS = 16
"""The network is cut into 16 subnets: zone a..h has part 0..7 for its nodes and part 8..15 for NAT or VPC endpoints."""

RESERVED_HEAD = 4
"""A subnet's first four addresses belong to AWS (network, router, DNS, future use), and its last one."""

ADDRESSES_PER_NODE = 3
"""Primary, leader endpoint, replica endpoint."""

MAXIMUM_NODES = 5
"""The most nodes that the layout has. Every machine knows all of these slots by arithmetic, deployed or not, so that
adding nodes does not change the user-data of the others."""


class Role(StrEnum):
    """What a machine runs. A `compact` node has all three."""

    DATA = "data"
    SENTINEL = "sentinel"
    GATEWAY = "gateway"


@dataclass(frozen=True)
class Zone:
    """One failure domain: an availability zone with its two subnets."""

    letter: str
    name: str
    nodes_cidr: IPv4Network
    service_cidr: IPv4Network


@dataclass(frozen=True)
class Node:
    """One machine slot. All of it is stable through replacement of the machine and through scale-out."""

    name: str
    zone: Zone
    roles: frozenset[Role]
    machine: MachineSpec
    address: IPv4Address
    leader_endpoint: IPv4Address
    replica_endpoint: IPv4Address
    sentinel_id: str
    """`sentinel myid`: 40 hexadecimal digits."""
    volume_id: str
    """UUID of the data volume's file system, by which it is mounted."""

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """Every address of the interface, the primary first."""
        return (self.address, self.leader_endpoint, self.replica_endpoint)


@dataclass(frozen=True)
class Cluster:
    """An environment worked out: its zones and nodes in order."""

    environment: Environment
    zones: tuple[Zone, ...]
    nodes: tuple[Node, ...]

    @classmethod
    def of(cls, environment: Environment) -> Cluster:
        """Lay out a valid environment (see `holdfast.topology.load`)."""
        parts = list(environment.network.cidr.subnets(prefixlen_diff=4))
        zones = tuple(_zone(environment, letter, parts) for letter in environment.zones)
        nodes = tuple(_node(environment, zones, index) for index in range(environment.layout.nodes))
        return cls(environment=environment, zones=zones, nodes=nodes)

    @cached_property
    def slots(self) -> tuple[Node, ...]:
        """Every node that the layout can grow to, the present ones first."""
        return tuple(_node(self.environment, self.zones, index) for index in range(MAXIMUM_NODES))

    @property
    def quorum(self) -> int:
        """Sentinels that must agree that the leader is down: a majority."""
        return sum(Role.SENTINEL in node.roles for node in self.nodes) // 2 + 1

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
        return ports.ENDPOINT


def _zone(environment: Environment, letter: str, parts: list[IPv4Network]) -> Zone:
    ordinal = ord(letter) - ord("a")
    return Zone(
        letter=letter,
        name=environment.region + letter,
        nodes_cidr=parts[ordinal],
        service_cidr=parts[NETWORK_PARTS // 2 + ordinal],
    )


def _node(environment: Environment, zones: tuple[Zone, ...], index: int) -> Node:
    zone, slot = zones[index % len(zones)], index // len(zones)
    name = f"{environment.name}-{zone.letter}{slot + 1}"
    first = zone.nodes_cidr.network_address + RESERVED_HEAD + ADDRESSES_PER_NODE * slot
    identity = f"holdfast/{environment.name}/{name}"
    return Node(
        name=name,
        zone=zone,
        roles=frozenset(Role),
        machine=environment.machines.node,
        address=first,
        leader_endpoint=first + 1,
        replica_endpoint=first + 2,
        sentinel_id=hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest(),
        volume_id=str(uuid.uuid5(uuid.NAMESPACE_URL, identity)),
    )
