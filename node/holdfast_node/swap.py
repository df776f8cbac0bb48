"""The process that brings this node into another generation: it stops Redis, exchanges its data, and starts it again.

Started by systemd when the agent asks for it. It runs as root, since it stops a service, and does not call the cloud:
the agent tells it what the bucket says. All nodes do it at about the same time, and in this order, so that nobody is
promoted with the data of before: the others stop, then the node that has the data stops, exchanges it and starts, and
then the others start, empty, and follow.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from holdfast_node import generation, resp
from holdfast_node.files import read_state, write_for_all
from holdfast_node.generation import Data, Generation
from holdfast_node.identity import Identity
from holdfast_node.log import say

ASKED = Path("/run/holdfast-node/generation")
"""Whenever it changes, systemd starts this process (holdfast-generation.path)."""
STATE = Path("/run/holdfast-generation/state.json")
"""What the process says of itself."""

UNIT = "holdfast-redis.service"

POLL = 0.2
"""Seconds between two looks at another node's Redis, and its time to answer."""

HELD_FOR = 30.0
"""Seconds for which this node's Redis stays away for the one that has the data; then it goes on as it was, until the
agent asks anew."""

CLOCKS_DIFFER = 2.0
"""Seconds by which the moment may be wrong in which the generation began: S3's clock and Redis' have whole seconds."""

SAVED_WITHIN, LEADS_WITHIN = 300.0, 900.0
"""Seconds for a last snapshot where Redis keeps nothing on the disk, and until it has loaded and leads."""


class Failed(Exception):
    """This node is in the generation in which it was, and why."""


@dataclass(frozen=True)
class Asked:
    """What the agent knows."""

    wanted: Generation
    at: float
    """When the bucket got it: of the clock that goes on from boot, the same one for all processes."""
    led: bool
    """Whether the leader is in it already."""
    synced: bool
    """Whether this Redis has all that the proven leader has."""


@dataclass(frozen=True)
class State:
    id: str | None = None
    """Of the generation."""
    says: str = "has not begun"
    done: bool | None = None
    """None while it is at work."""
    away: float | None = None
    """Seconds without writes, of the node that had the data, once it leads."""


def state() -> State:
    return read_state(STATE, State)


def ask(asked: Asked | None) -> None:
    """Have the process started; None: to remove what was kept long enough."""
    ASKED.write_text(json.dumps(asdict(asked) if asked else None), encoding="utf-8")


def asked() -> Asked | None:
    found = json.loads(ASKED.read_text(encoding="utf-8"))
    return Asked(**{**found, "wanted": Generation(**found["wanted"])}) if found else None


