"""The nodes together: zones, majority, versions of Redis, restarts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from holdfast.ops.review import reach
from holdfast.ops.review.facts import Facts, Resource
from holdfast.ops.review.nodes import Fate, Node, having, nodes, taken_together
from holdfast.ops.review.rules.rule import Hit, blocking, caution
from holdfast.ops.review.user_data import HAPROXY_CFG, IDENTITY
from holdfast.topology import ports
from holdfast.topology.risks import Risk
from holdfast.topology.spec import IN_PLAINTEXT, Role

DEMANDS = re.compile(r"^ +bind .* ssl .*verify required", re.MULTILINE)
"""A line of haproxy.cfg that lets in only who has a certificate."""

BEGINS_TLS = "begins to speak TLS to its peers; the file keeps it as it is with tls: off"
CEASES_TLS = f"ceases to speak TLS to its peers: {IN_PLAINTEXT}"


@blocking(
    Risk.SEVERAL_ZONES_AT_ONCE,
    "A stack is applied in one go, without a gate inside: what it takes from several zones, these lose together.",
)
def several_zones_at_once(facts: Facts) -> Iterator[Hit]:
    for stack in facts.stacks:
        if zones := taken_together(stack):
            yield Hit(
                f"{facts.environment}-{stack.name}", f"replaces or destroys what zones {', '.join(zones)} stand on"
            )
        if cut := [rule.name for rule in stack.resources if _between_nodes(rule) and rule.destroyed]:
            sentence = f"nodes of every zone are cut off from each other ({', '.join(cut)})"
            yield Hit(f"{facts.environment}-{stack.name}", sentence)


def _between_nodes(rule: Resource) -> bool:
    """Not a rule for clients that ask the Sentinels themselves: that names a range, and no group."""
    between = rule.kind in (reach.INGRESS, reach.EGRESS) and not rule.before.get("cidr_ipv4")
    return between and rule.before.get("from_port") in (ports.REDIS, ports.SENTINEL)


@blocking(
    Risk.QUORUM_LOWERED,
    "A Sentinel is never forgotten by itself: those that go still count for the majority, until each is reset.",
)
def quorum_lowered(facts: Facts) -> Iterator[Hit]:
    before, after = having(nodes(facts), Role.SENTINEL)
    known = len(before) + sum(node not in before for node in after)
    for node in before if after else []:
        if node not in after:
            numbers = f"{len(before)} become {len(after)}, a majority of {known // 2 + 1} is still asked"
            yield Hit(node.path, f"its Sentinel goes: {numbers}")


@caution(
    "quorum-raised", "More Sentinels must agree before a leader is replaced, from the moment that the first one is up."
)
def quorum_raised(facts: Facts) -> Iterator[Hit]:
    before, after = map(len, having(nodes(facts), Role.SENTINEL))
    if before and after > before:
        yield Hit("", f"Sentinels: {before} → {after}; a majority is {before // 2 + 1} → {after // 2 + 1}")


@blocking(
    Risk.MAJOR_DOWNGRADE,
    "An older Redis cannot read what a newer one wrote, neither from its own disk nor from the newer leader.",
)
def major_downgrade(facts: Facts) -> Iterator[Hit]:
    for node, before, after in _versions(facts):
        if after[0] < before[0]:
            yield Hit(node.path, f"Redis {_version(before)} → {_version(after)} on the data that it has")


@caution(
    "major-upgrade",
    "An older node cannot be fed by a newer leader: until all are new the cluster is fragile; there is no way back.",
)
def major_upgrade(facts: Facts) -> Iterator[Hit]:
    for node, before, after in _versions(facts):
        if after[0] > before[0]:
            yield Hit(node.path, f"Redis {_version(before)} → {_version(after)}")


@caution(
    "version-unknown",
    "The image changes, and which Redis the one before had is not known: see that it was no newer one.",
)
def version_unknown(facts: Facts) -> Iterator[Hit]:
    for node in nodes(facts):
        before, after = node.before, node.after
        if not (before and after and node.had(Role.DATA) and node.gets(Role.DATA)):
            continue
        if before.image_id != after.image_id and not (before.redis and after.redis):
            yield Hit(node.path, f"image {before.image_id} → {after.image_id}")


@caution(
    "packages-unpinned",
    "Which versions a machine gets is then decided by the day on which it boots: nodes differ, and nobody chose it.",
)
def packages_unpinned(facts: Facts) -> Iterator[Hit]:
    for node in nodes(facts):
        newest = [name for name, version in node.after.packages.items() if version is None] if node.after else []
        if newest and node.fate in (Fate.ADDED, Fate.REPLACED):
            yield Hit(node.path, f"installs the newest {', '.join(newest)}; holdfast images update pins them")


def _versions(facts: Facts) -> Iterator[tuple[Node, tuple[int, int], tuple[int, int]]]:
    for node in nodes(facts):
        if node.before and node.after and node.before.redis and node.after.redis:
            yield node, node.before.redis, node.after.redis


def _version(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


@blocking(
    Risk.TLS_SWITCHED,
    "Nodes with TLS and nodes without cannot follow each other: the first zone would never be in sync with the others.",
)
def tls_switched(facts: Facts) -> Iterator[Hit]:
    for node in nodes(facts):
        for change in node.files:
            if change.path != IDENTITY or not (change.before and change.after):
                continue
            before, after = (bool(json.loads(side).get("certificate")) for side in (change.before, change.after))
            if before != after:
                yield Hit(node.path, f"{node.name} {BEGINS_TLS if after else CEASES_TLS}")


@caution(
    "certificate-demanded",
    "From the moment that its gateway is replaced, a client that shows no certificate is refused there.",
)
def certificate_demanded(facts: Facts) -> Iterator[Hit]:
    for node in nodes(facts):
        for change in node.files:
            before, after = DEMANDS.search(change.before), DEMANDS.search(change.after)
            if change.path == HAPROXY_CFG and change.before and after and not before:
                yield Hit(node.path, f"{node.name} begins to demand a certificate of clients")


@blocking(
    Risk.UNGATED_RESTART,
    "A machine that is stopped in place keeps its id, so no gate waits for it: the next zone goes down beside it.",
)
def ungated_restart(facts: Facts) -> Iterator[Hit]:
    gated = {gate.stack for gate in facts.of_kind("terraform_data") if gate.name == "gate" and gate.destroyed}
    for node in _of_fate(facts, Fate.RESTARTED):
        if node.stack not in gated:
            yield Hit(node.path, f"{node.name} is stopped and started, and zone {node.zone} has no gate for it")


@caution("unhealthy-now", "A rollout takes one zone away at a time: it should start from a cluster that can spare it.")
def unhealthy_now(facts: Facts) -> Iterator[Hit]:
    status, found = facts.status, nodes(facts)
    if status is None or not any(node.down for node in found):
        return
    # The status is that of the file's nodes: those that the change brings cannot be well yet.
    there = {node.name for node in found if node.before}
    sick = [node.name for node in status.nodes if node.name in there and not node.healthy]
    agreeing, total = status.sentinels.agreeing, sum(node.had(Role.SENTINEL) for node in found)
    if sick or status.leader is None or agreeing < total:
        named = ", ".join(sick) or "none of the nodes by itself"
        yield Hit("", f"not well now: {named}; {agreeing} of {total} Sentinels agree")


def _of_fate(facts: Facts, fate: Fate) -> list[Node]:
    return [node for node in nodes(facts) if node.fate is fate]
