"""What a change means for the cluster, in sentences under eight headings, from the nodes to the pause of writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdfast.ops.review import reach
from holdfast.ops.review.facts import Action, Facts, tag, text
from holdfast.ops.review.nodes import Fate, Node, Side, having, nodes, public_addresses, taken_together
from holdfast.ops.review.rollout import Left, Step, moves, steps
from holdfast.topology.spec import Role

PAUSE_S = 1.0
"""Seconds without an acknowledged write for each orderly move of the leader, as measured on the twin."""

LONGEST_PAUSE_S = 5.0
"""What the rollout's test accepts at most (tests/twin/cluster/test_rollout.py)."""


@dataclass(frozen=True)
class Section:
    """One question and its answers."""

    name: str
    sentences: tuple[str, ...]


def explain(facts: Facts) -> tuple[Section, ...]:
    found = nodes(facts)
    parts = {
        "Nodes": _nodes(facts, found),
        "Leader": _leader(facts, found),
        "Redundancy": _redundancy(facts, found),
        "Data": _data(facts, found),
        "Reach": _reach(facts),
        "Endpoints": _endpoints(facts, found),
        "Settings": _settings(found),
        "Write pause": _pause(facts, found),
    }
    return tuple(Section(name, tuple(sentences)) for name, sentences in parts.items())


def _nodes(facts: Facts, found: tuple[Node, ...]) -> Iterator[str]:
    rollout = steps(found)
    if facts.new:
        yield f"Nothing of {facts.environment} exists yet. {_count(len(found))} made: {_by_zone(found)}."
        return
    if rollout:
        order = ", then ".join(f"zone {step.zone} ({', '.join(step.away)})" for step in rollout)
        verbs = {Fate.REPLACED: "replaced", Fate.RESTARTED: "stopped and started in place"}
        verb = " or ".join(
            verbs[fate] for fate in (Fate.REPLACED, Fate.RESTARTED) if any(n.fate is fate for n in found)
        )
        yield f"{_count(sum(len(step.away) for step in rollout))} {verb}, in this order: {order}."
        for reason, names in _grouped((why, node.name) for node in found if node.down for why in _reasons(node)):
            yield f"{reason}: {names}."
    for fate, verb in ((Fate.ADDED, "added"), (Fate.REMOVED, "removed")):
        if some := [node for node in found if node.fate is fate]:
            yield f"{_count(len(some))} {verb}: {_by_zone(some)}."
    if not rollout and not any(node.fate is not Fate.KEPT for node in found):
        yield "No node is replaced, restarted, added or removed."


def _reasons(node: Node) -> Iterator[str]:
    before, after = node.before, node.after
    if not (before and after):
        return
    if before.roles != after.roles:
        yield f"Roles {', '.join(before.roles)} → {', '.join(after.roles)}"
    if before.type != after.type:
        yield f"Machine type {before.type} → {after.type}"
    if before.image_id != after.image_id:
        yield f"Image {_image(before)} → {_image(after)}"
    if before.apart != after.apart:
        yield f"Hardware {'apart from' if after.apart else 'perhaps shared with'} other nodes of the zone"
    for name in sorted(before.packages.keys() & after.packages.keys()):
        was, becomes = (side.packages[name] or "newest" for side in (before, after))
        if was != becomes:
            yield f"Package {name} {was} → {becomes}"
    if node.files:
        yield "Files in the user-data change"


def _image(side: Side) -> str:
    redis = f", Redis {'.'.join(map(str, side.redis))}" if side.redis else ""
    return f"{side.image or 'unknown'} ({side.image_id}{redis})"


def _leader(facts: Facts, found: tuple[Node, ...]) -> Iterator[str]:
    rollout = [step for step in steps(found) if step.data.touched]
    status = facts.status
    if facts.new:
        yield "There is none yet: the first data node that boots leads, decided once."
    elif status is None:
        yield f"Who leads now is unknown ({facts.status_unknown})."
        if rollout and all(step.data.left for step in rollout):
            yield f"The leader moves at least once if it is in zone {_or(step.zone for step in rollout)}."
    elif status.leader is None:
        yield "Nobody leads now."
    else:
        least, most = moves(status.leader, tuple(rollout))
        gone = any(node.name == status.leader and node.had(Role.DATA) and not node.gets(Role.DATA) for node in found)
        zone = next((step.zone for step in rollout if status.leader in step.away), "")
        if least:
            often = _often(least, most)
            yield f"{status.leader} leads now, and hands over when zone {zone} is reached: the leader moves {often}."
        elif zone:
            yield f"{status.leader} leads now, and there is nobody to hand over to while zone {zone} is away."
        elif gone:
            yield f"{status.leader} leads now, and is removed: the leader moves."
        else:
            yield f"{status.leader} leads now, and stays the leader."


