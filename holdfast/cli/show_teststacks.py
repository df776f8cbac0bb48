"""What people and programs see of test stacks: what there is, what would go, what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from holdfast.ops.teststacks.inventory import Found, Inventory
from holdfast.ops.teststacks.judge import Fate, read_expiry, when
from holdfast.ops.teststacks.removal import Survivor
from holdfast.topology import names


def plan_text(seen: Inventory) -> list[str]:
    """What removing would do, an environment each; then what is refused, waits, and stays."""
    lines = [_plan_of(seen, name) for name in seen.ending] or ["nothing to remove"]
    lines += [f"refused: {it.environment or 'no environment'}: {it}: {it.judgement.reason}" for it in _refused(seen)]
    lines += [
        f"refused: {state.environment}: state {state.stack}: {judgement.reason}"
        for state, judgement in seen.states
        if judgement.fate is Fate.REFUSED and state.holds
    ]
    lines += [f"waiting: {it.environment}: {it}: {it.thing.note}" for it in seen.waiting]
    lines += [f"stays: {name}" for name in staying(seen)]
    return lines


def _plan_of(seen: Inventory, name: str) -> str:
    states = [state for state in seen.going_states if state.environment == name]
    recorded = sum(state.holds for state in states)
    things = Counter(it.kind.name for it in seen.going if it.environment == name)
    counted = ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in things.items())
    parts = [
        f"terraform destroy of {', '.join(state.stack for state in states)} ({recorded} recorded)" if states else "",
        f"what is left of its tags (now {counted})" if counted else "",
        "its file" if any(environment.name == name for environment, _ in seen.files) else "",
    ]
    return f"goes: {name}: {'; then '.join(part for part in parts if part) or 'its empty states'}"


def _refused(seen: Inventory) -> list[Found]:
    return seen.things(Fate.REFUSED)


def staying(seen: Inventory) -> list[str]:
    stay = {it.environment for it in seen.things(Fate.STAYS)}
    stay |= {environment.name for environment, judgement in seen.files if judgement.fate is Fate.STAYS}
    return sorted(stay)


def survivors_text(left: Iterable[Survivor]) -> list[str]:
    return [f"left: {it.environment or 'no environment'}: {it.kind} {it.id}: {it.reason}" for it in left]


def as_json(seen: Inventory, left: Sequence[Survivor]) -> dict[str, Any]:
    return {
        "survivors": [asdict(it) for it in left],
        "refused": [_found(it) for it in _refused(seen)],
        "waiting": [_found(it) for it in seen.waiting],
        "stays": staying(seen),
    }


def going_json(seen: Inventory) -> dict[str, Any]:
    return {
        "environments": seen.ending,
        "states": [state.stack for state in seen.going_states],
        "resources": [_found(it) for it in seen.going],
    }


def _found(it: Found) -> dict[str, str]:
    return {
        "environment": it.environment,
        "kind": it.kind.name,
        "id": it.thing.id,
        "region": it.region,
        "reason": it.judgement.reason,
        "note": it.thing.note,
    }


def rows(seen: Inventory, now: datetime) -> list[dict[str, Any]]:
    """A row for each test stack that is known by its file, its states or its tags."""
    files = {environment.name: names.tags(environment) for environment, _ in seen.files}
    sources = {environment.name: environment.teststack.source for environment, _ in seen.files if environment.teststack}
    found = [it for it in seen.found if not it.thing.rides]
    everything = {it.environment for it in found} | set(files) | {state.environment for state, _ in seen.states}
    listed = []
    for name in sorted(everything):
        things = [it for it in found if it.environment == name]
        tags = files.get(name) or next((it.thing.tags for it in things if it.judgement.fate is not Fate.REFUSED), {})
        expires = read_expiry(tags.get("Expires", ""))
        listed.append(
            {
                "name": name,
                "from": sources.get(name),
                "owner": tags.get("Owner"),
                "run": tags.get("Run"),
                "expires": tags.get("Expires"),
                "when": when(expires, now) if expires else None,
                "resources": len(things),
                "refused": sum(it.judgement.fate is Fate.REFUSED for it in things),
                "recorded": sum(state.holds for state, _ in seen.states if state.environment == name),
                "file": name in files,
            }
        )
    return listed
