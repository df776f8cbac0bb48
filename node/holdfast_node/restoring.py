"""Restores, as far as the agent has to do with them: it looks for orders and for a new generation, and has others work.

And a machine that boots: it does not start with the data of a generation that is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from holdfast_node import aws, generation, restore, swap
from holdfast_node.cloud import Cloud, Malformed
from holdfast_node.generation import Data
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.sentinels import Sentinels
from holdfast_node.servers import Servers

SELDOM, OFTEN = 10.0, 1.0
"""Seconds between two looks for an order to restore: at most times, and while there is one."""

GENERATION_INTERVAL = 60.0
"""Seconds between two looks for another generation, while nobody restores."""

AGAIN = 5.0
"""Seconds before the process that exchanges data is started again, where it was not done."""

PATIENCE, RETRY = 20.0, 2.0
"""Seconds for which a machine that boots waits for the cloud to tell the generation, and between two questions."""


class Restores:
    """Does nothing where this node has no data. For the thread that talks to the cloud."""

    def __init__(
        self, identity: Identity, cloud: Cloud, sentinels: Sentinels, servers: Servers, data: Data | None = None
    ) -> None:
        self._identity, self._cloud, self._data = identity, cloud, data or Data()
        self._sentinels, self._servers = sentinels, servers
        self._looked_at = self._generation_at = self._asked_at = float("-inf")
        self._obeyed: str | None = None
        """The last order for which the process that prepares was started."""
        self._under_way = self._behind = False
        """Whether somebody restores, and whether this node's data is not of the generation of which it has to be."""

    def look(self) -> None:
        """To be called every second. Raises what the cloud does."""
        if not self._identity.has("data"):
            return
        now = time.monotonic()
        if now - self._looked_at >= (OFTEN if self._under_way else SELDOM):
            self._looked_at = now
            self._obey()
        if self._under_way or self._behind or now - self._generation_at >= GENERATION_INTERVAL:
            self._generation_at = now
            self._follow(now)

    def _obey(self) -> None:
        order = self._cloud.restore_order()
        self._under_way = order is not None
        if (
            order is None
            or order["node"] != self._identity.node
            or order["id"] == self._obeyed
            or not order.get("from")
        ):
            return
        self._obeyed = order["id"]
        say("starts to prepare a restore, as ordered")
        restore.ask(order["id"], str(order["from"]))

    def _follow(self, now: float) -> None:
        if now - self._asked_at < AGAIN:
            return
        wanted, age = self._cloud.generation()
        self._behind = wanted is not None and wanted.id != self._data.generation()
        if wanted is not None and self._behind:
            own, proven = self._servers.own().details, self._sentinels.proven_leader()
            led = self._cloud.generation_of_leader() == wanted.id
            synced = own is not None and own.follows_in_sync(proven)
            self._asked_at = now
            swap.ask(swap.Asked(wanted, now - age, led, synced))
        elif self._data.expired(time.time()):
            self._asked_at = now
            swap.ask(None)

    def report(self) -> dict[str, Any] | None:
        """None where this node has no data."""
        if not self._identity.has("data"):
            return None
        now = self._data.generation()
        # What was put aside when the present generation began is what an undo puts back.
        kept = next((kept for kept in self._data.kept() if kept.id == now), None)
        return {
            "generation": now,
            "kept_until": kept.until if kept else None,
            "preparation": asdict(restore.state()),
            "exchange": asdict(swap.state()),
        }


def settle(
    identity: Identity,
    cloud: Cloud,
    data: Data | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Before Redis starts with this machine: put aside data of a generation that is over, and end what was begun.

    Where the cloud does not tell, Redis starts as it is. It follows whom the Sentinels name, as any that starts.
    """
    data = data or Data()
    data.finish()
    deadline = clock() + PATIENCE
    while True:
        try:
            wanted, _ = cloud.generation()
            led = cloud.generation_of_leader()
            break
        except (OSError, aws.Refused, Malformed) as error:
            say(f"cannot tell of which generation the data has to be: {error}")
            if clock() > deadline:
                return
        sleep(RETRY)
    if wanted is None or wanted.id == data.generation():
        return
    if led == wanted.id:
        data.replace(wanted, mine=False, aside=generation.STALE)
    elif wanted.node == identity.node and data.has(wanted):
        data.replace(wanted, mine=True)
