"""When the backup process is started, and what it may rely on: the part of backups that runs in the agent.

The process itself runs for as long as a backup takes, and costs nothing between two of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from holdfast_node import base, handover
from holdfast_node.cloud import Cloud
from holdfast_node.files import read_state, write_for_all
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.sentinels import Sentinels
from holdfast_node.servers import Servers

TURN = Path("/run/holdfast-node/turn.json")
ASKED = Path("/run/holdfast-node/backup")
"""Whenever it changes, systemd starts the backup process (holdfast-backup.path)."""
STATE = Path("/run/holdfast-backup/state.json")
"""What that process says of itself."""
FOLDER = Path("/var/lib/holdfast/backup")
"""What it has saved and not yet uploaded."""

FRESH = 5.0
"""Seconds for which the agent's word counts: it says it anew every second."""

ORDER_INTERVAL = 5.0
"""Seconds between two looks for an operator's order, where it is this node's turn."""

COMMAND = b"backup"
"""Of the node program: the last word of that process' command line."""

AGAIN = 60.0
"""Seconds before the process is started again, where it was not done."""


@dataclass(frozen=True)
class Turn:
    """The agent's word at a moment. `at`: of the clock that goes on from boot, the same one for all processes."""

    mine: bool
    leader: str | None
    """The address of the proven leader."""
    at: float


@dataclass(frozen=True)
class State:
    """`next`: seconds since the epoch, before which nothing is due. `done`: None while it is at work."""

    says: str = "has not begun"
    done: bool | None = None
    id: str | None = None
    order: str | None = None
    next: float = 0.0
    pid: int = 0
    """Of the process that says so."""

    @property
    def at_work(self) -> bool:
        """Whether that process is there still: one that was killed never says that it is done."""
        if self.done is not None or not self.pid:
            return False
        try:
            return COMMAND in Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False


def turn(clock: Callable[[], float] = time.monotonic) -> Turn | None:
    """What the agent said last; None where that is too long ago."""
    try:
        found = Turn(**json.loads(TURN.read_text(encoding="utf-8")))
    except OSError:
        return None
    return found if clock() - found.at <= FRESH else None


def state() -> State:
    return read_state(STATE, State)


def order() -> str | None:
    """The id of the order for which the process was started; None where it is the schedule's."""
    found: str | None = json.loads(ASKED.read_text(encoding="utf-8"))["order"]
    return found


class Backups:
    """Does nothing where the environment has no backups.

    `tell` is for the thread that never waits, all else for the one that talks to the cloud.
    """

    def __init__(self, identity: Identity, cloud: Cloud, sentinels: Sentinels, servers: Servers) -> None:
        self._plan = base.plan(identity.backup) if identity.has("data") else None
        self._identity, self._cloud = identity, cloud
        self._sentinels, self._servers = sentinels, servers
        self._mine = False
        self._looked_at = self._started_at = float("-inf")
        self._obeyed: str | None = None
        """The last order for which the process was started."""

    def tell(self) -> None:
        """Say whose turn it is, also while the cloud is away. To be called every second."""
        if self._plan is None:
            return
        leader = self._sentinels.proven_leader()
        self._mine = leader is not None and self._whose(leader) == self._identity.node
        write_for_all(TURN, json.dumps(asdict(Turn(self._mine, leader, time.monotonic()))))

    def look(self) -> None:
        """Start the process where something is to do. To be called every second. Raises what the cloud does."""
        if self._plan is None:
            return
        now = time.monotonic()
        ordered = self._order(now) if self._mine else None
        if ordered is not None and ordered != self._obeyed:
            self._obeyed = ordered
            self._start(now, ordered)
        elif now - self._started_at >= AGAIN and self._is_due(state()):
            self._start(now, None)

    def report(self) -> dict[str, Any] | None:
        """None where there are no backups here."""
        return None if self._plan is None else {"turn": self._mine, **asdict(state())}

    def _whose(self, leader: str) -> str | None:
        seen = self._servers.at(leader)
        in_sync = {one.address for one in handover.in_touch(seen)} if seen else set()
        return base.whose_turn(self._identity.data, leader, in_sync)

    def _order(self, now: float) -> str | None:
        if now - self._looked_at < ORDER_INTERVAL:
            return None
        self._looked_at = now
        found = self._cloud.backup_order()
        return found["id"] if found else None

    def _is_due(self, said: State) -> bool:
        if said.at_work:
            return False
        # What was saved and not uploaded goes on, or is removed, also where the turn is another's by now.
        left = any(FOLDER.iterdir()) if FOLDER.exists() else False
        return left or (self._mine and time.time() >= said.next)

    def _start(self, now: float, ordered: str | None) -> None:
        say(f"starts the backup process{' as ordered' * (ordered is not None)}")
        self._started_at = now
        ASKED.write_text(json.dumps({"order": ordered}), encoding="utf-8")
