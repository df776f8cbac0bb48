"""What the node program tells `sentinel-config`, in the unit of Sentinel: what the bucket said last, and a majority."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from holdfast_node.files import write_for_all

FILE = Path("/run/holdfast-node/told.json")
OUTVOTED = Path("/run/holdfast-node/outvoted.json")


class Outvoted(NamedTuple):
    """A leader that the own Sentinel names since an epoch, and whom a majority names instead."""

    leader: str
    epoch: int
    instead: str


def tell(members: Mapping[str, str], leader: str | None) -> None:
    """`members`: node → address; `leader`: address of who leads, or led last; None where nobody has."""
    write_for_all(FILE, json.dumps({"members": dict(members), "leader": leader}))


def members() -> dict[str, str]:
    """Raises OSError while nothing was told."""
    found: dict[str, str] = _read()["members"]
    return found


def leader() -> str | None:
    """Raises OSError while nothing was told."""
    address: str | None = _read()["leader"]
    return address


def tell_outvoted(found: Outvoted) -> None:
    write_for_all(OUTVOTED, json.dumps(found._asdict()))


def outvoted() -> Outvoted | None:
    """What was last so. It says of which epoch: a leader that is named anew has a greater one."""
    try:
        return Outvoted(**json.loads(OUTVOTED.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _read() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content
