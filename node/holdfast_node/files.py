"""Writing a file whole or not at all, and reading what another process of this program has written."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

State = TypeVar("State")
"""A dataclass whose fields all have defaults."""

PROGRAM, REDIS, HAPROXY = "holdfast", "redis", "haproxy"
"""The users of a machine that own such files: this program's, that of Redis and Sentinel, HAProxy's."""


def write_private(file: Path, content: str, owner: str | None = None) -> None:
    """Replace `file` by `content`, mode 0600, for `owner` (default: whoever runs this)."""
    _write(file, content, 0o600, owner)


def write_for_all(file: Path, content: str) -> None:
    """Replace `file` by `content`, which everybody may read."""
    _write(file, content, 0o644, None)


def _write(file: Path, content: str, mode: int, owner: str | None) -> None:
    unfinished = file.with_name(f".{file.name}.new")
    # On a data volume the machine before may have left anything here, also a link to a file of this one.
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        # Whatever the umask is.
        os.fchmod(descriptor, mode)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    if owner is not None:
        shutil.chown(unfinished, owner, owner)
    unfinished.replace(file)


def read_state(file: Path, kind: type[State]) -> State:
    """What a process says of itself in `file`, as JSON; the defaults where it has said nothing yet."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        return kind()
    return kind(**{field.name: found[field.name] for field in fields(kind)})  # type: ignore[arg-type]
