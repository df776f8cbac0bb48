"""What the plans do not show by themselves."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.ops.review.facts import Facts, Planned
from holdfast.ops.review.rules.rule import Hit, blocking, caution
from holdfast.topology.risks import Risk


@blocking(
    Risk.ENVIRONMENT_RENAMED,
    "A name is part of everything: another one makes another environment, empty, beside the old one.",
)
def environment_renamed(facts: Facts) -> Iterator[Hit]:
    if facts.new:
        for name in facts.abandoned:
            yield Hit(
                "", f"{name} exists and has no file any more, {facts.environment} is new: its data is not carried over"
            )


@caution(
    "left-behind",
    "A stack that is not synthesised any more is not destroyed by a deploy: what it made stays, and costs.",
)
def left_behind(facts: Facts) -> Iterator[Hit]:
    for stack in facts.left_behind:
        yield Hit(
            f"{facts.environment}-{stack}", "has resources in its state, and no stack of that name is synthesised"
        )


@caution(
    "elastic-ips-taken",
    "An account may have five Elastic IPs in a region until AWS grants it more: beyond that the deploy stops.",
)
def elastic_ips_taken(facts: Facts) -> Iterator[Hit]:
    addresses = facts.of_kind("aws_eip")
    before, after = sum(it.exists for it in addresses), sum(it.remains for it in addresses)
    if after > before:
        yield Hit("", f"takes {after - before} more of the region's Elastic IPs, and {after} in all")


@caution(
    "account-not-ready", "Where the account has no room, an image is gone or a name is taken, a deploy stops half done."
)
def account_not_ready(facts: Facts) -> Iterator[Hit]:
    for sentence in facts.unready:
        yield Hit("", sentence)


@caution(
    "stale-inputs",
    "A zone is planned with what its network and identity are today: once these change, its own change is larger.",
)
def stale_inputs(facts: Facts) -> Iterator[Hit]:
    for stack in facts.stacks:
        for producer in facts.stacks:
            moving = stack.reads.get(producer.name, frozenset()) & producer.moving_outputs
            if moving and stack.name.startswith("zone-"):
                what = "1 value" if len(moving) == 1 else f"{len(moving)} values"
                yield Hit(f"{facts.environment}-{stack.name}", f"reads {what} that {producer.name} replaces")


@caution(
    "not-planned",
    "What could not be planned is told from the synthesised output: arguments and hidden replacements may differ.",
)
def not_planned(facts: Facts) -> Iterator[Hit]:
    for stack in facts.stacks:
        if stack.known_from is Planned.SYNTHESIS and not facts.new:
            yield Hit(f"{facts.environment}-{stack.name}", "needs outputs that come with this very change")
