"""A machine that runs out of memory loses its Redis, and nothing that replaces it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from holdfast.drill.cluster import Cluster
from holdfast.topology import Cluster as Topology

ENDLESS = "while true do redis.call('RPUSH', KEYS[1], string.rep('x', 2^20)) end"

GUARDIANS = ("holdfast-node", "holdfast-sentinel", "holdfast-haproxy", "holdfast-keepalived")


def processes(cluster: Cluster, node: str, *units: str) -> list[str]:
    return [cluster.exec(node, "systemctl", "show", "--property=MainPID", "--value", unit).strip() for unit in units]


def node_of(status: dict[str, Any], name: str) -> dict[str, Any]:
    return next(node for node in status["nodes"] if node["name"] == name)


def test_a_machine_has_the_memory_of_its_type(healthy: Cluster) -> None:
    for node in Topology.of(healthy.read()).nodes:
        total = healthy.exec(node.name, "grep", "MemTotal", "/proc/meminfo").split()[1]
        assert int(total) == node.machine.instance.memory << 10


def test_a_script_that_fills_the_memory_ends_in_a_failover_and_costs_nothing_but_redis(healthy: Cluster) -> None:
    leader = healthy.status()["leader"]
    guardians, killed = processes(healthy, leader, *GUARDIANS), processes(healthy, leader, "holdfast-redis")
    # Sent again it would kill the next one.
    with healthy.client(retry=Retry(NoBackoff(), 0)) as application, suppress(redis.RedisError):
        application.eval(ENDLESS, 1, "endless")
    healthy.wait("another leader", lambda seen: seen["leader"] not in (None, leader), 10)
    healthy.wait(
        "its Redis to be killed", lambda _: processes(healthy, leader, "holdfast-redis") not in (killed, ["0"])
    )
    healthy.wait_healthy()
    seen = healthy.wait("status to say why", lambda seen: node_of(seen, leader)["killed"], 30)
    told = node_of(seen, leader)["killed"]
    assert told["limit_mib"] == 2048 - 384
    assert time.time() - 120 < told["at"] <= time.time()
    assert [it["name"] for it in seen["nodes"] if it["killed"]] == [leader]
    assert processes(healthy, leader, *GUARDIANS) == guardians
    with healthy.client() as application:
        assert application.exists("endless") == 0
