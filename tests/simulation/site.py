"""A cluster in a simulated world: the real node program over models of everything else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from holdfast_node import (
    agent,
    aside,
    bootstrap,
    commands,
    floating,
    handover,
    lease,
    log,
    renewal,
    report,
    resp,
    silence,
    told,
)
from holdfast_node.cloud import ORDER_COUNTS
from holdfast_node.identity import Identity
from holdfast_node.resp import Credentials
from holdfast_node.secrets import Fetched

from tests.simulation import loop, redis_model, sentinel_model, waiting
from tests.simulation.clients import Direct, Writer
from tests.simulation.floating_model import PAIR, TABLES, Api, Keepalived, RouteTables, Visitor
from tests.simulation.haproxy_model import Haproxy
from tests.simulation.redis_model import QUICK_RESYNC, Disk, Redis
from tests.simulation.sentinel_model import Kept, Sentinel
from tests.simulation.world import RESTART, Host, Process, World

DATA, GATEWAY, SENTINEL = "data", "gateway", "sentinel"
ALL = (DATA, GATEWAY, SENTINEL)

LAYOUTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "single": (ALL,),
    "compact": 3 * (ALL,),
    "compact of 5": 5 * (ALL,),
    "compact, 3 of 5": 5 * (ALL,),
    "tiered": (*2 * ((DATA,),), *2 * ((GATEWAY,),), *3 * ((SENTINEL,),)),
    "tiered of 3": (*3 * ((DATA,),), *2 * ((GATEWAY,),), *3 * ((SENTINEL,),)),
    "data and gateways": (*2 * ((DATA, GATEWAY),), *3 * ((SENTINEL,),)),
}
"""Layout → what runs on each of its machines, as far as it has room."""

LATER = {"compact, 3 of 5": 2}
"""Layout → how many of its machines, the last ones, are not deployed at first."""

ELSEWHERE = "10.40.64.4"
"""A machine with an application only, which nothing happens to."""

STOPS_WITHIN = 20.0
"""Seconds for a handover until the machine stops nonetheless: `TimeoutStopSec` of holdfast-handover.service."""

OFF_AFTER = 0.1
"""Seconds from the last service's end until a machine that stops in order is off."""

PROCESSES = {DATA: "redis", SENTINEL: "sentinel", GATEWAY: "haproxy"}


@dataclass
class Bucket:
    """What is in the cloud's bucket: the node program's `Cloud`."""

    world: World
    began: str
    """Who began the cluster."""
    there: dict[str, str] = field(default_factory=dict)
    """Name → address of the nodes that there are, as the last deploy wrote them."""
    holders_written: list[str] = field(default_factory=list)
    ordered: tuple[dict[str, str | None], float] | None = None
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)

    def members(self) -> dict[str, str]:
        return dict(self.there)

    def holders(self) -> list[str]:
        return self.holders_written

    def last_leader(self) -> str | None:
        return None

    def put_holders(self, addresses: list[str], generation: str) -> None:
        self.holders_written = addresses

    def order(self) -> dict[str, str | None] | None:
        return self.ordered[0] if self.ordered and self.world.now - self.ordered[1] <= ORDER_COUNTS else None

    def renewal(self) -> None:
        return None

    def restore_order(self) -> None:
        return None

    def generation(self) -> tuple[None, float]:
        return None, 0.0

    def put_report(self, made: dict[str, Any]) -> None:
        self.reports[made["address"]] = made

    def bootstrap_record(self) -> dict[str, str]:
        return {"leader": self.began, "token": "the first"}


class Run:
    """What a process does, which ends with it."""

    def __init__(self, process: Process) -> None:
        self.process, self.over, self._generation = process, False, process.generation

    @property
    def lasts(self) -> bool:
        return not self.over and self.process.running and self.process.generation == self._generation


