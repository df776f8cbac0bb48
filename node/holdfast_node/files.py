"""Writing a file that only one user may read, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def write_private(file: Path, content: str, owner: str | None = None) -> None:
    """Replace `file` by `content`, mode 0600, for `owner` (default: whoever runs this)."""
    unfinished = file.with_name(f".{file.name}.new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    if owner is not None:
        shutil.chown(unfinished, owner, owner)
    unfinished.replace(file)
