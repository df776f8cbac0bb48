"""Imports between the rooms point downward only, as docs/architecture.md says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

MAY_IMPORT = {
    "holdfast.topology": {"holdfast"},
    "holdfast.rendering": {"holdfast", "holdfast.topology"},
    "holdfast.ops": {"holdfast", "holdfast.topology", "holdfast.rendering"},
    "holdfast.twin": {"holdfast", "holdfast.topology"},
    "holdfast.drill": {"holdfast", "holdfast.topology", "holdfast.ops", "holdfast.twin"},
    "holdfast": set(),
    "node": set(),
    "stacks": {"holdfast", "holdfast.topology", "holdfast.rendering"},
    "main.py": {"holdfast", "holdfast.topology", "holdfast.rendering", "stacks"},
    "bench": {"holdfast", "holdfast.topology", "holdfast.rendering", "holdfast.ops", "holdfast.twin", "holdfast.drill"},
}
"""`holdfast`: the modules directly in it. The command line may import everything, and nothing imports it."""


def room(module: str) -> str | None:
    """The room of a module by its full name; None where it is not ours."""
    parts = module.split(".")
    if parts[0] == "holdfast_node":
        return "node"
    if parts[0] != "holdfast":
        return parts[0] if parts[0] in ("stacks", "bench", "tests") else None
    within = f"holdfast.{parts[1]}" if len(parts) > 1 else "holdfast"
    return within if within in MAY_IMPORT or within == "holdfast.cli" else "holdfast"


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from holdfast import rendering` names a room as well.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(of: str) -> list[Path]:
    if of.endswith(".py"):
        return [REPOSITORY / of]
    folder = REPOSITORY / of.replace(".", "/")
    if of == "holdfast":
        return list(folder.glob("*.py"))
    return [file for file in folder.rglob("*.py") if "bindings" not in file.parts]


@pytest.mark.parametrize("of", MAY_IMPORT)
def test_a_room_imports_only_what_is_below_it(of: str) -> None:
    found = files(of)
    assert found
    wrong = [
        f"{file.relative_to(REPOSITORY)} imports {name}"
        for file in found
        for name in imported(file)
        if (to := room(name)) is not None and to not in MAY_IMPORT[of] | {of}
    ]
    assert wrong == []


def test_every_package_is_a_room() -> None:
    packages = {f"holdfast.{folder.parent.name}" for folder in (REPOSITORY / "holdfast").glob("*/__init__.py")}
    assert packages - {"holdfast.cli"} == {name for name in MAY_IMPORT if name.startswith("holdfast.")}
