"""Who may reach whom, by the rules of the security groups, before and after a change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from holdfast.ops.review.facts import Facts, Resource, Values, text
from holdfast.topology import ports, ranges

INGRESS, EGRESS = "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"

SERVICES = {
    ports.ENDPOINT: "the leader and replica endpoints",
    ports.TLS_ENDPOINT: "the leader and replica endpoints, with TLS",
    ports.REDIS: "Redis itself",
    ports.SENTINEL: "Sentinel",
    ports.STATS: "HAProxy's statistics",
}

Network = IPv4Network | IPv6Network

ANYWHERE = ("0.0.0.0/0", "::/0")
PRIVATE = (*ranges.PRIVATE, ip_network("fc00::/7"))


@dataclass(frozen=True)
class Way:
    """One allowed way. `network` is None where the other side is no range but, say, another group: `other` names it."""

    inward: bool
    protocol: str
    first_port: int
    last_port: int
    network: Network | None
    other: str
    path: str

    @property
    def ports(self) -> str:
        if self.first_port == self.last_port:
            service = SERVICES.get(self.first_port) if self.inward else None
            return f"port {self.first_port}" + (f" ({service})" if service else "")
        return f"ports {self.first_port} to {self.last_port}" if self.first_port >= 0 else "every port"

    @property
    def public(self) -> bool:
        """Addresses outside of the private ranges may come."""
        return self.network is not None and not any(_within(self.network, private) for private in PRIVATE)

    @property
    def listed(self) -> bool:
        """As an environment with public addresses lets somebody on the internet in: with TLS, and not everybody."""
        tls = self.protocol == "tcp" and self.first_port == self.last_port == ports.TLS_ENDPOINT
        bounded = isinstance(self.network, IPv4Network) and self.network.prefixlen >= ranges.WIDEST
        return self.inward and self.public and tls and bounded

    def __str__(self) -> str:
        who = str(self.network or f"a security group ({self.other})")
        who = f"the whole internet ({who})" if who in ANYWHERE else who
        return f"{who} may reach {self.ports}" if self.inward else f"nodes may reach {self.ports} of {who}"


@dataclass(frozen=True)
class Reach:
    opened: tuple[Way, ...]
    closed: tuple[Way, ...]
    remaining: tuple[Way, ...]
    """Every way after the change."""


def compare(facts: Facts) -> Reach:
    """Ways that no rule allowed before, and ways that none allows after."""
    rules = facts.of_kind(INGRESS, EGRESS)
    before = [_way(rule, rule.before) for rule in rules if rule.exists]
    after = [_way(rule, rule.after) for rule in rules if rule.remains]
    return Reach(
        opened=tuple(way for way in after if not _covered(way, before)),
        closed=tuple(way for way in before if not _covered(way, after)),
        remaining=tuple(after),
    )


def _covered(way: Way, by: Iterable[Way]) -> bool:
    wider = [
        other
        for other in by
        if (other.inward, other.protocol) == (way.inward, way.protocol)
        and other.first_port <= way.first_port
        and way.last_port <= other.last_port
    ]
    if way.network is None:
        return any(other.network is None and other.other == way.other for other in wider)
    return any(_within(way.network, other.network) for other in wider if other.network is not None)


def _within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _way(rule: Resource, values: Values) -> Way:
    protocol = text(values.get("ip_protocol"))
    everything = protocol == "-1"
    return Way(
        inward=rule.kind == INGRESS,
        protocol=protocol,
        first_port=-1 if everything else _port(values.get("from_port")),
        last_port=65535 if everything else _port(values.get("to_port")),
        network=_network(values.get("cidr_ipv4") or values.get("cidr_ipv6")),
        other=text(values.get("description")) or "another group",
        path=rule.path,
    )


def _network(value: Any) -> Network | None:
    return ip_network(value) if isinstance(value, str) else None


def _port(value: Any) -> int:
    return value if isinstance(value, int) else 0
