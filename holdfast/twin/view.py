"""What the twin's API knows, as one immutable value: the reconciler reads this and nothing else of the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple


@dataclass(frozen=True)
class Rule:
    """One allowed flow of a security group. `protocol` is `tcp`, `udp`, `icmp` or `-1` (all); ports are inclusive."""

    protocol: str
    from_port: int | None
    to_port: int | None
    cidrs: tuple[IPv4Network, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class SecurityGroup:
    id: str
    vpc_id: str
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


@dataclass(frozen=True)
class Route:
    """`target` is `local`, or the id of a NAT gateway, internet gateway, interface or gateway endpoint."""

    destination: IPv4Network
    target: str


@dataclass(frozen=True)
class Subnet:
    id: str
    vpc_id: str
    cidr: IPv4Network
    zone: str
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class Vpc:
    id: str
    cidr: IPv4Network
    dns_support: bool = True
    """Whether it has a resolver."""
    dns_hostnames: bool = False
    """Whether that resolver answers for private zones, too."""


@dataclass(frozen=True)
class NatGateway:
    id: str
    subnet_id: str


@dataclass(frozen=True)
class Endpoint:
    """A VPC endpoint. `service` is the short name (`s3`, `secretsmanager`).

    `subnets`: where an interface endpoint has addresses, or whose route tables a gateway endpoint is in.
    """

    id: str
    vpc_id: str
    service: str
    subnets: frozenset[str]
    interface: bool
    groups: tuple[str, ...] = ()


class Mapped(NamedTuple):
    """A public address, and the private one that it leads to."""

    public: IPv4Address
    private: IPv4Address


@dataclass(frozen=True)
class Interface:
    """`addresses`: the primary first. `device_index` is meaningful only while `instance_id` is set."""

    id: str
    subnet_id: str
    mac: str
    addresses: tuple[IPv4Address, ...]
    groups: tuple[str, ...]
    source_dest_check: bool
    instance_id: str | None
    device_index: int | None = None
    tags: tuple[tuple[str, str], ...] = ()
    public: tuple[Mapped, ...] = ()


@dataclass(frozen=True)
class Attachment:
    volume_id: str
    device: str


@dataclass(frozen=True)
class Volume:
    id: str
    zone: str
    size_gib: int


@dataclass(frozen=True)
class Instance:
    """`state` is EC2's: pending, running, stopping, stopped, shutting-down, terminated. `reboots` counts requests."""

    id: str
    name: str
    state: str
    type: str
    memory: int
    """MiB."""
    zone: str
    image_id: str
    user_data: bytes
    role: str | None
    metadata_tokens: str
    interfaces: tuple[str, ...]
    attachments: tuple[Attachment, ...]
    tags: tuple[tuple[str, str], ...] = ()
    reboots: int = 0

    @property
    def environment(self) -> str | None:
        """Whose node it is, by its tags; None of a machine that is nobody's."""
        return dict(self.tags).get("Environment")


@dataclass(frozen=True)
class Image:
    """One that was taken of a machine of the twin. `state` is EC2's: pending, available, failed."""

    id: str
    state: str
    instance_id: str


class Records(NamedTuple):
    """A record set: `ttl` in seconds, `values` as Route 53 takes them."""

    ttl: int
    values: tuple[str, ...]


@dataclass(frozen=True)
class PrivateZone:
    name: str
    vpcs: frozenset[str]
    """The networks that see it."""
    records: dict[tuple[str, str], Records]
    """By name and type, as `leader.local.holdfast.internal` and `A`: in lower case, without a dot at the end."""


@dataclass(frozen=True)
class CloudView:
    account: str
    region: str
    vpcs: dict[str, Vpc] = field(default_factory=dict)
    subnets: dict[str, Subnet] = field(default_factory=dict)
    groups: dict[str, SecurityGroup] = field(default_factory=dict)
    interfaces: dict[str, Interface] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    nat_gateways: dict[str, NatGateway] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    private_zones: tuple[PrivateZone, ...] = ()
    images: dict[str, Image] = field(default_factory=dict)
