"""Slow is not dead: one slow command ends nobody's session, moves nothing, and stops no writes but its own Redis'."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import redis

from holdfast.drill.cluster import Cluster
from holdfast.drill.slow import stall, stall_leader
from holdfast.drill.steady import Application, applications
from holdfast.drill.writers import Gateway
from holdfast.topology import Cluster as Topology
from holdfast.topology import ports
from holdfast.twin import client
from tests.twin.measured import nothing
from tests.twin.passwords import password

TOLERATED = 0.5
"""Seconds of a command, shorter than `failover.detection`."""

BUSY = 10
"""Seconds for which replicas are busy: longer than Redis takes one for a replica that acknowledges by itself."""

SPARE_CLIENTS, FULL_FOR = 10, 3
"""Further clients that a leader has room for, and seconds for which it has none."""

REFUSES_WITHIN = 4.0
"""Seconds after which a leader that is cut off takes no more writes (docs/clients.md): Redis counts whole seconds since
the last acknowledgement, and looks once a second."""

MEASURED_WITHIN = 0.5


@pytest.mark.timed
def test_a_slow_command_ends_nobodys_session_at_any_gateway(healthy: Cluster) -> None:
    leader, failures = stall_leader(healthy, TOLERATED)
    nothing(failures)
    assert healthy.status()["leader"] == leader


@pytest.mark.timed
def test_busy_replicas_stop_no_writes_and_send_no_reader_to_the_leader(healthy: Cluster) -> None:
    status = healthy.status()
    replicas = [node["name"] for node in status["nodes"] if node["name"] != status["leader"]]
    # As an application whose time-out is longer than its slowest command.
    running = [Application(replace(gateway, timeout=3.0)) for gateway in healthy.gateways()]
    session = running[0].gateway.connect(running[0].gateway.replica)
    assert session.ping()
    with readers(healthy) as answered_by, applications(running):
        stalls = [threading.Thread(target=stall, args=(healthy, node, BUSY)) for node in replicas]
        for thread in stalls:
            thread.start()
        for thread in stalls:
            thread.join()
        time.sleep(1)
    nothing([failure for one in running for failure in one.failures])
    assert min(one.writes for one in running) > 5 * BUSY
    assert healthy.run_id(status["leader"]) not in answered_by
    assert healthy.status()["leader"] == status["leader"]
    assert session.ping(), "the session at a replica has stayed"


@pytest.mark.timed
def test_a_leader_that_is_cut_off_soon_refuses_writes_that_come_to_it_directly(healthy: Cluster) -> None:
    leader = healthy.status()["leader"]
    address = next(str(one.address) for one in Topology.of(healthy.read()).nodes if one.name == leader)
    gateway = next(one for one in healthy.gateways() if one.node == leader)
    with replace(gateway, port=ports.REDIS).connect(address) as direct:
        direct.set("direct", 1, ex=60)
        healthy.fault("isolate", leader)
        began, refused = time.monotonic(), ""
        while not refused and time.monotonic() - began < 10:
            try:
                direct.set("direct", 2, ex=60)
                time.sleep(0.05)
            except redis.ResponseError as error:
                refused = str(error)
    assert refused.startswith("NOREPLICAS")
    assert time.monotonic() - began < REFUSES_WITHIN + MEASURED_WITHIN


@pytest.mark.timed
def test_a_leader_that_is_full_of_clients_refuses_the_surplus_and_ends_nobodys_session(healthy: Cluster) -> None:
    leader, gateways = healthy.status()["leader"], healthy.gateways()
    running = [replace(gateway, timeout=3.0).connect(gateway.leader) for gateway in gateways]
    steady = [connection.info("server")["run_id"] for connection in running]
    sessions: list[redis.Redis] = []
    with healthy.client(username="admin", password=password(healthy.read(), "admin")) as admin:
        before = admin.config_get("maxclients")["maxclients"]
        try:
            admin.config_set("maxclients", int(admin.info("clients")["connected_clients"]) + SPARE_CLIENTS)
            refused = 0
            for number in range(3 * SPARE_CLIENTS):
                gateway = gateways[number % len(gateways)]
                sessions.append(gateway.connect(gateway.leader))
                try:
                    sessions[-1].ping()
                except redis.RedisError:
                    refused += 1
            time.sleep(FULL_FOR)
            assert [connection.info("server")["run_id"] for connection in running] == steady
        finally:
            admin.config_set("maxclients", before)
            for connection in sessions:
                connection.close()
    assert refused >= SPARE_CLIENTS
    assert healthy.status()["leader"] == leader


@contextmanager
def readers(cluster: Cluster) -> Iterator[set[str]]:
    """New sessions at every replica endpoint, one after the other; which Redis answered in them (run ids)."""
    answered_by, stop = set[str](), threading.Event()

    def read(gateway: Gateway) -> None:
        while not stop.wait(0.1):
            try:
                with gateway.connect(gateway.replica) as connection:
                    answered_by.add(connection.info("server")["run_id"])
            except (redis.RedisError, OSError, client.NotRunning):
                pass

    threads = [threading.Thread(target=read, args=(gateway,)) for gateway in cluster.gateways()]
    for thread in threads:
        thread.start()
    try:
        yield answered_by
    finally:
        stop.set()
        for thread in threads:
            thread.join()