def _redundancy(facts: Facts, found: tuple[Node, ...]) -> Iterator[str]:
    rollout = steps(found)
    if facts.new or not (rollout or any(map(taken_together, facts.stacks))):
        yield from _at_rest(found)
        return
    for stack in facts.stacks:
        if together := taken_together(stack):
            where = f"{facts.environment}-{stack.name}"
            yield f"**Zones {', '.join(together)} go at once** with {where}: no majority meanwhile."
    for sentence, zones in _grouped((_left(step), step.zone) for step in rollout):
        yield f"While zone {_or(zones.split(', '))} is away, {sentence}."


def _at_rest(found: tuple[Node, ...]) -> Iterator[str]:
    data, gateways, sentinels = (len(having(found, role)[1]) for role in (Role.DATA, Role.GATEWAY, Role.SENTINEL))
    majority = sentinels // 2 + 1
    if sentinels > 1:
        yield f"{sentinels} Sentinels, of which {majority} are a majority: {sentinels - majority} may fail."
    else:
        yield "No second Sentinel: nothing takes over from a node that fails."
    if not data == gateways == sentinels:
        yield f"{data} data nodes and {gateways} gateways: the last one of each must not fail."


def _left(step: Step) -> str:
    what = "nodes" if step.alike else "Sentinels"
    left = f"{step.sentinels.left} of {step.sentinels.total} {what} are left, and {step.majority} are a majority"
    if step.spare < 0:
        left += ": **the majority is lost, and with it failover and writes**"
    elif step.spare == 0:
        left += f": it holds, and no other {'node' if step.alike else 'one'} may fail meanwhile"
    else:
        left += f": {step.spare} more may fail meanwhile"
    if not step.alike:
        left += f"; {_of(step.data, 'data nodes')} and {_of(step.gateways, 'gateways')}"
    return left


def _of(part: Left, what: str) -> str:
    """Worst news in bold."""
    if not part.touched:
        return f"every one of {part.total} {what}"
    return f"{part.left} of {part.total} {what}" if part.left else f"**none of {part.total} {what}**"


def _data(facts: Facts, found: tuple[Node, ...]) -> Iterator[str]:
    had, _ = having(found, Role.DATA)
    if not had:
        return
    kept = [node.name for node in had if node.volume in (Action.NONE, Action.UPDATE)]
    lost = [node.name for node in had if node.volume in (Action.DELETE, Action.REPLACE)]
    if lost and not kept:
        yield f"**Every copy of the data is lost**: the volumes of {', '.join(lost)} are destroyed."
    elif lost:
        yield f"Lost: the data volumes of {', '.join(lost)}. Kept: those of {', '.join(kept)}."
    else:
        yield f"Kept: every data volume ({', '.join(kept)})."
    for sizes, names in _grouped((change, node.name) for node in found for change in _resized(node)):
        yield f"{sizes}: {names}."


def _resized(node: Node) -> Iterator[str]:
    before, after = node.before, node.after
    if not (before and after and before.volume_gib and after.volume_gib):
        return
    if before.volume_gib < after.volume_gib:
        yield f"The volume grows from {before.volume_gib} to {after.volume_gib} GiB, its file system at the next boot"
    if before.volume_gib > after.volume_gib:
        yield f"The volume is to shrink from {before.volume_gib} to {after.volume_gib} GiB, which EC2 refuses"


def _reach(facts: Facts) -> Iterator[str]:
    changed = reach.compare(facts)
    for way in changed.opened:
        if way.inward or not facts.new:
            said = str(way) if facts.new else f"New: {way}"
            yield f"{said[0].upper()}{said[1:]}."
    for way in changed.closed:
        yield f"No more: {way}."
    if not (changed.opened or changed.closed):
        yield "Who may reach what stays as it is."


