"""What the benchmark runs with: our own settings, as deployed, or those of a peer, deployed afresh before every run."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Protocol

import redis

from bench import peers
from bench.failover import switch
from bench.failover.names import OURS
from bench.peers import Peer
from holdfast.drill import application
from holdfast.drill.cluster import Cluster
from holdfast.drill.writers import Gateway, Writers
from holdfast.errors import HoldfastError
from holdfast.topology import Cluster as Layout
from holdfast.topology import Node, find_environment, load_environment, ports
from holdfast.twin import client

READY_WITHIN = 60.0
"""Seconds for a peer's fresh cluster, and for its data set to be read."""

POLL = 0.2

NOT_THERE = (redis.RedisError, OSError, client.NotRunning)


class Site:
    """A running environment, with whatever settings its machines have now."""

    def __init__(self, environment: str) -> None:
        """`environment`: a name or a file, as the commands take it."""
        file = find_environment(environment)
        self.layout = Layout.of(load_environment(file))
        self.cluster = Cluster(self.layout.environment.name, file)
        self._machines = contextlib.ExitStack()
        self._ours: bool | None = None
        """None is unknown: an earlier benchmark may have been killed before it gave the machines back."""

    @cached_property
    def gateways(self) -> list[Gateway]:
        """Each node's own: the same with any settings."""
        found = self.cluster.endpoints()
        return [
            Gateway(
                node=node.name,
                leader=str(node.leader_endpoint),
                replica=str(node.replica_endpoint),
                port=self.layout.endpoint_port,
                user=found["user"],
                password=found["password"],
                tls=self.cluster.tls(),
            )
            for node in self.layout.nodes
        ]

    @cached_property
    def pair(self) -> Gateway:
        """The floating pair, from a machine in the network that is there from now on until everything is restored."""
        return self.cluster.pair(self._machines.enter_context(application.running(self.cluster.name)))

    def server(self, node: Node) -> redis.Redis:
        """A session with a node's own Redis, past every gateway, from the node's own network."""
        return replace(self._gateway(node), port=ports.REDIS).connect(str(node.address))

    def sentinel(self, node: Node) -> redis.Redis:
        return replace(self._gateway(node), port=ports.SENTINEL, user="", password="").connect(str(node.address))

    def _gateway(self, node: Node) -> Gateway:
        return next(gateway for gateway in self.gateways if gateway.node == node.name)

    def to_ours(self) -> None:
        if self._ours is not True:
            switch.to_ours(self.layout)
        self._ours = True

    def to_peer(self, peer: Peer, leader: Node, in_sync: Callable[[], object]) -> None:
        self._ours = False
        switch.to_peer(peer, self.layout, leader, in_sync)

    def heal(self) -> None:
        """After a run that failed, wherever it did: nothing is known of the machines then."""
        self.cluster.heal()
        self._ours = None

    def restore(self) -> None:
        """Our own settings again, and healthy, whatever happened."""
        with self._machines:
            self.heal()
            self.to_ours()
            self.cluster.wait_healthy()


class Settings(Protocol):
    """One of those that are compared."""

    site: Site
    name: str
    unit: str
    """The systemd unit of its Redis."""

    def prepare(self) -> Node:
        """Have a healthy cluster; returns who leads."""

    def hand_over(self, leader: Node) -> None:
        """Have another one lead, in the way that they do it."""

    def present(self, writers: Writers, *, ended: bool) -> set[str]:
        """Which of the acknowledged records are there in the end. Undoes what was done to the cluster.

        `ended`: whether writes went on before that.
        """


class Ours:
    name = OURS
    unit = "holdfast-redis.service"

    def __init__(self, site: Site) -> None:
        self.site = site

    def prepare(self) -> Node:
        self.site.to_ours()
        return self.site.layout.node(self.site.cluster.wait_healthy()["leader"])

    def hand_over(self, leader: Node) -> None:
        self._lead_elsewhere()

    def holder(self, *, leads: bool) -> Node:
        """Have a healthy cluster; returns who holds the floating pair, and leads or does not."""
        self.prepare()
        status = self.site.cluster.status()
        holder: str = status["floating"]["gateway"]
        if (status["leader"] == holder) != leads:
            self._lead_elsewhere(*(["--to", holder] if leads else []))
            self.prepare()
        return self.site.layout.node(holder)

    def _lead_elsewhere(self, *to: str) -> None:
        self.site.cluster.holdfast("failover", self.site.cluster.environment, *to, "--yes")

    def present(self, writers: Writers, *, ended: bool) -> set[str]:
        self.site.cluster.heal()
        self.site.cluster.wait_healthy()
        with self.site.cluster.client(socket_timeout=10) as reader:
            return writers.present(reader)


