"""A cluster in a simulated world: the real node program over models of everything else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from holdfast_node import agent, aside, gateway, lease, link, membership, sentinels, servers, silence
from holdfast_node.identity import Identity
from holdfast_node.resp import Credentials

from tests.simulation import loop, redis_model, sentinel_model
from tests.simulation.clients import Writer
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
    "tiered": (*2 * ((DATA,),), *2 * ((GATEWAY,),), *3 * ((SENTINEL,),)),
    "tiered of 3": (*3 * ((DATA,),), *2 * ((GATEWAY,),), *3 * ((SENTINEL,),)),
    "data and gateways": (*2 * ((DATA, GATEWAY),), *3 * ((SENTINEL,),)),
}
"""Layout → what runs on each of its machines."""

PROCESSES = {DATA: "redis", SENTINEL: "sentinel", GATEWAY: "haproxy"}


@dataclass
class Bucket:
    """What is in the cloud's bucket, as far as the node program reads it."""

    members: list[str] = field(default_factory=list)
    holders_written: list[str] = field(default_factory=list)

    def holders(self) -> list[str]:
        return self.holders_written

    def put_holders(self, addresses: list[str]) -> None:
        self.holders_written = addresses


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
    may: Any = None

    def process(self, name: str) -> Process:
        return self.host.processes[name]


class Site:
    """The nodes of a layout, of which the first has begun the cluster. All run for as long as nobody breaks them."""

    SERVICES = ("redis", "sentinel", "node", "haproxy")

    def __init__(
        self, world: World, layout: str, *, minimum: int, persists: bool, resync: tuple[float, float] = QUICK_RESYNC
    ) -> None:
        self.world, self.minimum, self.persists, self.resync = world, minimum, persists, resync
        self.nodes: dict[str, Node] = {}
        for number, roles in enumerate(LAYOUTS[layout]):
            host = Host(f"n{number + 1}", f"10.40.{16 * (number % 3)}.{4 + number // 3}", world)
            world.hosts[host.address] = host
            self.nodes[host.address] = Node(host, roles, Disk(), Kept(), began=number == 0)
        self.addresses = tuple(self.nodes)
        self.bucket = Bucket(list(self.addresses))
        mains = {"redis": self._redis, "sentinel": self._sentinel, "haproxy": self._haproxy, "node": self._node}
        self.writers: list[Writer] = []
        for node in self.nodes.values():
            node.kept.master = self.addresses[0]
            for name in (*(PROCESSES[role] for role in node.roles), "node"):
                Process(name, node.host, partial(mains[name], node))
            if GATEWAY in node.roles:
                writer = Writer()
                writer.process = Process("app", node.host, writer.main)
                self.writers.append(writer)
        for node in self.nodes.values():
            node.host.boot()

    def having(self, role: str) -> dict[str, str]:
        """Name → address of the machines with that role."""
        return {one.host.name: one.host.address for one in self.nodes.values() if role in one.roles}

    def _redis(self, node: Node) -> None:
        # What a process itself had in mind is gone with it; what was written is not.
        node.redis = Redis(
            node.process("redis"), node.disk, minimum=self.minimum, persists=self.persists,
            loading=self.world.random.uniform(0.02, 0.3), resync=self.resync,
        )  # fmt: skip

    def _sentinel(self, node: Node) -> None:
        node.sentinel = Sentinel(node.process("sentinel"), node.kept, quorum=2, down_after=0.6, failover_timeout=6.0)

    def _haproxy(self, node: Node) -> None:
        node.haproxy = Haproxy(node.process("haproxy"), node, self.having(DATA))

    def _node(self, node: Node) -> None:
        process, world = node.process("node"), self.world
        identity = Identity(
            environment="lab", node=node.host.name, zone="a", region="", roles=list(node.roles),
            address=node.host.address, leader_endpoint="", replica_endpoint="", floating=[], sentinel_id="",
            volume_id="", bucket="", api_endpoint=None, program="", secrets={}, certificate=None,
            data=self.having(DATA), sentinels=self.having(SENTINEL), gateways=self.having(GATEWAY),
            redis_port=redis_model.PORT, sentinel_port=sentinel_model.PORT, lease_port=0, endpoint_port=0,
            detection=0.6, crowded=1000, since_6_2=True, since_7_0=True,
        )  # fmt: skip

        def login() -> Credentials:
            return Credentials("node", "")

        async def run() -> None:
            made: Any = agent.Agent(identity, self.bucket, login, login)  # type: ignore[arg-type]
            made._membership._clock = made._holders._clock = lambda: world.now
            await asyncio.gather(made._run(), self._report(made))

        loop.start(process, run)

    async def _report(self, made: Any) -> None:
        """What the reporter's thread does for the decisions."""
        while True:
            await asyncio.sleep(1.0)
            made._membership.members = frozenset(self.bucket.members)
            if made._identity.has(DATA):
                made._holders.look(made._servers.own().details, made._sentinels.proven_leader())

    # What can be done to it.

    def kill(self, address: str, *names: str, restart: float = RESTART) -> None:
        self.world.tell(address, f"kill {', '.join(names)}")
        for process in self._those(address, names):
            process.restart(restart)

    def restart(self, *, seconds: float) -> None:
        """All nodes at once, as by a loss of power; each comes back within so many seconds, in any order."""
        for node in self.nodes.values():
            self.power_cut(node.host.address, seconds=self.world.random.uniform(0.5, 0.5 + seconds))

    def freeze(self, address: str, *names: str, seconds: float) -> None:
        self.world.tell(address, f"freeze {', '.join(names)} for {seconds:.2f} s")
        for process in self._those(address, names):
            process.freeze()
            self.world.later(seconds, None, process.thaw)

    def _those(self, address: str, names: tuple[str, ...]) -> list[Process]:
        """Of these, the ones that run on that machine at all."""
        processes = self.nodes[address].host.processes
        return [processes[name] for name in names if name in processes]

    def power_cut(self, address: str, *, seconds: float) -> None:
        self.world.tell(address, f"power cut for {seconds:.2f} s")
        host = self.nodes[address].host
        host.fall_dark()
        self.world.later(seconds, None, host.boot)

    def wipe(self, address: str, *, seconds: float) -> None:
        """It loses its volume, and comes back with an empty one; its Sentinel learns from others who leads."""
        node = self.nodes[address]
        named = Counter(one.kept.master for one in self.nodes.values() if one is not node and SENTINEL in one.roles)
        self.power_cut(address, seconds=seconds)
        self.world.tell(address, "its volume is empty")
        node.disk, node.began = Disk(), False
        node.kept = Kept(master=named.most_common(1)[0][0] if named else address)

    def isolate(self, address: str, *, seconds: float) -> None:
        self.world.tell(address, f"isolated for {seconds:.2f} s")
        cut = {frozenset((address, other)) for other in self.addresses if other != address}
        self.world.cut |= cut

        def heal() -> None:
            self.world.tell(address, "reachable again")
            self.world.cut -= cut

        self.world.later(seconds, None, heal)

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

    # What is seen.

    def leader(self) -> str | None:
        """Whom every gateway has open."""
        found = {
            node.haproxy.leader() if node.haproxy else None for node in self.nodes.values() if GATEWAY in node.roles
        }
        return next(iter(found)) if len(found) == 1 else None

    def well(self) -> bool:
        leader = self.leader()
        if leader is None:
            return False
        others = [self.nodes[address].redis for address in self.having(DATA).values() if address != leader]
        return all(one is not None and one.link_up and one.leader == leader for one in others)

    def run(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)

    def settle(self, seconds: float) -> bool:
        """Run until it is well, for at most so long."""
        deadline = self.world.now + seconds
        while self.world.now < deadline:
            self.run(0.25)
            if self.well():
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

    def unlink(self, *, missing_ok: bool) -> None:
        self._node().began = False


