"""What the bucket told this node last, for whoever may not ask it: `sentinel-config`, in the unit of Sentinel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast_node.files import write_for_all

FILE = Path("/run/holdfast-node/told.json")


def tell(members: Mapping[str, str], last_leader: str | None) -> None:
    """`members`: node → address; `last_leader`: address, as in cloud.py."""
    write_for_all(FILE, json.dumps({"members": dict(members), "last_leader": last_leader}))


def members() -> dict[str, str]:
    """Raises OSError while nothing was told."""
    found: dict[str, str] = _read()["members"]
    return found


def last_leader() -> str | None:
    """Raises OSError while nothing was told."""
    leader: str | None = _read()["last_leader"]
    return leader


def _read() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content
