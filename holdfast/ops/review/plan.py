"""The JSON of `terraform show -json PLAN` → a stack's resources. Sensitive values are dropped here, first of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.ops.review import synthesis
from holdfast.ops.review.facts import SENSITIVE, SENSITIVE_CHANGED, UNKNOWN, Action, Planned, Resource, Stack

ACTIONS = {
    ("no-op",): Action.NONE,
    ("create",): Action.CREATE,
    ("update",): Action.UPDATE,
    ("delete",): Action.DELETE,
    ("delete", "create"): Action.REPLACE,
    ("create", "delete"): Action.REPLACE,
    ("forget",): Action.DELETE,
}


def read(environment: str, name: str, shown: Mapping[str, Any], configuration: Mapping[str, Any]) -> Stack:
    """One stack's plan. `configuration` is the content of its cdk.tf.json as synthesised."""
    paths, kept = synthesis.paths(configuration), synthesis.kept(configuration)
    resources = [
        _resource(environment, name, change, paths, kept)
        for change in shown.get("resource_changes", ())
        if change["mode"] == "managed"
    ]
    return Stack(
        name=name,
        known_from=Planned.PLAN,
        resources=tuple(sorted(resources, key=lambda it: it.address)),
        reads=synthesis.reads(environment, configuration),
        moving_outputs=frozenset(
            output
            for output, change in shown.get("output_changes", {}).items()
            if change["actions"] not in (["no-op"], ["create"])
        ),
    )


def _resource(
    environment: str, stack: str, shown: Mapping[str, Any], paths: Mapping[str, str], kept: frozenset[str]
) -> Resource:
    change, address = shown["change"], shown["address"]
    before, after = change.get("before") or {}, _merge(change.get("after"), change.get("after_unknown"), UNKNOWN) or {}
    masked = _merge(before, change.get("before_sensitive"), SENSITIVE)
    return Resource(
        stack=stack,
        address=address,
        path=paths.get(address, f"{environment}-{stack}/{shown['name']}"),
        action=ACTIONS[tuple(change["actions"])],
        before=masked if isinstance(masked, dict) else {},
        after=_told_apart(before, masked, after, _merge(after, change.get("after_sensitive"), SENSITIVE)),
        forced_by=tuple(_path(path) for path in change.get("replace_paths", ())),
        kept=address in kept,
    )


def _told_apart(before: Any, masked_before: Any, after: Any, masked_after: Any) -> dict[str, Any]:
    """`masked_after`, in which what changed under its mask does not look unchanged."""
    if not (isinstance(masked_before, dict) and isinstance(masked_after, dict)):
        return {}
    hidden = {name for name, value in masked_after.items() if name in masked_before and value == masked_before[name]}
    changed = {name for name in hidden if before.get(name) != after.get(name)}
    return masked_after | dict.fromkeys(changed, SENSITIVE_CHANGED)


def _merge(value: Any, marks: Any, stand_in: object) -> Any:
    """`value` with `stand_in` wherever `marks`, which has its shape, says true."""
    if marks is True:
        return stand_in
    if isinstance(marks, dict) and marks:
        value = dict(value or {})
        return value | {key: _merge(value.get(key), mark, stand_in) for key, mark in marks.items() if _any(mark)}
    if isinstance(marks, list) and isinstance(value, list):
        padded = [*marks, *[False] * (len(value) - len(marks))]
        return [_merge(item, mark, stand_in) for item, mark in zip(value, padded, strict=False)]
    return value


def _any(mark: Any) -> bool:
    if isinstance(mark, dict):
        return any(_any(it) for it in mark.values())
    if isinstance(mark, list):
        return any(_any(it) for it in mark)
    return bool(mark)


def _path(parts: list[Any]) -> str:
    return ".".join(str(part) for part in parts)