@contextmanager
def simulated(seed: int, layout: str, **how: Any) -> Iterator[Site]:
    """A site in a world of its own, in which the node program's modules have no other clock, and no threads."""
    world, site = World(seed), list[Site]()
    clock = SimpleNamespace(monotonic=lambda: world.now, strftime=lambda *_: "", gmtime=lambda: None)

    def say(what: str) -> None:
        world.tell(world.current.host.name if world.current else "", what)

    def serve(_: int, may: Any) -> None:
        assert world.current is not None
        site[0].nodes[world.current.host.address].may = may

    class Unstarted:
        def __init__(self, **_: Any) -> None:
            pass

        def start(self) -> None:
            pass

    with ExitStack() as patches:
        for module in (agent, sentinels, servers):
            patches.enter_context(patch.object(module, "time", clock))
        for module in (agent, sentinels, link, gateway, aside, membership, silence):
            patches.enter_context(patch.object(module, "say", say))
        patches.enter_context(patch.object(agent, "BEGAN", Began(site)))
        patches.enter_context(patch.object(agent, "threading", SimpleNamespace(Thread=Unstarted)))
        patches.enter_context(patch.object(agent, "Cloud", lambda _: None))
        patches.enter_context(patch.object(lease, "serve", serve))
        patches.enter_context(patch.object(silence, "sample_redis", lambda: None))
        patches.enter_context(patch.object(aside, "_take", lambda **_: "an RDB"))
        site.append(Site(world, layout, **how))
        yield site[0]