class Theirs:
    unit = peers.REDIS

    def __init__(self, site: Site, peer: Peer) -> None:
        self.site, self.name, self._peer = site, peer.name, peer
        self._leaders = itertools.cycle(site.layout.nodes)

    def prepare(self) -> Node:
        """A fresh cluster for every run: what is left of the last one (epochs, time-outs of three minutes) is not part
        of this one. Each node leads in turn."""
        leader = next(self._leaders)
        self.site.to_peer(self._peer, leader, lambda: _wait("the replicas follow", lambda: self._out_of_sync(leader)))
        _wait("the Sentinels know each other", lambda: self._ignorant(leader))
        return leader

    def hand_over(self, leader: Node) -> None:
        said = switch.run(leader, f"redis-cli -p {ports.SENTINEL} SENTINEL FAILOVER {self.site.cluster.name}")
        if said.strip() != "OK":
            raise HoldfastError(f"{self.name}: the Sentinel of {leader.name} hands nothing over: {said.strip()}")

    def present(self, writers: Writers, *, ended: bool) -> set[str]:
        # Whom they name now keeps the lead, and a returning leader takes over its data set. Where nobody could write,
        # somebody has to be there again first.
        if not ended:
            self.site.cluster.heal()
        found = set[str]()

        def unread() -> str | None:
            with self.site.server(self._named()) as reader:
                found.update(writers.present(reader))
            return None

        _wait("what is left is read", unread)
        self.site.cluster.heal()
        return found

    def _named(self) -> Node:
        """Whom most of the answering Sentinels name."""
        answers = Counter[str]()
        for node in self.site.layout.nodes:
            with contextlib.suppress(*NOT_THERE), self.site.sentinel(node) as sentinel:
                answers[sentinel.sentinel_get_master_addr_by_name(self.site.cluster.name)[0]] += 1
        address = answers.most_common(1)[0][0] if answers else None
        for node in self.site.layout.nodes:
            if str(node.address) == address:
                return node
        raise HoldfastError("no Sentinel says who leads")

    def _out_of_sync(self, leader: Node) -> str | None:
        with self.site.server(leader) as connection:
            info = connection.info("replication")
        states = [info[f"slave{number}"]["state"] for number in range(info["connected_slaves"])]
        ready = info["role"] == "master" and states == ["online"] * (len(self.site.layout.nodes) - 1)
        return None if ready else f"{leader.name} is {info['role']}, its replicas {states}"

    def _ignorant(self, leader: Node) -> str | None:
        others = len(self.site.layout.nodes) - 1
        for node in self.site.layout.nodes:
            with self.site.sentinel(node) as sentinel:
                seen = sentinel.sentinel_master(self.site.cluster.name)
                replicas = sentinel.sentinel_slaves(self.site.cluster.name)
            knows = (seen["ip"], seen["flags"], seen["num-slaves"], seen["num-other-sentinels"])
            links = [replica["master-link-status"] for replica in replicas]
            if knows != (str(leader.address), "master", others, others) or links != ["ok"] * others:
                return f"{node.name} knows {knows}, links {links}"
        return None


def _wait(what: str, unmet: Callable[[], str | None]) -> None:
    """Wait until `unmet` has nothing to say; what does not answer is not there yet."""
    deadline = time.monotonic() + READY_WITHIN
    while True:
        try:
            seen = unmet()
        except NOT_THERE as error:
            seen = str(error)
        if seen is None:
            return
        if time.monotonic() > deadline:
            raise HoldfastError(f"not within {READY_WITHIN:g} s: {what}; last seen: {seen}")
        time.sleep(POLL)
