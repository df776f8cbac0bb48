"""Every Redis as this node sees it: what each says of itself, asked over connections that stay."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from holdfast_node import resp
from holdfast_node.decision import Role, Server
from holdfast_node.identity import Identity
from holdfast_node.link import Link, State

NOBODY = "127.0.0.1"
"""What a Redis that waits for its role is told to follow: a closed port of its own machine (see redis.conf)."""


REST = ("redis_version", "loading", "connected_clients")

STALE_AFTER = 10
"""Seconds without a word from its leader, after which a replica is read no more. Redis itself would serve on for
`repl-timeout`, which leaves a leader time for a slow command."""


@dataclass(frozen=True)
class Follower:
    """A replica as its leader lists it."""

    address: str
    offset: int
    state: str
    lag: int


@dataclass(frozen=True)
class Details:
    """`INFO` of a Redis, as far as anything here depends on it."""

    server: Server
    version: str
    offset: int
    link_up: bool
    syncing: bool
    followers: tuple[Follower, ...]
    priority: int | None = None
    """A replica's `replica-priority`; None of a leader, which does not tell."""
    heard_ago: int = 0
    """Whole seconds since a replica last heard from its leader, which says something each second."""
    clients: int = 0
    """Who is connected, logged in or not."""

    def follows_in_sync(self, leader: str | None) -> bool:
        return self.server.leader == leader and self.server.role is Role.REPLICA and self.link_up and not self.syncing

    def may_be_read(self, leader: str | None) -> bool:
        """Whether what it serves is as new as a replica's may be."""
        return self.follows_in_sync(leader) and self.heard_ago < STALE_AFTER


def details(info: Mapping[str, str]) -> Details:
    """The sections `replication`, `server`, `persistence`, `clients` and `keyspace` of INFO, read."""
    leads = info["role"] == "master"
    leader = None if leads else info.get("master_host")
    role = Role.LEADER if leads else Role.WAITING if leader in (None, NOBODY) else Role.REPLICA
    if info.get("loading") == "1":
        role = Role.DOWN
    priority = int(info["slave_priority"]) if "slave_priority" in info else None
    return Details(
        server=Server(
            role=role,
            leader=leader if role is Role.REPLICA else None,
            has_data=any(name.startswith("db") and value.startswith("keys=") for name, value in info.items()),
            promotable=role is Role.REPLICA and bool(priority),
        ),
        version=info["redis_version"],
        offset=int(info["master_repl_offset"] if leads else info.get("slave_repl_offset", "0")),
        link_up=info.get("master_link_status") == "up",
        syncing=info.get("master_sync_in_progress") == "1",
        followers=tuple(filter(None, (_follower(info[name]) for name in _followers(info)))),
        priority=priority,
        heard_ago=int(info.get("master_last_io_seconds_ago", "0")),
        clients=int(info.get("connected_clients", "0")),
    )


def _followers(info: Mapping[str, str]) -> list[str]:
    # By what is there, not by `connected_slaves`: who writes that may write any number.
    return [name for name in info if re.fullmatch(r"slave\d+", name)]


def _follower(listed: str) -> Follower | None:
    """`ip=10.40.16.4,port=6380,state=online,offset=890,lag=1`; None where it announced another text than an address."""
    try:
        found = dict(item.split("=", 1) for item in listed.split(","))
        address = str(IPv4Address(found["ip"]))
        return Follower(address, int(found["offset"]), found["state"], int(found.get("lag", "0")))
    except (LookupError, ValueError):
        return None


@dataclass(frozen=True)
class Sight:
    """What is seen of a Redis now."""

    details: Details | None
    """What it last said; None when it does not answer."""
    state: State
    silent_for: float = 0.0
    """Seconds since the first question that it has not answered; 0 while it answers."""

    @property
    def busy(self) -> bool:
        """Whether its process is there, and too busy to answer."""
        return self.details is None and self.state in (State.BUSY, State.UP)