def _endpoints(facts: Facts, found: tuple[Node, ...]) -> Iterator[str]:
    changed = False
    for zone in facts.of_kind("aws_route53_zone"):
        if zone.destroyed:
            changed = True
            yield f"**Gone**: every name under {text(zone.before.get('name'))}."
    for address in public_addresses(facts):
        # Of a stack that cannot be planned only the name is known.
        values = address.before or address.after
        whose = tag(values, "Name") or address.name
        if address.destroyed or not address.exists:
            changed = True
            yield f"**Gone**: public address {whose}." if address.destroyed else f"New: public address {whose}."
    for node in found:
        old = node.before.addresses[1:] if node.before else ()
        new = node.after.addresses[1:] if node.after else ()
        if old == new:
            continue
        changed = True
        if not old:
            yield f"New: {node.name} with {_pair(new)}."
        elif not node.after:
            yield f"Gone: {node.name} with {_pair(old)}."
        else:
            yield f"**Changed**: {node.name} from {_pair(old)} to {_pair(new)}."
    if not changed:
        yield "Every leader and replica endpoint keeps its address."


def _pair(addresses: tuple[str, ...]) -> str:
    if len(addresses) != 2:
        return "addresses that are not known yet"
    return f"leader endpoint {addresses[0]} and replica endpoint {addresses[1]}"


def _settings(found: tuple[Node, ...]) -> Iterator[str]:
    existing = [node.name for node in found if node.before and node.after]
    told = _grouped((sentence, node.name) for node in found for sentence in _file_changes(node))
    any_told = False
    for sentence, names in told:
        any_told = True
        yield f"{sentence} ({'every node' if names == ', '.join(existing) else names})."
    if not any_told and existing:
        yield "No setting of Redis, Sentinel or HAProxy changes."


def _file_changes(node: Node) -> Iterator[str]:
    for file in node.files:
        settings = file.settings()
        yield from map(str, settings)
        yield from file.rights()
        if file.program and not settings:
            yield f"{file.program}: `{file.path}` changes, its difference is below"
        if file.path.endswith("/node.json") and file.before and file.after:
            before, after = json.loads(file.before), json.loads(file.after)
            if before["program"] != after["program"]:
                yield "The node program changes"
            was, will = before.get("detection"), after["detection"]
            if was and will and was != will:
                yield f"A leader counts as lost after {will:g} s without an answer, {was:g} s before"


def _pause(facts: Facts, found: tuple[Node, ...]) -> Iterator[str]:
    rollout = steps(found)
    touched = [step for step in rollout if step.data.touched]
    each = f"about {PAUSE_S:.0f} s each time, {LONGEST_PAUSE_S:.0f} s at most as tested"
    if facts.new:
        return
    if not rollout and not any(map(taken_together, facts.stacks)):
        yield "None is expected."
    elif any(step.spare < 0 for step in rollout) or any(map(taken_together, facts.stacks)):
        yield "**From the loss of the majority until it is back.**"
    elif refusing := [step for step in rollout if not step.writable]:
        zones = _or(step.zone for step in refusing)
        yield f"**While zone {zones} is away**: fewer replicas are left than a write needs (`redis.durability`)."
    elif facts.status and facts.status.leader:
        least, most = moves(facts.status.leader, rollout)
        yield f"Writes pause when the leader moves ({_often(least, most)}): {each}." if most else "None is expected."
    elif touched:
        yield f"Writes pause when the leader moves ({_at_most(len(touched))}): {each}."
    else:
        yield "None is expected."


def _often(least: int, most: int) -> str:
    if least == most:
        return "once" if most == 1 else f"{most} times"
    return f"between {'once' if least == 1 else least} and {most} times"


def _at_most(most: int) -> str:
    return "at most once" if most == 1 else f"at most {most} times"


def _by_zone(some: Iterable[Node]) -> str:
    return ", ".join(f"{node.name} in zone {node.zone}" for node in some)


def _count(number: int) -> str:
    return f"{number} node is" if number == 1 else f"{number} nodes are"


def _or(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _grouped(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Sentence → the names that it holds for, in the order of their first appearance."""
    found: dict[str, list[str]] = {}
    for sentence, name in pairs:
        names = found.setdefault(sentence, [])
        if name not in names:
            names.append(name)
    return [(sentence, ", ".join(names)) for sentence, names in found.items()]
