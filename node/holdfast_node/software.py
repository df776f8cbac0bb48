"""Which software this machine runs, by the package manager's own record: an update beside Holdfast shows there."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

DPKG = Path("/var/lib/dpkg/status")
PACKAGES = frozenset({"redis-server", "redis-sentinel", "redis-tools", "haproxy", "keepalived", "openssl", "python3"})
"""Those that serve, and what they are served by."""


def installed(image: str | None) -> dict[str, Any]:
    """Kernel, image and the versions of `PACKAGES`, of those that are there."""
    try:
        changed = DPKG.stat().st_mtime_ns
    except FileNotFoundError:
        changed = 0
    return {"kernel": os.uname().release, "image": image, "packages": _packages(changed)}


@lru_cache(maxsize=1)
def _packages(changed: int) -> dict[str, str]:
    """Read again only after a change: the record has a megabyte."""
    found = {}
    text = DPKG.read_text(encoding="utf-8", errors="replace") if changed else ""
    for entry in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line and line[0] != " ")
        # What was removed is still in the record.
        if fields.get("Package") in PACKAGES and fields.get("Status", "").endswith(" installed"):
            found[fields["Package"]] = fields["Version"]
    return dict(sorted(found.items()))
