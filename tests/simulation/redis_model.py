"""Redis, as far as anything here depends on it: roles, its stream and who has it, links and their age, its disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from holdfast_node.resp import Parser, Refused

from tests.simulation.world import End, Process

PORT = 6380
FIRST = ["replica-priority", "1"]
NOBODY = "127.0.0.1"
STEP = 100
"""Bytes of the stream for a write, and for a ping."""

TIMEOUT, CRON = 40.0, 0.1
QUICK_RESYNC, SLOW_RESYNC = (0.05, 2.0), (4.0, 12.0)
"""Seconds that a full resync takes, at least and at most: of some data, and of much."""


@dataclass(frozen=True)
class Entry:
    """Of the stream: a write, or None for a ping; `offset` is where it ends."""

    offset: int
    write: int | None


@dataclass
class Disk:
    writes: list[int] = field(default_factory=list)


@dataclass
class Follower:
    end: End
    address: str
    offset: int
    acknowledged_at: float
    online: bool = True


class Redis:
    """One process; made anew at each of its starts, from what is on disk."""

    def __init__(
        self,
        process: Process,
        disk: Disk,
        *,
        minimum: int,
        persists: bool,
        loading: float = 0.0,
        resync: tuple[float, float] = QUICK_RESYNC,
    ) -> None:
        self.process, self.world, self.address = process, process.world, process.host.address
        self._disk, self._minimum, self._resync = disk, minimum, resync
        self.run_id = f"{self.world.random.getrandbits(40):010x}"
        self.writes: list[int] = list(disk.writes) if persists else []
        self._persists = persists
        self.leads, self.leader = False, NOBODY
        self.term = 0
        """Numbers each time that anybody begins to lead."""
        self.replid, self.offset = self._new_id(), 0
        self.replid2, self.second_offset = "", -1
        self.backlog: list[Entry] = []
        self.backlog_from = 0
        self.settings = {"replica-priority": "0", "min-replicas-max-lag": "2", "repl-ping-replica-period": "1"}
        """What can be set while it runs, as redis.conf has it."""
        self._pinged_at = self.world.now
        self._paused_until = float("-inf")
        self.link: End | None = None
        self.link_up = self.syncing = False
        self.down_since: float | None = None
        self.heard_at = 0.0
        self.followers: dict[End, Follower] = {}
        self._sessions: dict[End, Session] = {}
        self.subscribers: list[End] = []
        self._waiting: list[tuple[int, int, float, Callable[[Any], None]]] = []
        self.loading_until = self.world.now + loading
        process.listen(PORT, self._accept)
        process.every(CRON, self._cron)

    def _new_id(self) -> str:
        return f"{self.world.random.getrandbits(40):010x}"

    @property
    def loading(self) -> bool:
        return self.world.now < self.loading_until

    @property
    def priority(self) -> int:
        return int(self.settings["replica-priority"])

    @property
    def max_lag(self) -> int:
        return int(self.settings["min-replicas-max-lag"])

    @property
    def paused(self) -> bool:
        return self.world.now < self._paused_until

    def pause_writes(self, seconds: float) -> None:
        """Whoever sends one is not answered until then, nor anything that it sends after that."""
        self.world.tell(f"redis {self.address}", f"pauses writes for {seconds:g} s at most")
        self._paused_until = max(self._paused_until, self.world.now + seconds)
        self.process.later(seconds + 0.001, self._go_on)

    def resume_writes(self) -> None:
        self._paused_until = float("-inf")
        self._go_on()

    def _go_on(self) -> None:
        if not self.paused:
            for session in list(self._sessions.values()):
                session.go_on()

    def _accept(self, end: End) -> None:
        self._sessions[end] = session = Session(self, end)
        end.received = session.receive
        end.ended = lambda: self._drop(end)

    def _drop(self, end: End) -> None:
        self._sessions.pop(end, None)
        self.followers.pop(end, None)

    # What is asked.

    def info(self) -> str:
        found: dict[str, object] = {
            "redis_version": "7.0.15",
            "run_id": self.run_id,
            "loading": int(self.loading),
            "rdb_bgsave_in_progress": 0,
            "rdb_last_bgsave_status": "ok",
            "aof_enabled": 1,
            "role": "master" if self.leads else "slave",
            "master_replid": self.replid,
            "master_repl_offset": self.offset,
        }
        if not self.leads:
            down = int(self.world.now - self.down_since) if self.down_since is not None else -1
            found |= {
                "master_host": self.leader,
                "master_port": PORT,
                "master_link_status": "up" if self.link_up else "down",
                "master_sync_in_progress": int(self.syncing),
                "slave_repl_offset": self.offset or 1,
                "slave_priority": self.priority,
                "master_last_io_seconds_ago": int(self.world.now - self.heard_at) if self.link_up else -1,
            }
            if not self.link_up:
                found["master_link_down_since_seconds"] = down
        found["connected_slaves"] = len(self.followers)
        for number, one in enumerate(self.followers.values()):
            state, lag = "online" if one.online else "send_bulk", int(self.world.now - one.acknowledged_at)
            found[f"slave{number}"] = f"ip={one.address},port={PORT},state={state},offset={one.offset},lag={lag}"
        if self.writes and not self.loading:
            found["db0"] = f"keys={len(self.writes)},expires=0,avg_ttl=0"
        return "".join(f"{name}:{value}\r\n" for name, value in found.items())

    def good_replicas(self) -> int:
        """Lag counts whole seconds."""
        oldest = self.world.now - self.max_lag - 1
        return sum(one.online and one.acknowledged_at > oldest for one in self.followers.values())

    def write(self, number: int) -> Any:
        if self.loading:
            return Refused("LOADING")
        if not self.leads:
            return Refused("READONLY")
        if self.good_replicas() < self._minimum:
            return Refused("NOREPLICAS")
        self._append(number)
        return self.offset

    def wait(self, copies: int, offset: int, seconds: float, then: Callable[[Any], None]) -> None:
        """`then` gets how many replicas have it, when there are enough, or after so many seconds."""
        self._waiting.append((copies, offset, self.world.now + seconds, then))
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        still = []
        for copies, offset, deadline, then in self._waiting:
            have = sum(one.online and one.offset >= offset for one in self.followers.values())
            if have >= copies or self.world.now >= deadline:
                then(have)
            else:
                still.append((copies, offset, deadline, then))
        self._waiting = still

    # What is done.

    def replicaof(self, address: str | None) -> None:
        if address is None:
            if self.leads:
                return
            self.replid2, self.second_offset = self.replid, self.offset
            self.replid, self.leads = self._new_id(), True
            self.world.terms += 1
            self.term = self.world.terms
            self._unlink()
            self.down_since = None
        elif self.leads or address != self.leader:
            self.leads, self.leader = False, address
            self._unlink()
            self.down_since = None
            for end in list(self.followers):
                self._drop(end)
                end.close()
            self._connect()

    def kill_sessions(self, besides: End | None) -> None:
        for end, session in list(self._sessions.items()):
            if end is not besides and end not in self.followers and not session.keeps:
                self._drop(end)
                end.close()

    def _append(self, write: int | None) -> None:
        self.offset += STEP
        entry = Entry(self.offset, write)
        self.backlog.append(entry)
        if write is not None:
            self.writes.append(write)
            self._persist(write)
        for one in self.followers.values():
            if one.online:
                one.end.send(("entry", entry))

    def _persist(self, write: int) -> None:
        if self._persists:
            self._disk.writes.append(write)

    def _cron(self) -> None:
        now = self.world.now
        if now - self._pinged_at >= int(self.settings["repl-ping-replica-period"]):
            self._pinged_at = now
            if self.leads and self.followers:
                self._append(None)
        if self.link is not None and now - self.heard_at > TIMEOUT:
            self._lose_link()
        for end, one in list(self.followers.items()):
            if one.online and now - one.acknowledged_at > TIMEOUT:
                self._drop(end)
                end.close()
        if not self.leads and self.link is None and not self.loading:
            self._connect()
        if self.link is not None and self.link_up and int(now * 10) % 10 == 0:
            self.link.send(("ack", self.offset))
        self._serve_waiting()

    # As a replica.

    def _connect(self) -> None:
        leader = self.leader
        if leader == NOBODY or self._connecting == leader:
            return
        self._connecting = leader

        def made(end: End) -> None:
            self._connecting = None
            if self.leads or self.leader != leader or self.link is not None:
                end.close()
                return
            self.link, self.heard_at = end, self.world.now
            end.received = self._from_leader
            end.ended = self._lose_link
            end.send(("psync", self.address, self.replid, self.offset))

        def refused() -> None:
            self._connecting = None

        self.process.connect(leader, PORT, made, refused)
        # An attempt that nothing comes of ends: the next one is made by the cron.
        self.process.later(5.0, refused)

    _connecting: str | None = None

    def _unlink(self) -> None:
        self._connecting = None
        if self.link is not None:
            self.link.close()
        self.link, self.link_up, self.syncing = None, False, False

    def _lose_link(self) -> None:
        if self.link_up:
            self.down_since = self.world.now
        self._unlink()

    def _from_leader(self, message: tuple[Any, ...]) -> None:
        self.heard_at = self.world.now
        kind, *rest = message
        if kind == "continue":
            self.replid, self.link_up = rest[0], True
            self._acknowledge_all()
        elif kind == "full":
            self.syncing = True
        elif kind == "data":
            replid, offset, writes = rest
            self.replid, self.offset, self.writes = replid, offset, list(writes)
            self.backlog, self.backlog_from = [], offset
            self.replid2, self.second_offset = "", -1
            if self._persists:
                self._disk.writes = list(writes)
            self.syncing, self.link_up = False, True
            self._acknowledge_all()
        elif kind == "entry":
            entry: Entry = rest[0]
            self.offset = entry.offset
            self.backlog.append(entry)
            if entry.write is not None:
                self.writes.append(entry.write)
                self._persist(entry.write)
            if self.link is not None:
                self.link.send(("ack", self.offset))

    def _acknowledge_all(self) -> None:
        self.down_since = None
        if self.link is not None:
            self.link.send(("ack", self.offset))

    # As a leader, towards one of them.

    def psync(self, end: End, address: str, replid: str, offset: int) -> None:
        if not self.leads or self.loading:
            self._drop(end)
            end.close()
            return
        follower = self.followers[end] = Follower(end, address, offset, self.world.now)
        known = replid == self.replid or (replid == self.replid2 and offset <= self.second_offset)
        if known and self.backlog_from <= offset <= self.offset:
            end.send(("continue", self.replid))
            for entry in self.backlog:
                if entry.offset > offset:
                    end.send(("entry", entry))
            return
        follower.online = False
        end.send(("full",))

        def fed() -> None:
            if end.open and self.leads:
                end.send(("data", self.replid, self.offset, list(self.writes)))
                follower.online, follower.acknowledged_at = True, self.world.now

        self.process.later(self.world.random.uniform(*self._resync), fed)

    def acknowledge(self, end: End, offset: int) -> None:
        if end in self.followers:
            self.followers[end].offset, self.followers[end].acknowledged_at = offset, self.world.now
            self._serve_waiting()


class Session:
    """A connection to a Redis: of the node program, which speaks its protocol, or of another model, in tuples."""

    def __init__(self, redis: Redis, end: End) -> None:
        self._redis, self._end = redis, end
        self._parser = Parser()
        self._queued: list[list[str]] | None = None
        self._postponed: deque[Any] = deque()
        """A write that came while they are paused, and all after it."""
        self.keeps = False
        """Whether it is not ended when a leader changes: it listens only."""

    def receive(self, data: Any) -> None:
        for message in self._parser.feed(data) if isinstance(data, bytes) else [data]:
            self._postponed.append(message)
        self.go_on()

    def go_on(self) -> None:
        while self._postponed and self._end.open and not (self._redis.paused and _writes(self._postponed[0])):
            self._obey(self._postponed.popleft())

    def _obey(self, message: Any) -> None:
        if isinstance(message, list):
            self._end.send(encode(self._command(message)))
            return
        kind, *rest = message
        if kind == "psync":
            self._redis.psync(self._end, *rest)
        elif kind == "ack":
            self._redis.acknowledge(self._end, *rest)
        elif kind == "write":
            self._end.send(("written", rest[0], self._redis.write(rest[0]), self._redis.term))
        elif kind == "wait":
            number, *how = rest
            self._redis.wait(*how, lambda have: self._end.send(("copies", number, have)))
        elif kind == "command":
            then, words = rest
            self._end.send((then, self._command(list(words))))
        elif kind == "subscribe":
            self.keeps = True
            self._redis.subscribers.append(self._end)

    def _command(self, words: list[str]) -> Any:
        name = words[0].upper()
        if self._queued is not None and name != "EXEC":
            self._queued.append(words)
            return "QUEUED"
        if name == "MULTI":
            self._queued = []
            return "OK"
        if name == "EXEC":
            queued, self._queued = self._queued or [], None
            return [self._command(one) for one in queued]
        if name == "REPLICAOF":
            self._redis.replicaof(None if words[1].upper() == "NO" else words[1])
        elif name == "CONFIG" and words[1] == "SET":
            self._redis.settings[words[2]] = words[3]
            if words[2:] == FIRST:
                self._redis.world.tell(f"redis {self._redis.address}", "comes before all others")
        elif name == "CONFIG":
            return [words[2], self._redis.settings[words[2]]]
        elif name == "CLIENT" and words[1] == "PAUSE":
            self._redis.pause_writes(int(words[2]) / 1000)
        elif name == "CLIENT" and words[1] == "UNPAUSE":
            self._redis.resume_writes()
        elif name == "CLIENT":
            self._redis.kill_sessions(self._end)
        elif name == "INFO":
            return self._redis.info()
        elif name == "BGSAVE":
            return "Background saving started"
        elif name == "PUBLISH":
            for end in self._redis.subscribers:
                end.send(("hello", words[1]))
        elif name == "PING":
            if self._redis.loading:
                return Refused("LOADING")
            # It serves nothing old: see `replica-serve-stale-data`.
            return "PONG" if self._redis.leads or self._redis.link_up else Refused("MASTERDOWN")
        return "OK"


def _writes(message: Any) -> bool:
    """Whether it waits while writes are paused: what is published goes into the stream too."""
    return message[0] == "write" or (message[0] == "command" and message[2][0] == "PUBLISH")


def encode(reply: Any) -> bytes:
    if isinstance(reply, Refused):
        return b"-%s\r\n" % str(reply).encode()
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, list):
        return b"*%d\r\n" % len(reply) + b"".join(map(encode, reply))
    if reply is None:
        return b"$-1\r\n"
    text = str(reply).encode()
    return b"$%d\r\n%s\r\n" % (len(text), text)