@dataclass
class Node:
    """One machine, and what outlives its processes."""

    host: Host
    roles: tuple[str, ...]
    disk: Disk
    kept: Kept
    began: bool = False
    redis: Redis | None = None
    sentinel: Sentinel | None = None
    haproxy: Haproxy | None = None
    keepalived: Keepalived | None = None
    may: Any = None
    agent: Any = None
    told: tuple[int, str] = (0, "")
    """What the node program has told keepalived, and which one of them it was."""
    outvoted: told.Outvoted | None = None
    """What the node program has told its Sentinel for the next start."""
    hands_over: Run | None = None
    stop: Callable[[], None] = lambda: None
    """Goes on with a stop of the machine that waits for its handover."""

    def process(self, name: str) -> Process:
        return self.host.processes[name]

    def unable(self) -> bool:
        """Whether this gateway is of no use: so says systemd, until the node program says something else."""
        program = self.process("node")
        return not program.running or self.told != (program.generation, "0\n")


@dataclass
class Handing:
    """A handover."""

    run: Run
    began: float
    ended: float | None = None
    """None while it lasts, and where its program was ended before."""
    successor: str = ""
    """Empty where there was none."""

    @property
    def lasts(self) -> bool:
        return self.ended is None and self.run.lasts


def _login() -> Credentials:
    return Credentials("node", "")


