"""What this node's Redis had when it led beside another leader: kept as an RDB before it gives up its role.

The writes that it took and its successor never saw are gone from the cluster with that moment, and are in here.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

from holdfast_node import resp
from holdfast_node.log import say

FOLDER = Path("/var/lib/holdfast/aside")
DUMP = Path("/var/lib/holdfast/redis/dump.rdb")

BEGINS_AFTER = 1.0
"""Seconds beside another leader before it is saved: in an orderly change it lasts a tenth of that."""
WAITED_FOR = 60.0
"""Seconds that the role is kept for it. The Sentinels take it away earlier, and Redis then ends the saving."""
FILES, DAYS = 2, 14
"""As many are kept, and for so long."""


class Redis(Protocol):
    def tell(self, then: Any, *words: object) -> None: ...


class Aside:
    def __init__(self) -> None:
        self._begun: float | None = None
        self._saving = False
        self.over = False
        """Whether there is nothing more to wait for: it is saved, or cannot be."""

    def look(self, own: Redis, beside_for: float, now: float) -> None:
        """Begin, or see how far it is. `beside_for`: seconds for which it has led beside another leader, 0 for not."""
        if beside_for < BEGINS_AFTER:
            self._begun, self._saving, self.over = None, False, False
            return
        if self._begun is None:
            self._begun = now
        if self.over:
            return
        if now - self._begun > WAITED_FOR:
            say(f"could not set aside what it has within {WAITED_FOR:g} s")
            self.over = True
        elif self._saving:
            own.tell(self._how_far, "INFO", "persistence")
        else:
            own.tell(self._asked, "BGSAVE")

    def _asked(self, reply: resp.Reply) -> None:
        # It refuses while it rewrites its append-only file, and is asked again.
        self._saving = reply == "Background saving started"

    def _how_far(self, reply: resp.Reply) -> None:
        if self.over or not isinstance(reply, str):
            return
        found = resp.fields(reply)
        if found.get("rdb_bgsave_in_progress") == "1":
            return
        self.over = True
        if found.get("rdb_last_bgsave_status") != "ok":
            say("could not set aside what it has: Redis could not save it")
            return
        try:
            say(f"led beside another leader: set aside what it has as {_take(append_only=found['aof_enabled'] == '1')}")
        except OSError as error:
            say(f"could not set aside what it has: {error}")


def newest() -> dict[str, Any] | None:
    """The last one that was set aside: {"file": …, "bytes": …, "at": seconds since the epoch}."""
    files = _files()
    if not files:
        return None
    found = files[-1].lstat()
    return {"file": str(files[-1]), "bytes": found.st_size, "at": found.st_mtime}


def _take(*, append_only: bool) -> Path:
    file = FOLDER / time.strftime("%Y%m%dT%H%M%SZ.rdb", time.gmtime())
    file.unlink(missing_ok=True)
    # It is Redis' file: the kernel lets link it who may read and write it, and no link in its place.
    file.hardlink_to(DUMP)
    if append_only:
        # Elsewhere Redis starts from it.
        DUMP.unlink()
    for old in _files()[:-FILES]:
        old.unlink()
    return file


def _files() -> list[Path]:
    """In the order of their age; those that are too old go."""
    found = {file: file.lstat().st_mtime >= time.time() - DAYS * 86400 for file in sorted(FOLDER.glob("*.rdb"))}
    for file, young in found.items():
        if not young:
            file.unlink()
    return [file for file, young in found.items() if young]
