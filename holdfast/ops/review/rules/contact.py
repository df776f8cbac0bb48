"""How clients reach the cluster, and who else does."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.ops.review import reach
from holdfast.ops.review.facts import Facts, text
from holdfast.ops.review.nodes import nodes
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


@blocking(Risk.OPENED_TO_THE_WORLD, "Redis is not made to be reached from the internet: one leaked password is enough.")
def opened_to_the_world(facts: Facts) -> Iterator[Hit]:
    for way in reach.compare(facts).opened:
        if way.inward and way.public:
            yield Hit(way.path, str(way))


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
