"""The node program as one file, named by its content: the same sources give the same bytes on every machine."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "node"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold: no build time may reach the hash."""


@dataclass(frozen=True)
class Program:
    """A Python zip application, and its SHA-256 in hexadecimal digits."""

    content: bytes
    sha256: str


@cache
def program() -> Program:
    """The node program of this checkout."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(SOURCES.rglob("*.py")):
            entry = zipfile.ZipInfo(file.relative_to(SOURCES).as_posix(), EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())
    content = stream.getvalue()
    return Program(content=content, sha256=hashlib.sha256(content).hexdigest())
