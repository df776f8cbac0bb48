"""Lock files: what is pinned for each environment, moved forward by a command alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from holdfast.errors import HoldfastError

Pinned = TypeVar("Pinned")

Content = TypeAdapter[dict[str, dict[str, Pinned]]]
"""Reads a whole file: environment → key → what is pinned."""


def read(file: Path, content: Content[Pinned], what: str) -> dict[str, dict[str, Pinned]]:
    """Everything in the file. Empty without the file.

    Raises:
        HoldfastError: the file is not what `write` writes; `what` names its content.
    """
    try:
        found = file.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        return content.validate_json(found, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = f"{where}: {first['msg']}" if where else first["msg"]
        raise HoldfastError(
            f"{file}: found no valid {what} ({problem}); take it back from version control, "
            "or pin again with: holdfast images update ENV"
        ) from None


def write(file: Path, everything: Mapping[str, Mapping[str, Any]], owner: str, pins: Mapping[str, Any]) -> None:
    """Replace the named pins of `owner`; those of the others stay as they are."""
    whole = {**everything, owner: {**everything.get(owner, {}), **pins}}
    content = {
        name: {key: asdict(pin) for key, pin in sorted(of_one.items())} for name, of_one in sorted(whole.items())
    }
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
