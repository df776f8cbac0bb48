"""Connections of somebody who never logs in take nothing from applications, and stop no failover."""

from __future__ import annotations

import re
import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from holdfast.drill.cluster import Cluster
from holdfast.drill.steady import Application, applications
from holdfast.drill.waiting import wait_until
from holdfast.drill.writers import Gateway, Writers
from holdfast.topology import ports, sessions
from holdfast.twin import client

OPENED = 2500
"""Connections of one host to one endpoint: more than one address may have."""

SPARE = 5.0
"""Seconds beside a deadline until somebody has noticed it."""

RETRIES = 3.0
"""Seconds for which an ordinary client tries again (docs/clients.md)."""

MISSED_WITHIN = 120
"""Seconds without a word until a host that is gone is given up, on either side of a gateway."""

KEEPALIVE = re.compile(r"timer:\(keepalive,(?:(\d+)min)?(?:([\d.]+)(sec|ms))?,0\)")
"""How `ss` tells that a peer will be asked whether it is still there."""


@pytest.mark.timed
def test_a_host_that_opens_thousands_of_connections_and_says_nothing_shuts_nobody_out(
    healthy: Cluster, floating: Gateway
) -> None:
    gateway = healthy.gateways()[0]
    with (
        applications([Application(one) for one in healthy.gateways()]) as running,
        without_login(floating.node, gateway, OPENED) as opened,
    ):
        wait_until_left(opened, sessions.OF_ONE_ADDRESS, SPARE)
        wait_until_left(opened, 0, sessions.FIRST_WORD + SPARE)
    assert [one.failures for one in running] == [[], [], []]
    assert min(one.writes for one in running) > 50


@pytest.mark.timed
def test_who_speaks_and_does_not_log_in_is_ended_and_stops_no_failover(
    healthy: Cluster, floating: Gateway, writers: Writers
) -> None:
    leader = healthy.status()["leader"]
    gateway = next(one for one in healthy.gateways() if one.node != leader)
    with (
        applications([Application(one) for one in healthy.gateways()]) as running,
        without_login(floating.node, gateway, sessions.CROWDED + 200, b"PING\r\n") as opened,
    ):
        wait_until_left(opened, 0, sessions.FIRST_WORD + SPARE)
    assert [one.failures for one in running] == [[], [], []]
    with without_login(floating.node, gateway, OPENED, b"PING\r\n"):
        healthy.fault("kill", leader)
        healthy.wait("another leader", lambda seen: seen["leader"] not in (None, leader), 20)
        wait_until(lambda: writes(gateway), RETRIES, lambda: f"no write through {gateway.node} in {RETRIES:g} s")
    assert writers.stop()


def writes(gateway: Gateway) -> bool:
    try:
        with gateway.connect(gateway.leader) as session:
            return bool(session.set("limits", "after", ex=60))
    except redis.RedisError:
        return False


@contextmanager
def without_login(node: str, gateway: Gateway, number: int, says: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections of one machine to a gateway's leader endpoint, none of which logs in."""
    opened: list[socket.socket] = []
    try:
        for _ in range(number):
            try:
                connection = client.connect_from_node(node, gateway.leader, gateway.port, 2)
                opened.append(connection)
                connection.sendall(says)
            except OSError:
                continue
        yield opened
    finally:
        for connection in opened:
            connection.close()


def wait_until_left(connections: list[socket.socket], most: int, seconds: float) -> None:
    wait_until(
        lambda: len(alive(connections)) <= most,
        seconds,
        lambda: f"after {seconds:g} s {len(alive(connections))} of {len(connections)} are open; accepted: {most}",
    )


def alive(connections: list[socket.socket]) -> list[socket.socket]:
    """Those that the other side has not closed; closes the rest, as a client does."""
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            if connection.fileno() >= 0:
                selector.register(connection, selectors.EVENT_READ, connection)
        for key, _ in selector.select(0):
            connection = key.data
            try:
                if not connection.recv(4096):
                    connection.close()
            except OSError:
                connection.close()
    return [connection for connection in connections if connection.fileno() >= 0]


def test_a_host_that_vanished_without_a_word_is_given_up_on_either_side(healthy: Cluster) -> None:
    leader = healthy.status()["leader"]
    gateway = next(one for one in healthy.gateways() if one.node != leader)
    with gateway.connect(gateway.leader) as session:
        session.ping()
        # The client's, and the one to the leader; then the same at the leader's own end.
        for node, port in ((gateway.node, gateway.port), (gateway.node, ports.REDIS), (leader, ports.REDIS)):
            found = healthy.exec(
                node, "ss", "-Htnop", "state", "established", f"( sport = :{port} or dport = :{port} )"
            )
            # A replica ends its link to a silent leader by `repl-timeout`. And what is on its way is waited for by
            # another clock: for two minutes too, at a gateway.
            lines = [line for line in found.splitlines() if "timer:(on," not in line]
            served = [line for line in lines if "haproxy" in line or line.split()[2].endswith(f":{ports.REDIS}")]
            assert served
            # A quarter of a minute four times after the first minute, or a third of a minute three times.
            assert [line for line in served if not 0 <= probed_in(line) <= MISSED_WITHIN / 2] == []


def probed_in(line: str) -> float:
    """Seconds until a silent peer is asked whether it is there; none where it never is."""
    found = KEEPALIVE.search(line)
    if not found:
        return -1
    minutes, rest, unit = found.groups()
    return 60 * int(minutes or 0) + float(rest or 0) * (0.001 if unit == "ms" else 1)