class Site:
    """The nodes of a layout, of which the first has begun the cluster. All run for as long as nobody breaks them."""

    SERVICES = ("redis", "sentinel", "node", "haproxy", "keepalived")

    def __init__(
        self,
        world: World,
        layout: str,
        *,
        minimum: int,
        persists: bool,
        resync: tuple[float, float] = QUICK_RESYNC,
        floating: bool = False,
    ) -> None:
        self.world, self.minimum, self.persists, self.resync = world, minimum, persists, resync
        self.nodes: dict[str, Node] = {}
        for number, roles in enumerate(LAYOUTS[layout]):
            host = Host(f"n{number + 1}", f"10.40.{16 * (number % 3)}.{4 + number // 3}", world)
            world.hosts[host.address] = host
            self.nodes[host.address] = Node(host, roles, Disk(), Kept(), began=number == 0)
        self.slots = tuple(self.nodes)
        """Addresses of all machines that the layout has room for, and of those that there are."""
        self.addresses = self.slots[: len(self.slots) - LATER.get(layout, 0)]
        self.bucket = Bucket(world, self.slots[0])
        self._deployed(self.addresses)
        self.handovers: list[Handing] = []
        self.gone = False
        """Whether nodes have been taken out, which the others have to forget."""
        self.problems: list[str] = []
        """What of a planned change did not hold."""
        mains = {"redis": self._redis, "sentinel": self._sentinel, "haproxy": self._haproxy, "node": self._node}
        self.writers: list[Writer] = []
        self.visitors: list[Visitor] = []
        """Who comes by the floating pair, where there is one: one of each route table."""
        self.tables = RouteTables(world, next(iter(self.slots_having(GATEWAY).values()))) if floating else None
        for node in self.nodes.values():
            node.kept.master = self.slots[0] if node.host.address in self.addresses else ""
            for name in (*(PROCESSES[role] for role in node.roles), "node"):
                Process(name, node.host, partial(mains[name], node))
            # Until the machine stops, or has to renew what it has, they have nothing to do.
            Process("handover", node.host, lambda: None)
            Process("renew", node.host, lambda: None)
            if GATEWAY in node.roles:
                writer = Writer()
                writer.process = Process("app", node.host, writer.main)
                self.writers.append(writer)
                if floating:
                    Process("keepalived", node.host, partial(self._keepalived, node))
        elsewhere = world.hosts[ELSEWHERE] = Host("elsewhere", ELSEWHERE, world)
        self.direct = Direct(self._named)
        self.direct.process = Process("app", elsewhere, self.direct.main)
        for table in TABLES if self.tables else ():
            visitor = Visitor(table, self.tables, lambda address: self.nodes[address].keepalived)
            visitor.process = Process(f"app of {table}", elsewhere, visitor.main)
            self.visitors.append(visitor)
        elsewhere.boot()
        for node in self.nodes.values():
            if node.host.address in self.addresses:
                node.host.boot()
            else:
                node.host.up = False

    def _named(self) -> str | None:
        """By the first Sentinel that answers."""
        for address in self.having(SENTINEL).values():
            process, sentinel = self.nodes[address].process("sentinel"), self.nodes[address].sentinel
            if sentinel is not None and process.running and not process.frozen:
                return sentinel._current_address()
        return None

    def _deployed(self, addresses: tuple[str, ...]) -> None:
        """A deploy writes which nodes there are, before it makes or ends machines."""
        self.bucket.there = {self.nodes[one].host.name: one for one in addresses}

    def slots_having(self, role: str) -> dict[str, str]:
        """Name → address of the machines with that role, those that are not there too."""
        return {one.host.name: one.host.address for one in self.nodes.values() if role in one.roles}

    def having(self, role: str) -> dict[str, str]:
        """The same of those that there are."""
        return {name: address for name, address in self.slots_having(role).items() if address in self.addresses}

    def _redis(self, node: Node) -> None:
        # What a process itself had in mind is gone with it; what was written is not.
        node.redis = Redis(
            node.process("redis"), node.disk, minimum=self.minimum, persists=self.persists,
            loading=self.world.random.uniform(0.02, 0.3), resync=self.resync,
        )  # fmt: skip

    def _sentinel(self, node: Node) -> None:
        def begin() -> None:
            # As sentinel_config.py does.
            if (outvoted := node.outvoted) and (node.kept.master, node.kept.config_epoch) == outvoted[:2]:
                node.kept.replicas = [*{*node.kept.replicas, outvoted.leader} - {outvoted.instead}]
                node.kept.master = outvoted.instead
            how = {"quorum": 2, "down_after": 0.6, "failover_timeout": 6.0}
            node.sentinel = Sentinel(node.process("sentinel"), node.kept, **how)  # type: ignore[arg-type]

        def find() -> None:
            # What systemd waits for, on an empty volume.
            bootstrap._patiently(find_once)
            node.process("sentinel").later(0, begin)

        def find_once() -> None:
            node.kept.master = bootstrap._find_leader(self._identity(node), self.bucket, _login())  # type: ignore[arg-type]

        if node.kept.master:
            begin()
        else:
            waiting.start(node.process("sentinel"), find)

    def _haproxy(self, node: Node) -> None:
        node.haproxy = Haproxy(node.process("haproxy"), node, self.slots_having(DATA))

    def _keepalived(self, node: Node) -> None:
        gateways = list(self.slots_having(GATEWAY).values())
        peers = [address for address in gateways if address != node.host.address]
        priority = 100 - gateways.index(node.host.address)
        node.keepalived = Keepalived(node.process("keepalived"), priority, peers, node.unable)

    def _identity(self, node: Node) -> Identity:
        return Identity(
            environment="lab", node=node.host.name, zone="a", region="", roles=list(node.roles),
            address=node.host.address, leader_endpoint="", replica_endpoint="",
            floating=list(PAIR) if self.tables else [], sentinel_id="", volume_id="", bucket="", api_endpoint=None,
            program="", secrets={}, logins=[], certificate=None,
            data=self.slots_having(DATA), sentinels=self.slots_having(SENTINEL), gateways=self.slots_having(GATEWAY),
            redis_port=redis_model.PORT, sentinel_port=sentinel_model.PORT, lease_port=0, endpoint_port=0,
            detection=0.6, crowded=1000, since_6_2=True, since_7_0=True, backup=None,
        )  # fmt: skip

    def _node(self, node: Node) -> None:
        async def run() -> None:
            made: Any = agent.Agent(self._identity(node), self.bucket, _login, _login)  # type: ignore[arg-type]
            for part in (made._membership, made._holders, made._cure, made._notice, made._refusals.notice):
                part._clock = lambda: self.world.now
            node.agent = made
            await made._run()

        loop.start(node.process("node"), run)

    # What can be done to it.

    def kill(self, address: str, *names: str, restart: float = RESTART) -> None:
        self.world.tell(address, f"kill {', '.join(names)}")
        for process in self._those(address, names):
            process.restart(restart)

    def restart(self, *, seconds: float) -> None:
        """All nodes at once, as by a loss of power; each comes back within so many seconds, in any order."""
        for address in self.addresses:
            self.power_cut(address, seconds=self.world.random.uniform(0.5, 0.5 + seconds))

    def freeze(self, address: str, *names: str, seconds: float) -> None:
        self.world.tell(address, f"freeze {', '.join(names)} for {seconds:.2f} s")
        for process in self._those(address, names):
            process.freeze()
            self.world.later(seconds, None, process.thaw)

    def _those(self, address: str, names: tuple[str, ...]) -> list[Process]:
        """Of these, the ones that run on that machine at all."""
        processes = self.nodes[address].host.processes
        return [processes[name] for name in names if name in processes]

    def order(self, to: str | None = None) -> None:
        """An operator has the leader hand over."""
        names = {address: name for name, address in self.slots_having(DATA).items()}
        leader = self.leader()
        if leader is not None:
            self.world.tell("", f"an operator has {names[leader]} hand over")
            order = {"id": f"{self.world.now}", "from": names[leader], "to": names[to] if to else None}
            self.bucket.ordered = order, self.world.now

    def stop(self, address: str, *, then: Callable[[], None]) -> None:
        """It hands over, where it leads, and stops in order. What is done `then` is done once it is off."""
        node, host = self.nodes[address], self.nodes[address].host
        boots, begun = host.boots, False
        self.world.tell(address, "stops")

        def off() -> None:
            if host.boots == boots:
                host.fall_dark()
                then()

        def stop() -> None:
            nonlocal begun
            if not begun and host.up and host.boots == boots:
                begun = True
                for process in host.processes.values():
                    process.end()
                self.world.later(OFF_AFTER, None, off)

        def hand_over() -> None:
            commands._hand_over(self._identity(node))
            self.world.later(0, None, stop)

        node.stop = stop
        if host.up and DATA in node.roles and node.process("handover").running:
            waiting.start(node.process("handover"), hand_over)
            self.world.later(STOPS_WITHIN, None, stop)
        else:
            stop()

    def reboot(self, address: str, *, seconds: float, wiped: bool = False) -> None:
        """It stops in order, and is back after so long; `wiped`: with another volume."""
        host = self.nodes[address].host

        def off() -> None:
            if wiped:
                self.empty(address)
            self.world.later(seconds, None, host.boot)

        self.stop(address, then=off)

    def rotate(self, address: str) -> None:
        """It is told to take another certificate, of another authority, as an operator's order has it."""
        node = self.nodes[address]

        def renew() -> None:
            try:
                renewal.renew(self._identity(node), self.bucket, with_certificate=True)  # type: ignore[arg-type]
            except renewal.Failed as failed:
                self.world.tell(address, str(failed))

        waiting.start(node.process("renew"), renew)

    def remove(self, addresses: Sequence[str]) -> None:
        """A deploy takes them out of the environment, one after the other, and for good."""
        self._deployed(tuple(one for one in self.addresses if one not in addresses))
        for address in addresses:
            self.run(self.world.random.uniform(0, 5))
            self.addresses = tuple(one for one in self.addresses if one != address)
            self.gone = True
            self.stop(address, then=lambda: None)

    def add(self, addresses: Sequence[str]) -> None:
        """A deploy makes machines for these slots."""
        self._deployed((*self.addresses, *addresses))
        for address in addresses:
            self.run(self.world.random.uniform(0, 5))
            self.addresses = tuple(one for one in self.slots if one in self.addresses or one == address)
            self.empty(address)
            self.world.tell(address, "is new")
            self.nodes[address].host.boot()

    def all_ready(self, since: float) -> bool:
        """Whether every node has reported so after that: what the gates of a deploy wait for."""
        reports = [self.bucket.reports.get(address) for address in self.addresses]
        return all(one is not None and one["ready"] and one["reported_at"] > since for one in reports)

    def forgotten(self) -> bool:
        """Whether nobody counts those any more that are not there."""
        there, count = set(self.addresses), len(self.having(SENTINEL))
        seen = [self.nodes[address].sentinel for address in self.having(SENTINEL).values()]
        programs = [self.nodes[address].agent for address in self.addresses]
        return all(one is not None and {*one.sentinels, *one.replicas, one.address} <= there for one in seen) and all(
            one is not None and one._sentinels.known() == count for one in programs
        )

    def kill_handover(self, address: str) -> None:
        """The program that hands over, whichever of the two it is."""
        process = self.nodes[address].process("handover")
        if any(one.lasts and one.run.process is process for one in self.handovers):
            self.world.tell(address, "kill handover")
            process.end()
            self.nodes[address].stop()
        else:
            self.kill(address, "node")

    def power_cut(self, address: str, *, seconds: float) -> None:
        self.world.tell(address, f"power cut for {seconds:.2f} s")
        host = self.nodes[address].host
        host.fall_dark()
        self.world.later(seconds, None, host.boot)

    def wipe(self, address: str, *, seconds: float) -> None:
        """It loses its volume, and comes back with an empty one; its Sentinel learns from others who leads."""
        self.power_cut(address, seconds=seconds)
        self.empty(address)

    def empty(self, address: str) -> None:
        """Its volume is another one, while it is off."""
        node = self.nodes[address]
        self.world.tell(address, "its volume is empty")
        node.disk, node.kept, node.began = Disk(), Kept(), False

    def isolate(self, address: str, *, seconds: float) -> None:
        self.world.tell(address, f"isolated for {seconds:.2f} s")
        cut = {frozenset((address, other)) for other in self.slots if other != address}
        self.world.cut |= cut

        def heal() -> None:
            self.world.tell(address, "reachable again")
            self.world.cut -= cut

        self.world.later(seconds, None, heal)

    def cut_apart(self, one: str, other: str, *, seconds: float) -> None:
        """These two do not reach each other; all else does."""
        self.world.tell(one, f"cut off from {other} for {seconds:.2f} s")
        cut = {frozenset((one, other))}
        self.world.cut |= cut

        def heal() -> None:
            self.world.tell(one, f"reaches {other} again")
            self.world.cut -= cut

        self.world.later(seconds, None, heal)

    def silence_api(self, *, seconds: float) -> None:
        """Nobody may move a route for so long."""
        if self.tables:
            self.world.tell("", f"the API is silent for {seconds:.2f} s")
            self.tables.silent_until = self.world.now + seconds

    def distrust_clock(self, address: str) -> None:
        """Its clock jumps, and its Sentinel is in TILT."""
        self.world.tell(address, "its clock jumps")
        sentinel = self.nodes[address].sentinel
        if sentinel is not None:
            sentinel.tilt_since = self.world.now

    def lose_listeners(self, *, seconds: float) -> None:
        """Every Sentinel is full: it loses those that only listen to it, and takes no new connection for so long."""
        self.world.tell("", f"Sentinels are full of connections for {seconds:.2f} s")
        for node in self.nodes.values():
            if node.sentinel is not None:
                node.sentinel.lose_listeners(seconds)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """What the kernel does for a file of that machine: see handover.py."""
        process = self.world.current
        assert process is not None
        node = self.nodes[process.host.address]
        while node.hands_over is not None and node.hands_over.lasts:
            waiting.sleep(self.world, 0.001)
        node.hands_over = run = Run(process)
        try:
            yield
        finally:
            run.over = True

    def observe(self, hand_over: Callable[[], str]) -> str:
        process, world = self.world.current, self.world
        assert process is not None
        one = Handing(Run(process), world.now)
        self.handovers.append(one)
        try:
            said = hand_over()
            one.successor = said.split()[3].rstrip(";")
        except Exception:
            one.ended = world.now
            raise
        one.ended = world.now
        return said

    # What is seen.

    def leader(self) -> str | None:
        """Whom every gateway has open."""
        gateways = [self.nodes[address].haproxy for address in self.having(GATEWAY).values()]
        found = {haproxy.leader() if haproxy else None for haproxy in gateways}
        return next(iter(found)) if len(found) == 1 else None

    def holder(self) -> str | None:
        """The only gateway that has the floating pair, once every route leads there."""
        having = [
            address
            for address in self.having(GATEWAY).values()
            if (elected := self.nodes[address].keepalived) and elected.has_pair
        ]
        return having[0] if self.tables and len(having) == 1 and self.tables.all_lead_to(having[0]) else None

    def well(self) -> bool:
        leader = self.leader()
        if leader is None or (self.tables and self.holder() is None):
            return False
        others = [self.nodes[address] for address in self.having(DATA).values() if address != leader]
        return all(
            one.process("redis").running and one.redis is not None and one.redis.link_up and one.redis.leader == leader
            for one in others
        )

    def dissenting(self) -> dict[str, str]:
        """Sentinel → whom it names, of those that run and name another one than the leader."""
        leader = self.leader()
        running = {one: self.nodes[one] for one in self.having(SENTINEL).values()}
        return {
            address: node.sentinel.master.address
            for address, node in running.items()
            if node.sentinel and node.process("sentinel").running and node.sentinel.master.address != leader
        }

    def run(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)

    def settle(self, seconds: float) -> bool:
        """Run until it is well, for at most so long."""
        return self.wait(self.well, seconds)

    def wait(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Run until that holds, for at most so long."""
        deadline = self.world.now + seconds
        while self.world.now < deadline:
            self.run(0.25)
            if holds():
                return True
        return False


class Began:
    """The file `began` on the volume of whoever asks."""

    def __init__(self, site: list[Site]) -> None:
        self._site = site

    def _node(self) -> Node:
        current = self._site[0].world.current
        assert current is not None
        return self._site[0].nodes[current.host.address]

    def exists(self) -> bool:
        return self._node().began

    def read_text(self, **_: Any) -> str:
        return "the first"

    def unlink(self, **_: Any) -> None:
        self._node().began = False


@contextmanager
def simulated(seed: int, layout: str, **how: Any) -> Iterator[Site]:
    """A site in a world of its own, in which the node program's modules have no other clock, and no threads."""
    world, site = World(seed), list[Site]()
    clock = SimpleNamespace(
        monotonic=lambda: world.now,
        time=lambda: world.now,
        sleep=partial(waiting.sleep, world),
        strftime=lambda *_: "",
        gmtime=lambda: None,
    )
    sockets = SimpleNamespace(create_connection=partial(waiting.create_connection, world))

    def say(what: str) -> None:
        world.tell(world.current.host.name if world.current else "", what)

    def serve(_: int, may: Any) -> None:
        assert world.current is not None
        site[0].nodes[world.current.host.address].may = may

    class Thread:
        def __init__(self, target: Callable[[], None], **_: Any) -> None:
            self._target = target

        def start(self) -> None:
            assert world.current is not None
            waiting.start(world.current, self._target)

    def systemctl(words: list[str], **_: Any) -> None:
        assert world.current is not None
        unit = words[-1].removeprefix("holdfast-").removesuffix(".service")
        site[0].kill(world.current.host.address, unit)

    def tell_outvoted(found: told.Outvoted) -> None:
        assert world.current is not None
        site[0].nodes[world.current.host.address].outvoted = found

    class Unable:
        """The file that keepalived watches, of whoever writes."""

        def write_text(self, text: str, **_: Any) -> None:
            assert world.current is not None
            site[0].nodes[world.current.host.address].told = world.current.generation, text

    def has(_: Sequence[str]) -> bool:
        assert world.current is not None
        elected = site[0].nodes[world.current.host.address].keepalived
        return elected is not None and elected.has_pair

    def cloud(identity: Identity) -> Api | None:
        def report(name: str) -> dict[str, Any] | None:
            return site[0].bucket.reports.get(identity.gateways[name])

        return Api(world, site[0].tables, identity.address, report) if site[0].tables else None

    class Folder:
        def __truediv__(self, _: str) -> Any:
            return SimpleNamespace(read_text=lambda **_: "")

    used = dict.fromkeys((renewal.SENTINEL, renewal.REPLICATION), "")
    other = SimpleNamespace(version="2", authority="another", pem="")
    hand_over = handover.Handover.do

    def observed(self: Any) -> str:
        return site[0].observe(lambda: hand_over(self))

    with ExitStack() as patches:
        everywhere = (("time", time, clock), ("say", log.say, say))
        for module in [module for name, module in sys.modules.items() if name.startswith("holdfast_node.")]:
            for name, real, modelled in everywhere:
                if vars(module).get(name) is real:
                    patches.enter_context(patch.object(module, name, modelled))
        patches.enter_context(patch.object(agent, "BEGAN", Began(site)))
        patches.enter_context(patch.object(bootstrap, "BEGAN", Began(site)))
        patches.enter_context(patch.object(agent, "threading", SimpleNamespace(Thread=Thread)))
        patches.enter_context(patch.object(agent, "Cloud", cloud))
        patches.enter_context(patch.object(floating, "UNABLE", Unable()))
        patches.enter_context(patch.object(floating, "_has", has))
        patches.enter_context(patch.object(lease, "serve", serve))
        patches.enter_context(patch.object(silence, "sample_redis", lambda: None))
        patches.enter_context(patch.object(aside, "_take", lambda **_: "an RDB"))
        patches.enter_context(patch.object(aside, "newest", lambda: None))
        patches.enter_context(patch.object(resp, "socket", sockets))
        patches.enter_context(patch.object(report, "instance_id", lambda: "i-1"))
        patches.enter_context(patch.object(report, "image_id", lambda: "ami-1"))
        patches.enter_context(patch.object(report.software, "installed", lambda _: {}))
        patches.enter_context(patch.object(report.secrets, "versions", lambda: {}))
        patches.enter_context(patch.object(report.secrets, "login", lambda *_: _login()))
        patches.enter_context(patch.object(report.secrets, "login_at_sentinels", lambda _: _login()))
        patches.enter_context(patch.object(report.secrets, "login_of_renew", _login))
        patches.enter_context(patch.object(report.secrets, "fetch", lambda *_: Fetched({}, used)))
        patches.enter_context(patch.object(report.secrets, "FOLDER", Folder()))
        patches.enter_context(patch.object(report.secrets, "haproxy_map", lambda _: ""))
        patches.enter_context(patch.object(report.secrets, "tell_which", lambda _: None))
        patches.enter_context(patch.object(report.certificate, "known", lambda: None))
        patches.enter_context(patch.object(report.certificate, "fetch", lambda *_: other))
        patches.enter_context(patch.object(report.certificate, "tell_which", lambda _: None))
        patches.enter_context(patch.object(report.certificate, "context_for_own", lambda: None))
        patches.enter_context(patch.object(told, "tell", lambda *_: None))
        patches.enter_context(patch.object(told, "tell_outvoted", tell_outvoted))
        patches.enter_context(patch.object(renewal, "subprocess", SimpleNamespace(run=systemctl)))
        patches.enter_context(patch.object(renewal, "_replace_map", lambda _: None))
        patches.enter_context(patch.object(handover.Handover, "do", observed))
        patches.enter_context(patch.object(handover, "_alone", lambda: site[0].alone()))
        patches.callback(waiting.end_all, world)
        site.append(Site(world, layout, **how))
        yield site[0]