class Swap:
    """`redis`: a new connection to the Redis at an address."""

    def __init__(
        self,
        identity: Identity,
        redis: Callable[[str], resp.Client],
        *,
        data: Data | None = None,
        state: Path = STATE,
        systemctl: Callable[..., None] | None = None,
        listens: Callable[[str], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._identity, self._redis, self._data, self._file = identity, redis, data or Data(), state
        self._systemctl, self._listens = systemctl or _systemctl, listens or self._connects
        self._clock, self._sleep = clock, sleep
        self._state = State()
        self._others = [address for address in identity.data.values() if address != identity.address]

    def run(self, asked: Asked | None) -> None:
        self._data.expire(time.time())
        if asked is None or asked.wanted.id == self._data.generation():
            return
        self._state = State(asked.wanted.id)
        try:
            if asked.synced and asked.led:
                self._data.record(asked.wanted)
            elif asked.led:
                self._exchange(asked.wanted, mine=False, aside=generation.STALE)
            elif asked.wanted.node == self._identity.node:
                self._bring(asked.wanted)
            else:
                self._give_way(asked)
        except (Failed, OSError, resp.Refused, subprocess.SubprocessError) as error:
            # systemd starts Redis again, as it was (ExecStopPost= of the unit).
            self._say(str(error), done=False)
            return
        self._say(f"is in generation {asked.wanted.id}", done=True)

    def _bring(self, wanted: Generation) -> None:
        """Of the node that has the data, and leads."""
        if not self._data.has(wanted):
            raise Failed(f"{self._identity.node} has no data for generation {wanted.id}; restore again")
        self._wait_for_others()
        away_since = self._clock()
        with self._redis(self._identity.address) as own:
            self._save(own)
        self._exchange(wanted, mine=True, aside=generation.BEFORE)
        self._say("Redis loads")
        self._wait_until_it_leads()
        self._state = State(**{**asdict(self._state), "away": round(self._clock() - away_since, 1)})

    def _wait_for_others(self) -> None:
        """While one of them runs, a Sentinel could promote it in this one's place."""
        deadline = self._clock() + HELD_FOR
        while running := [address for address in self._others if self._listens(address)]:
            names = [name for name, address in self._identity.data.items() if address in running]
            self._say(f"waits until the Redis of {', '.join(names)} has stopped")
            if self._clock() > deadline:
                raise Failed(f"the Redis of {', '.join(names)} still runs; nothing was changed here")
            self._sleep(POLL / 2)

    def _save(self, own: resp.Client) -> None:
        """Where Redis keeps nothing on the disk: what it has is what an undo puts back."""
        kept = {name: resp.pairs(own.call("CONFIG", "GET", name))[name] for name in ("appendonly", "save")}
        if kept["appendonly"] == "yes" or kept["save"]:
            # It saves when it stops.
            return
        deadline = self._clock() + SAVED_WITHIN
        self._say("Redis saves what it has")
        own.call("BGSAVE")
        while True:
            self._sleep(POLL)
            info = resp.fields(own.call("INFO", "persistence"))
            if info["rdb_bgsave_in_progress"] == "0":
                break
            if self._clock() > deadline:
                raise Failed(f"Redis did not save within {SAVED_WITHIN:g} s; nothing was changed here")
        if info["rdb_last_bgsave_status"] != "ok":
            raise Failed("Redis could not save what it has; nothing was changed here")

    def _give_way(self, asked: Asked) -> None:
        """Of every other node: away until the one that has the data has exchanged it, and then empty."""
        self._say(f"stops Redis until {asked.wanted.node} has exchanged its data")
        self._systemctl("stop", UNIT)
        deadline = self._clock() + HELD_FOR
        while not self._has_begun(asked):
            if self._clock() > deadline:
                raise Failed(f"{asked.wanted.node} has not exchanged its data within {HELD_FOR:g} s; goes on as before")
            self._sleep(POLL)
        self._exchange(asked.wanted, mine=False, aside=generation.BEFORE)

    def _has_begun(self, asked: Asked) -> bool:
        """Whether the Redis of that node started since the generation began."""
        address = self._identity.data.get(asked.wanted.node)
        if address is None:
            raise Failed(f"generation {asked.wanted.id} is to begin with {asked.wanted.node}, which is no node")
        try:
            with self._redis(address) as redis:
                uptime = int(resp.fields(redis.call("INFO", "server"))["uptime_in_seconds"])
        except (OSError, resp.Refused):
            return False
        return self._clock() - uptime >= asked.at - CLOCKS_DIFFER

    def _exchange(self, wanted: Generation, *, mine: bool, aside: str) -> None:
        self._systemctl("stop", UNIT)
        self._data.replace(wanted, mine=mine, aside=aside)
        self._systemctl("start", "--no-block", UNIT)

    def _wait_until_it_leads(self) -> None:
        """With as many replicas as it needs to take writes."""
        deadline = self._clock() + LEADS_WITHIN
        while not self._takes_writes():
            if self._clock() > deadline:
                # Its data is in place, all the same.
                self._say(f"Redis takes no writes {LEADS_WITHIN:g} s after its data was exchanged")
                return
            self._sleep(POLL / 2)

    def _takes_writes(self) -> bool:
        try:
            with self._redis(self._identity.address) as own:
                info = resp.fields(own.call("INFO", "replication"))
                if info["role"] != "master":
                    return False
                needed = resp.pairs(own.call("CONFIG", "GET", "min-replicas-to-write"))["min-replicas-to-write"]
                return int(info.get("min_slaves_good_slaves", needed)) >= int(needed)
        except (OSError, resp.Refused):
            return False

    def _connects(self, address: str) -> bool:
        """Whether its process is there, also where it is too busy to answer."""
        try:
            socket.create_connection((address, self._identity.redis_port), timeout=POLL).close()
            return True
        except OSError:
            return False

    def _say(self, says: str, **changed: Any) -> None:
        if says != self._state.says:
            say(says)
        self._state = State(**{**asdict(self._state), "says": says, **changed})
        write_for_all(self._file, json.dumps(asdict(self._state)))


def _systemctl(*words: str) -> None:
    subprocess.run(["systemctl", *words], check=True, timeout=120)
