"""How clients reach the cluster, and who else does."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.ops.review import reach
from holdfast.ops.review.facts import Action, Facts, text
from holdfast.ops.review.nodes import nodes, public_addresses
from holdfast.ops.review.rules.rule import Hit, blocking, caution
from holdfast.topology.risks import Risk


@blocking(
    Risk.ADDRESS_CHANGED,
    "Clients and peers know nodes and endpoints by address: those that keep the old one connect to nobody.",
)
def address_changed(facts: Facts) -> Iterator[Hit]:
    for node in nodes(facts):
        before = node.before.addresses if node.before else ()
        after = node.after.addresses if node.after else ()
        if node.after and after[: len(before)] != before:
            yield Hit(node.path, f"{', '.join(before)} become {', '.join(after) or 'addresses not yet known'}")
        if not node.after and (endpoints := before[1:]):
            yield Hit(node.path, f"{' and '.join(endpoints)}, its endpoints, go with {node.name}")
    for zone in facts.of_kind("aws_route53_zone"):
        if zone.destroyed:
            yield Hit(zone.path, f"the names under {text(zone.before.get('name'))} are no more")
    given_back = [address for address in public_addresses(facts) if address.destroyed]
    for address in given_back:
        which = text(address.before.get("public_ip")) or f"public address {address.name}"
        yield Hit(address.path, f"{which} is given back, and nobody gets it again")
    for association in facts.of_kind("aws_eip_association"):
        if association.destroyed and association.stack not in {address.stack for address in given_back}:
            yield Hit(association.path, "the public address leads to nobody, until it is associated anew")


@blocking(Risk.OPENED_TO_THE_WORLD, "Redis is not made to be reached from the internet: one leaked password is enough.")
def opened_to_the_world(facts: Facts) -> Iterator[Hit]:
    for way in reach.compare(facts).opened:
        if way.inward and way.public and not (way.listed and _are_public(facts)):
            yield Hit(way.path, str(way))


@caution("published", "Whoever is there may try: what stands before Redis is TLS and a password, or a certificate too.")
def published(facts: Facts) -> Iterator[Hit]:
    if not _are_public(facts):
        return
    changed = reach.compare(facts)
    comes = any(not address.exists for address in public_addresses(facts))
    for way in changed.remaining if comes else changed.opened:
        if way.listed:
            yield Hit(way.path, str(way))


def _are_public(facts: Facts) -> bool:
    """Whether endpoints have public addresses after the change."""
    return any(address.remains for address in public_addresses(facts))


@blocking(
    Risk.INTERNET_GATEWAY_IN_USE,
    "EC2 keeps an internet gateway that addresses lead through: the network comes first, and its deploy would fail.",
)
def internet_gateway_in_use(facts: Facts) -> Iterator[Hit]:
    used = any(address.exists for address in public_addresses(facts))
    for gateway in facts.of_kind("aws_internet_gateway"):
        if gateway.destroyed and used and gateway.stack == "network":
            yield Hit(gateway.path, "first `network.public: false` alone, and another deploy for the rest")


@blocking(
    Risk.NETWORK_SWITCHED,
    "An interface never leaves its network, nor a network before its interfaces: the deploy would stop there, "
    "half done.",
)
def network_switched(facts: Facts) -> Iterator[Hit]:
    networks, blocks = facts.of_kind("aws_vpc"), facts.of_kind("aws_ec2_subnet_cidr_reservation")
    for network in networks:
        if network.destroyed and network.stack == "network":
            yield Hit(network.path, "the network goes: make another environment in the new one, and move the data")
    comes = any(network.action is Action.CREATE for network in networks)
    for block in blocks:
        if block.destroyed and (comes or block.remains):
            yield Hit(
                block.path, "the nodes' addresses are elsewhere: make another environment there, and move the data"
            )


@caution("opened", "Somebody who could not reach this before can reach it now.")
def opened(facts: Facts) -> Iterator[Hit]:
    for way in reach.compare(facts).opened:
        if way.inward and not way.public and not facts.new:
            yield Hit(way.path, str(way))


@caution("closed", "Clients there lose their connections when the network stack is applied, before any node changes.")
def closed(facts: Facts) -> Iterator[Hit]:
    for way in reach.compare(facts).closed:
        if way.inward:
            yield Hit(way.path, f"no more: {way}")