class Watched:
    """One Redis, looked at again and again. `changed` is called when its role or its readiness did."""

    def __init__(self, address: str, identity: Identity, login: resp.Login, changed: Callable[[], None]) -> None:
        self.address = address
        self.details: Details | None = None
        """What it last said; None when it does not answer."""
        self._changed = changed
        self._unanswered_since = time.monotonic()
        self._rest: dict[str, str] = {}
        self._link = Link(address, identity.redis_port, login, self._link_changed)

    @property
    def server(self) -> Server:
        if self.details:
            return self.details.server
        return Server(Role.DOWN if self._link.state is State.REFUSED else Role.SILENT)

    def sight(self) -> Sight:
        silent_for = 0.0 if self.details else time.monotonic() - self._unanswered_since
        return Sight(self.details, self._link.state, silent_for)

    def look(self) -> None:
        """Ask for what changes: to be called eight times a second, or as often as it matters."""
        self._link.expire()
        if self._link.idle:
            if self.details is None or self.details.server.role is Role.DOWN:
                # Just started, or loading: what it holds changes any moment.
                self.look_around()
            self._unanswered_since = min(self._unanswered_since, time.monotonic())
            self._link.ask(self._replication, "INFO", "replication")

    def look_around(self) -> None:
        """Ask for the rest: to be called every second."""
        self._link.ask(self._everything, "INFO")

    def tell(self, then: Callable[[resp.Reply], None], *words: object) -> None:
        self._link.ask(then, *words)

    def _link_changed(self) -> None:
        if self._link.state is not State.UP:
            # After a restart nothing of what was said before holds.
            self.details, self._rest = None, {}
            self._unanswered_since = min(self._unanswered_since, time.monotonic())
        else:
            self.look()
        self._changed()

    def _everything(self, reply: resp.Reply) -> None:
        if isinstance(reply, str):
            # What `details` reads beside the section `replication`, and nothing of the hundred others.
            found = resp.fields(reply)
            self._rest = {name: found[name] for name in found if name in REST or name.startswith("db")}

    def _replication(self, reply: resp.Reply) -> None:
        if not isinstance(reply, str) or not self._rest:
            return
        self._unanswered_since = float("inf")
        before, self.details = self.details, details(self._rest | resp.fields(reply))
        if before is None or _matters(before) != _matters(self.details):
            self._changed()


def _matters(found: Details) -> tuple[object, ...]:
    return found.server, found.link_up, found.syncing, found.priority, found.heard_ago >= STALE_AFTER


class Servers:
    """Every data node: the own one and its peers, by address."""

    def __init__(self, identity: Identity, login: resp.Login, changed: Callable[[], None]) -> None:
        self._identity, self._login, self._changed = identity, login, changed
        self._watched: dict[str, Watched] = {}

    def start(self) -> None:
        for address in self._identity.data.values():
            self._watched[address] = Watched(address, self._identity, self._login, self._changed)

    def look(self) -> None:
        for watched in self._watched.values():
            watched.look()

    def look_around(self) -> None:
        for watched in self._watched.values():
            watched.look_around()

    def sight(self, address: str) -> Sight:
        return self._watched[address].sight()

    def at(self, address: str) -> Details | None:
        watched = self._watched.get(address)
        return watched.details if watched else None

    def leader(self) -> str | None:
        """Address of the one that says that it leads; None where none does, or several do."""
        leading = [address for address, watched in self._watched.items() if watched.server.role is Role.LEADER]
        return leading[0] if len(leading) == 1 else None

    def own(self) -> Watched:
        return self._watched[self._identity.address]

    def look_at(self, address: str) -> None:
        if address in self._watched:
            self._watched[address].look()

    def others(self) -> list[Sight]:
        """What is seen of the other nodes' Redis."""
        mine = self._identity.address
        return [watched.sight() for address, watched in self._watched.items() if address != mine]

    def peers(self, members: Collection[str]) -> dict[str, Server]:
        """The other nodes' Redis: of all these members, and of whoever else answers."""
        others = (watched for address, watched in self._watched.items() if address != self._identity.address)
        return {one.address: one.server for one in others if one.details or one.address in members}
