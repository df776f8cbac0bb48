"""A cluster of the layout `compact` in a simulated world: the real node program over models of everything else."""

from __future__ import annotations

import asyncio
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
from tests.simulation.world import Host, Process, World

ADDRESSES = ("10.40.0.4", "10.40.16.4", "10.40.32.4", "10.40.0.7", "10.40.16.7")
RESTART = 0.2
"""Seconds after which systemd starts a service again."""


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
    disk: Disk
    kept: Kept
    began: bool = False
    redis: Redis | None = None
    haproxy: Haproxy | None = None
    may: Any = None

    def process(self, name: str) -> Process:
        return self.host.processes[name]


class Site:
    """`size` nodes, of which the first has begun the cluster. All run for as long as nobody breaks them."""

    SERVICES = ("redis", "sentinel", "node", "haproxy")

    def __init__(
        self, world: World, size: int, *, minimum: int, persists: bool, resync: tuple[float, float] = QUICK_RESYNC
    ) -> None:
        self.world, self.minimum, self.persists, self.resync = world, minimum, persists, resync
        self.addresses = ADDRESSES[:size]
        self.bucket = Bucket(list(self.addresses))
        self.nodes: dict[str, Node] = {}
        for number, address in enumerate(self.addresses):
            host = Host(f"n{number + 1}", address, world)
            world.hosts[address] = host
            node = Node(host, Disk(), Kept(master=self.addresses[0]), began=number == 0)
            self.nodes[address] = node
            for name, main in (
                ("redis", partial(self._redis, node)),
                ("sentinel", partial(self._sentinel, node)),
                ("haproxy", partial(self._haproxy, node)),
                ("node", partial(self._node, node)),
            ):
                Process(name, host, main)
        self.writers = [Writer() for _ in self.nodes]
        for writer, node in zip(self.writers, self.nodes.values(), strict=True):
            writer.process = Process("app", node.host, writer.main)
        for node in self.nodes.values():
            node.host.boot()

    def _redis(self, node: Node) -> None:
        # What a process itself had in mind is gone with it; what was written is not.
        node.redis = Redis(
            node.process("redis"), node.disk, minimum=self.minimum, persists=self.persists,
            loading=self.world.random.uniform(0.02, 0.3), resync=self.resync,
        )  # fmt: skip

    def _sentinel(self, node: Node) -> None:
        Sentinel(node.process("sentinel"), node.kept, quorum=2, down_after=0.6, failover_timeout=6.0)

    def _haproxy(self, node: Node) -> None:
        servers = {one.host.name: one.host.address for one in self.nodes.values()}
        node.haproxy = Haproxy(node.process("haproxy"), node, servers)

    def _node(self, node: Node) -> None:
        process, world = node.process("node"), self.world
        names = {one.host.name: one.host.address for one in self.nodes.values()}
        identity = Identity(
            environment="lab", node=node.host.name, zone="a", region="", roles=["data", "gateway", "sentinel"],
            address=node.host.address, leader_endpoint="", replica_endpoint="", floating=[], sentinel_id="",
            volume_id="", bucket="", api_endpoint=None, program="", secrets={}, certificate=None, data=names,
            sentinels=names, gateways=names, redis_port=redis_model.PORT, sentinel_port=sentinel_model.PORT,
            lease_port=0, endpoint_port=0, detection=0.6, since_6_2=True, since_7_0=True,
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
            made._holders.look(made._servers.own().details, made._sentinels.proven_leader())

    # What can be done to it.

    def kill(self, address: str, *names: str, restart: float = RESTART) -> None:
        self.world.tell(address, f"kill {', '.join(names)}")
        for name in names:
            process = self.nodes[address].process(name)
            process.end()
            self.world.later(restart, None, process.start)

    def restart(self, *, seconds: float) -> None:
        """All nodes at once, as by a loss of power; each comes back within so many seconds, in any order."""
        for node in self.nodes.values():
            self.power_cut(node.host.address, seconds=self.world.random.uniform(0.5, 0.5 + seconds))

    def freeze(self, address: str, *names: str, seconds: float) -> None:
        self.world.tell(address, f"freeze {', '.join(names)} for {seconds:.2f} s")
        for name in names:
            process = self.nodes[address].process(name)
            process.freeze()
            self.world.later(seconds, None, process.thaw)

    def power_cut(self, address: str, *, seconds: float) -> None:
        self.world.tell(address, f"power cut for {seconds:.2f} s")
        host = self.nodes[address].host
        host.fall_dark()
        self.world.later(seconds, None, host.boot)

    def isolate(self, address: str, *, seconds: float) -> None:
        self.world.tell(address, f"isolated for {seconds:.2f} s")
        cut = {frozenset((address, other)) for other in self.addresses if other != address}
        self.world.cut |= cut

        def heal() -> None:
            self.world.tell(address, "reachable again")
            self.world.cut -= cut

        self.world.later(seconds, None, heal)

    # What is seen.

    def leader(self) -> str | None:
        """Whom every gateway has open."""
        found = {node.haproxy.leader() if node.haproxy else None for node in self.nodes.values()}
        return next(iter(found)) if len(found) == 1 else None

    def well(self) -> bool:
        leader = self.leader()
        if leader is None:
            return False
        others = [node.redis for node in self.nodes.values() if node.host.address != leader]
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
def simulated(seed: int, size: int, **how: Any) -> Iterator[Site]:
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
        site.append(Site(world, size, **how))
        yield site[0]
