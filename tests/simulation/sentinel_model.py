"""Sentinel 7.0, as its source has it: what it asks and how old that is, who it misses, elections, failovers, greetings.

The names are those of sentinel.c, where there is one. Times are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from holdfast_node.resp import Parser, Refused, fields

from tests.simulation import redis_model
from tests.simulation.redis_model import encode
from tests.simulation.world import End, Process

PORT = 26379
TICK = (0.05, 0.1)
HELLO_PERIOD = 2.0
ELECTION_TIMEOUT = 10.0
MAX_DESYNC = 1.0
RECONNECT = 1.0
MIN_LINK_RECONNECT = 15.0
TILT_TRIGGER = 2.0
SLAVE_RECONF_TIMEOUT = 10.0


@dataclass(eq=False)
class Instance:
    """A Redis or another Sentinel as one Sentinel sees it."""

    address: str
    port: int
    link: End | None = None
    listening: End | None = None
    connecting: bool = False
    tried_at: float = float("-inf")
    listening_at: float = float("-inf")
    """When it began to listen there."""
    heard_at: float = float("-inf")
    act_ping: float | None = None
    """When the ping was sent that nobody has answered yet."""
    last_ping: float = float("-inf")
    last_avail: float = 0.0
    last_pong: float = 0.0
    info_refresh: float | None = None
    last_hello: float = float("-inf")
    s_down_since: float | None = None
    pending: int = 0
    # A Redis, by its INFO.
    role_reported: str = "master"
    role_reported_at: float = 0.0
    run_id: str = ""
    rebooted_at: float | None = None
    priority: int = 100
    offset: int = 0
    follows: str = ""
    link_up: bool = False
    down_time: float = 0.0
    promoted: bool = False
    reconf: str = ""
    reconf_at: float = 0.0
    conf_change: float = 0.0
    # Another Sentinel.
    master_down: bool = False
    vote: tuple[str, int] = ("", 0)
    last_down_reply: float = float("-inf")


@dataclass
class Kept:
    """The configuration file: it survives a restart."""

    epoch: int = 0
    master: str = ""
    config_epoch: int = 0
    leader: str = ""
    leader_epoch: int = 0
    replicas: list[str] = field(default_factory=list)
    sentinels: list[str] = field(default_factory=list)


class Sentinel:
    def __init__(
        self, process: Process, kept: Kept, *, quorum: int, down_after: float, failover_timeout: float
    ) -> None:
        self.process, self.world, self.address, self.kept = process, process.world, process.host.address, kept
        self.quorum, self.down_after, self.failover_timeout = quorum, down_after, failover_timeout
        self.ping_period, self.ask_period, self.info_period, self.tilt_period = min(1.0, down_after), 1.0, 10.0, 30.0
        now = self.world.now
        self.master = self._master(kept.master)
        self.replicas: dict[str, Instance] = {}
        for one in kept.replicas:
            self._know_replica(one)
        self.sentinels = {one: self._instance(one, PORT) for one in kept.sentinels}
        self.o_down_since: float | None = None
        self.state = ""
        """Of a failover: "", wait_start, select, send_noone, wait_promotion, reconf, update."""
        self.state_at = 0.0
        self.start_at = float("-inf")
        self.failover_epoch = 0
        self.forced = False
        self.promoted: Instance | None = None
        self.tilt_since: float | None = None
        self._ticked_at = now
        self._listeners: dict[End, set[str]] = {}
        """Who listens, and to which events."""
        self._full_until = float("-inf")
        process.listen(PORT, self._accept)
        self._again()

    def _instance(self, address: str, port: int = redis_model.PORT) -> Instance:
        now = self.world.now
        one = Instance(address, port)
        one.last_avail = one.last_pong = one.role_reported_at = one.conf_change = now
        one.act_ping = now
        one.last_hello = now
        if port == redis_model.PORT:
            one.role_reported = "slave"
        return one

    def _master(self, address: str) -> Instance:
        one = self._instance(address)
        one.role_reported = "master"
        return one

    def _know_replica(self, address: str) -> None:
        """In any order, as by a hash table: who is asked first, at the same moment, decides how long a step takes."""
        if address != self.master.address:
            known = list(self.replicas.items())
            known.insert(self.world.random.randint(0, len(known)), (address, self._instance(address)))
            self.replicas = dict(known)

    # The timer.

    def _again(self) -> None:
        self.process.later(self.world.random.uniform(*TICK), self._tick)

    def _tick(self) -> None:
        now = self.world.now
        if now - self._ticked_at > TILT_TRIGGER:
            self.tilt_since = now
        self._ticked_at = now
        for one in [self.master, *self.replicas.values(), *self.sentinels.values()]:
            self._reconnect(one)
            self._send_periodic(one)
        if self.tilt_since is not None and now - self.tilt_since < self.tilt_period:
            self._again()
            return
        self.tilt_since = None
        for one in [self.master, *self.replicas.values(), *self.sentinels.values()]:
            self._check_subjectively_down(one)
        self._check_objectively_down()
        if self._start_if_needed():
            self._ask_others(forced=True)
        self._state_machine()
        self._ask_others(forced=False)
        self._again()

    def _reconnect(self, one: Instance) -> None:
        now = self.world.now
        if one.link is None and not one.connecting and now - one.tried_at >= RECONNECT:
            one.connecting, one.tried_at = True, now

            def made(end: End) -> None:
                one.connecting = False
                one.link, one.pending = end, 0
                end.received = lambda message: self._answered(one, message)
                end.ended = lambda: self._cut(one, end)
                self._ping(one)

            def refused() -> None:
                one.connecting = False

            self.process.connect(one.address, one.port, made, refused)
            # Such an attempt is given up like a link whose ping nobody answers.
            self.process.later(max(self.down_after, RECONNECT), refused)
        if one.port == redis_model.PORT and one.listening is None and one.link is not None:
            one.listening, one.listening_at, one.heard_at = one.link, now, now

            def listens(end: End) -> None:
                one.listening = end
                end.received = lambda message: self._heard(one, message)
                end.ended = lambda: self._deaf(one, end)
                end.send(("subscribe",))

            def deaf() -> None:
                one.listening = None

            self.process.connect(one.address, one.port, listens, deaf)

    def _cut(self, one: Instance, end: End) -> None:
        if one.link is end:
            one.link, one.pending = None, 0

    def _deaf(self, one: Instance, end: End) -> None:
        if one.listening is end:
            one.listening = None

    def _drop(self, one: Instance) -> None:
        if one.link is not None:
            one.link.close()
            one.link, one.pending = None, 0
        self._end_listening(one)

    def _end_listening(self, one: Instance) -> None:
        if one.listening is not None:
            if one.listening.open:
                one.listening.close()
            one.listening = None

    def _command(self, one: Instance, then: str, *words: object) -> None:
        if one.link is not None and one.pending < 100:
            one.pending += 1
            if one.port == PORT:
                one.link.send((then, *words))
            else:
                one.link.send(("command", then, words))

    def _ping(self, one: Instance) -> None:
        if one.link is None:
            return
        one.last_ping = self.world.now
        if one.act_ping is None:
            one.act_ping = self.world.now
        self._command(one, "ping", "PING")

    def _send_periodic(self, one: Instance) -> None:
        now = self.world.now
        if one.link is None:
            return
        if one.port == redis_model.PORT:
            hurried = one is not self.master and (
                self.o_down_since is not None or self.state or (one.info_refresh is not None and not one.link_up)
            )
            period = 1.0 if hurried else self.info_period
            if one.info_refresh is None or now - one.info_refresh > period:
                self._command(one, "info", "INFO")
        if now - one.last_pong > self.ping_period and now - one.last_ping > self.ping_period / 2:
            self._ping(one)
        if one.port == redis_model.PORT and now - one.last_hello > HELLO_PERIOD:
            one.last_hello = now
            self._command(one, "hello", "PUBLISH", self._greeting())

    def _greeting(self) -> tuple[object, ...]:
        address = self._current_address()
        return self.address, self.kept.epoch, address, self.kept.config_epoch

    def _current_address(self) -> str:
        if self.promoted is not None and self.state in ("reconf", "update"):
            return self.promoted.address
        return self.master.address

    # What others answer.

    def _answered(self, one: Instance, message: tuple[Any, ...]) -> None:
        one.pending = max(one.pending - 1, 0)
        then, reply, *rest = message
        now = self.world.now
        if then == "ping":
            if reply == "PONG" or (isinstance(reply, Refused) and str(reply).startswith(("LOADING", "MASTERDOWN"))):
                one.last_avail, one.act_ping = now, None
                one.rebooted_at = None if reply == "PONG" else one.rebooted_at
            one.last_pong = now
        elif then == "info" and isinstance(reply, str):
            self._refresh(one, fields(reply))
        elif then == "down":
            one.last_down_reply, one.master_down = now, bool(reply)
            leader, epoch = rest
            if leader:
                one.vote = (leader, epoch)

    def _refresh(self, one: Instance, info: dict[str, str]) -> None:
        now = self.world.now
        one.info_refresh = now
        if one.run_id and one.run_id != info["run_id"] and one is self.master:
            one.rebooted_at = now
        one.run_id = info["run_id"]
        role = info["role"]
        if role == "master":
            for number in range(int(info["connected_slaves"])):
                address = info[f"slave{number}"].split(",")[0].removeprefix("ip=")
                if one is self.master and address not in self.replicas:
                    self._know_replica(address)
                    self._keep()
        else:
            if info["master_host"] != one.follows:
                one.follows, one.conf_change = info["master_host"], now
            one.link_up = info["master_link_status"] == "up"
            one.down_time = float(info.get("master_link_down_since_seconds", 0))
            one.priority, one.offset = int(info["slave_priority"]), int(info["slave_repl_offset"])
        if role != one.role_reported:
            one.role_reported, one.role_reported_at = role, now
            if role == "slave":
                one.conf_change = now
        if self.tilt_since is not None:
            return
        if one is not self.master and role == "master":
            if one.promoted and self.state == "wait_promotion":
                self.kept.config_epoch = self.failover_epoch
                self._enter("reconf")
                self._event("+promoted-slave", f"slave {one.address}:6380 {one.address} 6380")
                self._keep()
                self._greet_all()
            elif (
                not one.promoted
                and self.master.role_reported == "master"
                and self._sane()
                and self._no_down_for(one, HELLO_PERIOD * 4)
                and now - one.role_reported_at > HELLO_PERIOD * 4
            ):
                self._replicaof(one, self.master.address)
        if (
            one is not self.master
            and role == "slave"
            and one.role_reported == "slave"
            and one.follows != self.master.address
            and not self.state
            and self._sane()
            and self._no_down_for(one, self.failover_timeout)
            and now - one.conf_change > self.failover_timeout
        ):
            self._replicaof(one, self.master.address)
        if one.reconf == "sent" and one.follows == (self.promoted.address if self.promoted else ""):
            one.reconf = "prog"
        if one.reconf == "prog" and one.link_up:
            one.reconf = "done"

    def _sane(self) -> bool:
        master = self.master
        fresh = master.info_refresh is not None and self.world.now - master.info_refresh < self.info_period * 2
        return master.role_reported == "master" and master.s_down_since is None and self.o_down_since is None and fresh

    def _no_down_for(self, one: Instance, seconds: float) -> bool:
        return one.s_down_since is None or self.world.now - one.s_down_since > seconds

    def _replicaof(self, one: Instance, leader: str | None) -> None:
        for words in (
            ("MULTI",),
            ("REPLICAOF", leader or "NO", "ONE"),
            ("CLIENT", "KILL", "TYPE", "normal"),
            ("EXEC",),
        ):
            self._command(one, "sent", *words)

    def _heard(self, through: Instance, message: tuple[Any, ...]) -> None:
        through.heard_at = self.world.now
        kind, (address, epoch, master, config_epoch) = message
        if kind != "hello" or address == self.address:
            return
        if address not in self.sentinels:
            self.sentinels[address] = self._instance(address, PORT)
            self._keep()
        if epoch > self.kept.epoch:
            self.kept.epoch = epoch
        if config_epoch > self.kept.config_epoch:
            self.kept.config_epoch = config_epoch
            if master != self.master.address:
                self._event("+config-update-from", address)
                self._switch(master)

    # Whom it misses.

    def _check_subjectively_down(self, one: Instance) -> None:
        now = self.world.now
        elapsed = 0.0
        if one.act_ping is not None:
            elapsed = now - one.act_ping
        elif one.link is None:
            elapsed = now - one.last_avail
        if one.link is not None and one.act_ping is not None and now - one.act_ping > self.down_after / 2:
            waits = now - one.last_pong > self.down_after / 2
            if waits and now - one.tried_at > MIN_LINK_RECONNECT:
                self._drop(one)
        heard = one.listening is None or now - one.heard_at <= 3 * HELLO_PERIOD
        if not heard and now - one.listening_at > MIN_LINK_RECONNECT:
            self._end_listening(one)
        reports_wrong = (
            one is self.master
            and one.role_reported == "slave"
            and now - one.role_reported_at > self.down_after + self.info_period * 2
        )
        rebooted = one is self.master and one.rebooted_at is not None and now - one.rebooted_at > self.down_after
        down = elapsed > self.down_after or reports_wrong or rebooted
        if down is (one.s_down_since is not None):
            return
        one.s_down_since = now if down else None
        if one is self.master:
            self._event("+sdown" if down else "-sdown", f"master lab {one.address} {one.port}")

    def _check_objectively_down(self) -> None:
        votes = 0
        if self.master.s_down_since is not None:
            votes = 1 + sum(one.master_down for one in self.sentinels.values())
        down = votes >= self.quorum
        if down is (self.o_down_since is not None):
            return
        self.o_down_since = self.world.now if down else None
        self._event("+odown" if down else "-odown", f"master lab {self.master.address} {self.master.port}")

    def _ask_others(self, *, forced: bool) -> None:
        now = self.world.now
        for one in self.sentinels.values():
            if now - one.last_down_reply > self.ask_period * 5:
                one.master_down, one.vote = False, ("", 0)
            if self.master.s_down_since is None or one.link is None:
                continue
            if not forced and now - one.last_down_reply < self.ask_period:
                continue
            candidate = self.address if self.state else ""
            self._command(one, "is-down", self.master.address, self.kept.epoch, candidate)

    # Elections and failovers.

    def _start_if_needed(self) -> bool:
        if self.o_down_since is None or self.state:
            return False
        if self.world.now - self.start_at < self.failover_timeout * 2:
            return False
        self._start()
        return True

    def _start(self) -> None:
        self._enter("wait_start")
        self.kept.epoch += 1
        self.failover_epoch = self.kept.epoch
        self.start_at = self.world.now + self.world.random.uniform(0, MAX_DESYNC)
        self._event("+try-failover", f"master lab {self.master.address} {redis_model.PORT}")

    def _enter(self, state: str) -> None:
        self.state, self.state_at = state, self.world.now

    def _vote(self, epoch: int, candidate: str) -> tuple[str, int]:
        kept = self.kept
        if epoch > kept.epoch:
            kept.epoch = epoch
        if kept.leader_epoch < epoch and kept.epoch <= epoch:
            kept.leader, kept.leader_epoch = candidate, kept.epoch
            self._event("+vote-for-leader", f"{candidate} {kept.epoch}")
            if candidate != self.address:
                self.start_at = self.world.now + self.world.random.uniform(0, MAX_DESYNC)
        return kept.leader, kept.leader_epoch

    def _elected(self) -> str | None:
        counts: dict[str, int] = {}
        for one in self.sentinels.values():
            leader, epoch = one.vote
            if leader and epoch == self.kept.epoch:
                counts[leader] = counts.get(leader, 0) + 1
        winner = max(counts, key=lambda leader: counts[leader], default=None)
        mine, epoch = self._vote(self.failover_epoch, winner or self.address)
        if mine and epoch == self.failover_epoch:
            counts[mine] = counts.get(mine, 0) + 1
        best = max(counts, key=lambda leader: counts[leader], default=None)
        voters = len(self.sentinels) + 1
        if best is not None and counts[best] >= max(voters // 2 + 1, self.quorum):
            return best
        return None

    def _state_machine(self) -> None:
        now = self.world.now
        if self.state == "wait_start":
            # It votes, also where it was told to go on without the others.
            if self._elected() != self.address and not self.forced:
                if now - self.start_at > min(ELECTION_TIMEOUT, self.failover_timeout):
                    self._abort("-failover-abort-not-elected")
                return
            self._event("+elected-leader", f"master lab {self.master.address} {self.master.port}")
            self._enter("select")
        elif self.state == "select":
            chosen = self._select()
            if chosen is None:
                self._abort("-failover-abort-no-good-slave")
            else:
                chosen.promoted, self.promoted = True, chosen
                self._enter("send_noone")
                self._event("+selected-slave", f"slave {chosen.address}:6380 {chosen.address} 6380")
                self._event(
                    "+failover-state-send-slaveof-noone",
                    f"slave {chosen.address}:6380 {chosen.address} 6380 @ lab {self.master.address} 6380",
                )
        elif self.state == "send_noone":
            assert self.promoted is not None
            if self.promoted.link is None:
                if now - self.state_at > self.failover_timeout:
                    self._abort("-failover-abort-slave-timeout")
                return
            self._replicaof(self.promoted, None)
            self._enter("wait_promotion")
        elif self.state == "wait_promotion":
            if now - self.state_at > self.failover_timeout:
                self._abort("-failover-abort-slave-timeout")
        elif self.state == "reconf":
            self._reconfigure()
        elif self.state == "update":
            assert self.promoted is not None
            self._switch(self.promoted.address)

    def _select(self) -> Instance | None:
        now, found = self.world.now, []
        allowed = self.down_after * 10
        if self.master.s_down_since is not None:
            allowed += now - self.master.s_down_since
        validity = self.ping_period * 5 if self.master.s_down_since is not None else self.info_period * 3
        for one in self.replicas.values():
            if one.s_down_since is not None or one.link is None:
                continue
            if now - one.last_avail > self.ping_period * 5 or one.priority == 0:
                continue
            if one.info_refresh is None or now - one.info_refresh > validity or one.down_time > allowed:
                continue
            found.append(one)
        return min(found, key=lambda one: (one.priority, -one.offset, one.run_id), default=None)

    def _reconfigure(self) -> None:
        assert self.promoted is not None
        now = self.world.now
        others = [one for one in self.replicas.values() if one is not self.promoted]
        waiting = [one for one in others if one.reconf != "done" and one.s_down_since is None]
        if now - self.state_at > self.failover_timeout:
            self._event("+failover-end-for-timeout", f"master lab {self.master.address} {self.master.port}")
            for one in others:
                if one.reconf in ("", "sent") and one.link is not None:
                    self._replicaof(one, self.promoted.address)
            waiting = []
        if not waiting:
            self._event("+failover-end", f"master lab {self.master.address} {self.master.port}")
            self._enter("update")
            return
        in_progress = sum(one.reconf in ("sent", "prog") for one in others)
        for one in waiting:
            if one.reconf == "sent" and now - one.reconf_at > SLAVE_RECONF_TIMEOUT:
                one.reconf = ""
            if one.reconf == "" and one.link is not None and in_progress < 2:
                self._replicaof(one, self.promoted.address)
                one.reconf, one.reconf_at = "sent", now
                in_progress += 1

    def _abort(self, event: str) -> None:
        self._event(event, "master lab")
        self.state, self.forced = "", False
        if self.promoted is not None:
            self.promoted.promoted = False
        self.promoted = None

    def _switch(self, address: str) -> None:
        old = self.master.address
        known = {old, *self.replicas} - {address}
        for one in [self.master, *self.replicas.values()]:
            self._drop(one)
        self.master = self._master(address)
        self.replicas = {}
        for one in sorted(known):
            self._know_replica(one)
        self.state, self.promoted, self.forced, self.o_down_since = "", None, False, None
        self.start_at = float("-inf")
        for one in self.sentinels.values():
            one.master_down, one.vote = False, ("", 0)
        self._keep()
        self._event("+switch-master", f"lab {old} 6380 {address} 6380")

    def _reset(self) -> None:
        """It forgets all others and all replicas."""
        for one in [self.master, *self.replicas.values(), *self.sentinels.values()]:
            self._drop(one)
        self.master, self.replicas, self.sentinels = self._master(self.master.address), {}, {}
        self.state, self.promoted, self.forced, self.o_down_since = "", None, False, None
        self.start_at = float("-inf")
        self._keep()
        self._event("+reset-master", f"master lab {self.master.address} 6380")

    def _greet_all(self) -> None:
        for one in [self.master, *self.replicas.values()]:
            one.last_hello = self.world.now - HELLO_PERIOD - 1

    def _keep(self) -> None:
        current = self._current_address()
        self.kept.master = current
        self.kept.replicas = [self.master.address if one == current else one for one in self.replicas]
        self.kept.sentinels = list(self.sentinels)

    # Who asks it.

    def _event(self, channel: str, message: str) -> None:
        self.world.tell(f"sentinel {self.address}", f"{channel} {message}")
        for end, channels in self._listeners.items():
            if end.open and channel in channels:
                end.send(encode(["message", channel, message]))

    def lose_listeners(self, seconds: float) -> None:
        """End the connections of those who only listen, and take no new ones for so long."""
        self._full_until = self.world.now + seconds
        listeners, self._listeners = self._listeners, {}
        for end in listeners:
            end.close()

    def _accept(self, end: End) -> None:
        if self.world.now < self._full_until:
            end.close()
            return
        parser = Parser()

        def received(data: Any) -> None:
            if not isinstance(data, bytes):
                self._from_sentinel(end, data)
                return
            for words in parser.feed(data):
                if words[0] == "SUBSCRIBE":
                    self._listeners.setdefault(end, set()).update(words[1:])
                    for number, channel in enumerate(words[1:], 1):
                        end.send(encode(["subscribe", channel, number]))
                else:
                    end.send(encode(self._reply(words)))

        def ended() -> None:
            self._listeners.pop(end, None)

        end.received, end.ended = received, ended

    def _from_sentinel(self, end: End, message: tuple[Any, ...]) -> None:
        kind, *rest = message
        if kind == "ping":
            end.send(("ping", "PONG"))
        elif kind == "is-down":
            address, epoch, candidate = rest
            down = self.tilt_since is None and address == self.master.address and self.master.s_down_since is not None
            vote = self._vote(epoch, candidate) if candidate and address == self.master.address else ("", 0)
            end.send(("down", down, *vote))

    def _reply(self, words: list[str]) -> Any:
        if words[0] in ("AUTH", "PING"):
            return "OK"
        if words[0] == "INFO":
            return f"sentinel_tilt:{int(self.tilt_since is not None)}\r\n"
        if words[0] == "SHUTDOWN":
            self.process.later(0, self.process.restart)
            return "OK"
        what = words[1].upper()
        if what == "GET-MASTER-ADDR-BY-NAME":
            return [self._current_address(), str(redis_model.PORT)]
        if what == "MASTER":
            flags = ["master", *(["s_down"] if self.master.s_down_since is not None else [])]
            flags += ["o_down"] if self.o_down_since is not None else []
            flags += ["failover_in_progress"] if self.state else []
            answered = 1000 * (self.world.now - self.master.last_avail)
            return ["ip", self.master.address, "flags", ",".join(flags), "last-ok-ping-reply", str(int(answered)),
                    "config-epoch", str(self.kept.config_epoch)]  # fmt: skip
        if what == "REPLICAS":
            return [self._described(one) for one in self.replicas.values()]
        if what == "SENTINELS":
            return [self._neighbour(one) for one in self.sentinels.values()]
        if what == "SET" and words[3] == "quorum":
            self.quorum = int(words[4])
        if what == "SET" and words[3] == "failover-timeout":
            self.failover_timeout = int(words[4]) / 1000
        if what == "DEBUG":
            values = dict(zip(words[2::2], words[3::2], strict=True))
            for name, value in values.items():
                setattr(self, name.lower().replace("-", "_"), int(value) / 1000)
        if what == "RESET":
            self._reset()
        if what == "FAILOVER":
            if self.state:
                return Refused("INPROG Failover already in progress")
            if self._select() is None:
                return Refused("NOGOODSLAVE No suitable replica to promote")
            self._start()
            self.forced = True
        return "OK"

    @staticmethod
    def _neighbour(one: Instance) -> list[str]:
        """As `SENTINEL SENTINELS` describes another one."""
        flags = [*(["s_down"] if one.s_down_since is not None else []), "sentinel"]
        flags += ["disconnected"] if one.link is None else []
        return ["ip", one.address, "port", str(one.port), "flags", ",".join(flags)]

    def _described(self, one: Instance) -> list[str]:
        flags = ["s_down"] if one.s_down_since is not None else []
        flags += ["slave", *(["promoted"] if one.promoted else [])]
        age = 1000 * (self.world.now - one.info_refresh) if one.info_refresh is not None else 0
        return ["ip", one.address, "port", str(one.port), "flags", ",".join(flags), "info-refresh", str(int(age)),
                "slave-priority", str(one.priority)]  # fmt: skip
