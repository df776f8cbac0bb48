"""Lock files: what is pinned for each environment, moved forward by a command alone."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


def write(file: Path, content: Content[Any], what: str, owner: str, pins: Mapping[str, Any]) -> None:
    """Replace the named pins of `owner`; those of the others, and what another command pins meanwhile, stay.

    Raises:
        HoldfastError: as `read` does, or the file cannot be written; it stays as it is.
    """
    with _alone(file):
        everything = read(file, content, what)
        whole = {**everything, owner: {**everything.get(owner, {}), **pins}}
        plain = {
            name: {key: asdict(pin) for key, pin in sorted(of_one.items())} for name, of_one in sorted(whole.items())
        }
        unfinished = file.with_name(f".{file.name}.unfinished")
        unfinished.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(file)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Of all commands that pin something in its folder."""
    try:
        descriptor = os.open(file.parent, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        raise HoldfastError(f"{file} cannot be written: {error.strerror}; make it writable, and try again") from None
