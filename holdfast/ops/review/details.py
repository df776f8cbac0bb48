"""What both forms of a report fold away: each resource's change, and the differences of the machines' files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from holdfast.ops.review.facts import Action, Resource
from holdfast.ops.review.report import Report, arguments

LONGEST_VALUE = 120
"""Characters of one value; a policy or a user-data says nothing in a line."""

OPAQUE = {"user_data_base64": "see the files of the nodes"}


@dataclass(frozen=True)
class Block:
    """One fold: its summary, and lines of plain text, or a difference."""

    summary: str
    text: str
    language: str = ""


def blocks(report: Report) -> list[Block]:
    """Files first: they say what changes; then each stack's resources by construct path."""
    return [*_files(report), *_stacks(report)]


def _files(report: Report) -> list[Block]:
    found: dict[tuple[str, str], list[str]] = {}
    for node in report.nodes:
        for file in node.files:
            found.setdefault((file.path, file.unified()), []).append(node.name)
    return [Block(f"{path} of {', '.join(names)}", text, "diff") for (path, text), names in found.items()]


def _stacks(report: Report) -> list[Block]:
    found = []
    for stack in report.facts.stacks:
        if stack.changes:
            lines = [line for resource in sorted(stack.changes, key=lambda it: it.path) for line in _resource(resource)]
            number = f"{len(stack.changes)} change{'s' * (len(stack.changes) != 1)}"
            found.append(Block(f"{report.facts.environment}-{stack.name}: {number}", "\n".join(lines)))
    return found


SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.REPLACE: "±", Action.DELETE: "-"}


def _resource(resource: Resource) -> list[str]:
    lines = [f"{SIGNS[resource.action]} {resource.path} ({resource.kind}) {resource.action}"]
    for name in arguments(resource):
        forces = "  # forces the replacement" if name in {path.split(".")[0] for path in resource.forced_by} else ""
        lines.append(f"    {name}: {_change(name, resource.before.get(name), resource.after.get(name))}{forces}")
    return lines


def _change(name: str, before: Any, after: Any) -> str:
    if name in OPAQUE:
        return OPAQUE[name]
    return f"{_value(before)} → {_value(after)}"


def _value(value: Any) -> str:
    text = json.dumps(value, default=repr, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text)} characters)"
