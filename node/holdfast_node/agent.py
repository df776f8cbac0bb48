"""The part that always runs: keeps this node in its role, proves the leader to HAProxy, reports to the cloud."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from holdfast_node import lease, servers
from holdfast_node.cloud import Cloud, instance_id
from holdfast_node.decision import Decision, Do, Role, Server, Snapshot, contradicts, decide
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.sentinel_config import BEGAN
from holdfast_node.sentinels import Sentinels

INTERVAL = 0.1
"""Seconds between two looks at the own Redis."""

PEERS_INTERVAL = 0.5
"""Seconds between two looks at the other nodes' Redis, while a decision depends on them."""

FAILOVER_INTERVAL = 1.0
"""Seconds between two requests for a failover: Sentinel needs a moment for one."""

REPORT_INTERVAL, REPORT_MINIMUM = 5.0, 1.0
"""Seconds between two reports: when nothing changes, and at least."""


class Agent:
    """One node's agent. `run` never returns."""

    def __init__(self, identity: Identity, cloud: Cloud, credentials: tuple[str, str]) -> None:
        self._identity = identity
        self._cloud = cloud
        self._credentials = credentials
        self._sentinels = Sentinels(identity.environment, identity.address, identity.sentinel_port, identity.since_7_0)
        self._redis = servers.connect("127.0.0.1", identity.redis_port, credentials)
        self._details: servers.Details | None = None
        self._without_details = Role.DOWN
        self._peers: dict[str, Server] = {}
        self._peers_at = 0.0
        self._contradicts_since: float | None = None
        self._asked_failover = 0.0
        self._decision = Decision(Do.STAY, "starts")

    def run(self) -> None:
        for address in self._identity.peers.values():
            self._sentinels.watch(address)
        lease.serve(self._identity.lease_port, self._may)
        threading.Thread(target=self._report_for_ever, daemon=True).start()
        while True:
            self._look()
            decision = decide(self._snapshot())
            if decision.sentence != self._decision.sentence:
                say(decision.sentence)
            self._decision = decision
            self._act(decision)
            time.sleep(INTERVAL)

    def _may(self, kind: str, name: str) -> bool:
        """Whether HAProxy may use the server `name` as `kind`: only while a majority's word is fresh."""
        leader = self._sentinels.proven_leader()
        address = self._identity.peers.get(name)
        if leader is None or address is None:
            return False
        if kind == "leader":
            return address == leader
        return kind == "replica" and address != leader and address in self._sentinels.members()

    def _look(self) -> None:
        try:
            self._details = servers.details(self._redis)
        except servers.Error as error:
            self._details = None
            self._without_details = Role.DOWN if servers.is_refusal(error) else Role.SILENT
            self._redis.close()

    def _own(self) -> Server:
        return self._details.server if self._details else Server(self._without_details)

    def _snapshot(self) -> Snapshot:
        own, named = self._own(), self._sentinels.proven_leader()
        now = time.monotonic()
        if not contradicts(self._identity.address, own, named):
            self._contradicts_since = None
        elif self._contradicts_since is None:
            self._contradicts_since = now
        settled = (own.role is Role.LEADER and named == self._identity.address) or own.leader == named
        if not settled and now - self._peers_at >= PEERS_INTERVAL:
            self._look_at_peers()
        return Snapshot(
            me=self._identity.address,
            own=own,
            votes=self._sentinels.votes(),
            sentinels=self._sentinels.known(),
            peers={} if settled else self._peers,
            began=BEGAN.exists(),
            contradicts_for=now - self._contradicts_since if self._contradicts_since else 0.0,
        )

    def _look_at_peers(self) -> None:
        """Ask all at once: two silent ones must not cost two time-outs."""
        members = self._sentinels.members() or frozenset(self._identity.others().values())
        found: dict[str, Server] = {}

        def ask(address: str) -> None:
            connection = servers.connect(address, self._identity.redis_port, self._credentials)
            try:
                found[address] = servers.details(connection).server
            except servers.Error:
                pass
            finally:
                connection.close()

        threads = [threading.Thread(target=ask, args=(one,)) for one in members - {self._identity.address}]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._peers, self._peers_at = dict(found), time.monotonic()

    def _act(self, decision: Decision) -> None:
        try:
            if decision.do is Do.LEAD:
                self._redis.execute_command("REPLICAOF", "NO", "ONE")
            elif decision.do is Do.FOLLOW:
                self._redis.execute_command("REPLICAOF", decision.target, self._identity.redis_port)
            elif decision.do is Do.FAIL_OVER and time.monotonic() - self._asked_failover >= FAILOVER_INTERVAL:
                self._asked_failover = time.monotonic()
                self._sentinels.ask_failover()
        except servers.Error as error:
            say(f"could not {decision.do.value}: {error}")

    def _report_for_ever(self) -> None:
        said: dict[str, Any] = {}
        machine: str | None = None
        at = 0.0
        while True:
            time.sleep(REPORT_MINIMUM)
            now = time.monotonic()
            try:
                machine = machine or instance_id()
                report = self._report(machine)
                if _settled(report) == said and now - at < REPORT_INTERVAL:
                    continue
                self._cloud.put_report(report | {"reported_at": time.time()})
                said, at = _settled(report), now
            except Exception as error:
                # The cloud's API is not on the path of anything here: without it the node is only not seen.
                say(f"cannot report: {error}")
                time.sleep(REPORT_INTERVAL)

    def _report(self, machine: str) -> dict[str, Any]:
        identity, found, word = self._identity, self._details, self._sentinels.own_word()
        own = self._own()
        leader, votes = self._sentinels.proven_leader(), self._sentinels.votes()
        haproxy = _is_up(identity)
        follows_in_sync = bool(found and own.role is Role.REPLICA and found.link_up and not found.syncing)
        return {
            "version": 1,
            "node": identity.node,
            "zone": identity.zone,
            "instance_id": machine,
            "program": identity.program,
            "address": identity.address,
            "decision": self._decision.sentence,
            "ready": bool(
                (own.role is Role.LEADER or follows_in_sync)
                and leader == (identity.address if own.role is Role.LEADER else own.leader)
                and word
                and word.leader == leader
                and haproxy
            ),
            "redis": {
                "role": own.role.value,
                "version": found.version if found else None,
                "offset": found.offset if found else None,
                "leader": own.leader,
                "link": None if not found or own.role is not Role.REPLICA else "up" if found.link_up else "down",
                "replicas": [
                    {"address": one.address, "offset": one.offset, "state": one.state, "lag_s": one.lag}
                    for one in (found.followers if found else ())
                ],
            },
            "sentinel": {
                "leader": word.leader if word else None,
                "known": self._sentinels.known(),
                "agreeing": sum(vote == leader for vote in votes.values()) if leader else 0,
                "tilt": word.tilt if word else None,
            },
            "gateway": {"proven_leader": leader, "haproxy": haproxy},
        }


def _settled(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what moves all the time."""
    followers = [(one["address"], one["state"]) for one in report["redis"]["replicas"]]
    return dict(report, redis=dict(report["redis"], offset=None, replicas=followers))


def _is_up(identity: Identity) -> bool:
    """Whether this machine has both endpoint addresses and HAProxy listens on them."""
    for address in (identity.leader_endpoint, identity.replica_endpoint):
        try:
            socket.create_connection((address, identity.endpoint_port), timeout=servers.TIMEOUT).close()
        except OSError:
            return False
    return True
