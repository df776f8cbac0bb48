"""All passwords change under clients that never see it: no command fails, nobody is promoted, and nothing restarts."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import time
from dataclasses import replace

import pytest
import redis
from holdfast_node import resp

from holdfast.drill.cluster import HOLDFAST, Cluster
from holdfast.drill.steady import Application, applications
from holdfast.drill.writers import Gateway
from holdfast.mirror import REPOSITORY
from holdfast.ops import cloud
from holdfast.topology import find_environment, load_environment, names, ports, users
from holdfast.twin import client
from tests.twin.passwords import password

ENVIRONMENT = load_environment(find_environment("local"))
SERVICES = ("holdfast-redis", "holdfast-sentinel", "holdfast-haproxy", "holdfast-node", "holdfast-keepalived")
GRACE = 5
LOOKS_EVERY = 2.0
"""Seconds for which an application trusts the password that it read."""


def passwords() -> dict[str, str]:
    """User → what an application reads now."""
    return {user.name: password(ENVIRONMENT, user.name) for user in users.of(ENVIRONMENT)}


class Reader:
    """Reads the password of an application's user now and then, as an application does."""

    def __init__(self) -> None:
        self._looked = time.monotonic()

    def __call__(self, gateway: Gateway) -> Gateway:
        if time.monotonic() - self._looked <= LOOKS_EVERY:
            return gateway
        self._looked = time.monotonic()
        return replace(gateway, password=password(ENVIRONMENT, gateway.user))


def processes(cluster: Cluster) -> dict[str, str]:
    """Node → the main process of each service, and since when it runs."""
    shown = ("--property=Id,MainPID,ExecMainStartTimestampMonotonic", *SERVICES)
    return {node: cluster.exec(node, "systemctl", "show", *shown) for node in cluster.instances()}


def test_all_passwords_change_under_a_writer_and_after_an_interruption_too(healthy: Cluster) -> None:
    before, leader, ran = passwords(), healthy.status()["leader"], processes(healthy)
    rotate = ("secrets", "rotate", healthy.name, "--grace", f"{GRACE}s")
    with applications([Application(gateway, Reader()) for gateway in healthy.gateways()]) as running:
        first = subprocess.Popen(
            [HOLDFAST, *rotate],
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
            # As in a terminal: a shell has what it starts in the background ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert first.stderr is not None
        assert "local-a1 accepts the new passwords beside the old ones" in first.stderr.readline()
        first.send_signal(signal.SIGINT)
        assert "interrupted" in first.communicate(timeout=30)[1]
        assert first.returncode == 130
        # Half-way, everything goes on with the old ones.
        assert passwords() == before
        assert "app" in healthy.status()["changing"]
        said = healthy.holdfast(*rotate).stderr
        time.sleep(LOOKS_EVERY)
    assert "goes on with the change of" in said
    assert [one.failures for one in running] == [[], [], []]
    assert all(one.writes > 100 for one in running)
    after = passwords()
    assert not set(before.values()) & set(after.values())
    status = healthy.wait_healthy()
    assert (status["leader"], status["changing"]) == (leader, [])
    assert processes(healthy) == ran
    for node in healthy.instances():
        _old_are_refused_and_new_taken(healthy, node, before, after)


def _old_are_refused_and_new_taken(cluster: Cluster, node: str, before: dict[str, str], after: dict[str, str]) -> None:
    address = next(it["address"] for it in cluster.status()["nodes"] if it["name"] == node)
    for user in before:
        assert _log_in(node, address, ports.REDIS, user, before[user]).startswith("-WRONGPASS "), user
        assert _log_in(node, address, ports.REDIS, user, after[user]) == "+OK", user
    for user in ("app", "node", "sentinel"):
        assert _log_in(node, address, ports.SENTINEL, user, before[user]).startswith("-WRONGPASS "), user
        assert _log_in(node, address, ports.SENTINEL, user, after[user]) == "+OK", user
    assert _statistics(node, address, before["metrics"]) == 401
    assert _statistics(node, address, after["metrics"]) == 200


def _log_in(node: str, address: str, port: int, user: str, password: str) -> str:
    with client.connect_from_node(node, address, port, 2) as connection:
        connection.sendall(resp.encode("AUTH", user, password))
        return connection.recv(200).decode().strip()


def _statistics(node: str, address: str, password: str) -> int:
    """The status with which HAProxy's statistics answer."""
    login = base64.b64encode(f"metrics:{password}".encode()).decode()
    with client.connect_from_node(node, address, ports.STATS, 2) as connection:
        connection.sendall(f"GET / HTTP/1.0\r\nAuthorization: Basic {login}\r\n\r\n".encode())
        return int(connection.recv(200).split()[1])


def test_a_user_that_there_is_not_is_refused(healthy: Cluster) -> None:
    done = healthy.holdfast("secrets", "rotate", healthy.name, "--user", "nobody", check=False)
    assert done.returncode == 2
    assert "local has no user nobody; accepted: app, reports, admin, " in done.stderr


@pytest.mark.parametrize("user", ["reports"])
def test_one_alone_changes(healthy: Cluster, user: str) -> None:
    before = passwords()
    healthy.holdfast("secrets", "rotate", healthy.name, "--user", user, "--grace", "0s")
    after = passwords()
    assert {name for name in before if before[name] != after[name]} == {user}


def test_sessions_of_a_password_that_leaked_end_where_that_is_asked_for(healthy: Cluster) -> None:
    rotate = ("secrets", "rotate", healthy.name, "--user", "reports", "--grace", "0s")
    leaked = password(ENVIRONMENT, "reports")
    thief = [healthy.client(kind, username="reports", password=leaked) for kind in ("leader", "replica")]
    sessions = [one.connection_pool.get_connection() for one in thief]
    others = [gateway.connect(gateway.leader) for gateway in healthy.gateways()]
    for other in others:
        assert other.ping()
    leader = healthy.status()["leader"]
    healthy.holdfast(*rotate)
    for session in sessions:
        session.send_command("PING")
        assert session.read_response() == "PONG", "none ends by itself"
    said = healthy.holdfast(*rotate, "--end-sessions").stderr
    assert "ended 1 sessions of reports" in said
    for session in sessions:
        with pytest.raises(redis.ConnectionError):
            session.send_command("PING")
            session.read_response()
    assert all(other.ping() for other in others), "nobody else's"
    assert healthy.status()["leader"] == leader


def test_a_machine_that_boots_when_an_application_was_removed_does_not_wait_for_it(healthy: Cluster) -> None:
    """As between the first stacks of a deploy and the machine's own; for long, where a gate stopped the deploy."""
    node = next(it for it in healthy.status()["nodes"] if it["role"] == "replica")
    where = {"Bucket": names.bucket(ENVIRONMENT), "Key": names.USERS_KEY}
    s3, left = cloud.client(ENVIRONMENT, "s3"), "reports"
    kept = s3.get_object(**where)["Body"].read()

    def reboot() -> str:
        healthy.fault("power-cut", node["name"])
        healthy.heal()
        healthy.wait_healthy()
        return _log_in(node["name"], node["address"], ports.REDIS, left, password(ENVIRONMENT, left))

    s3.put_object(**where, Body=json.dumps({name: it for name, it in json.loads(kept).items() if name != left}))
    try:
        assert reboot().startswith("-WRONGPASS ")
        assert "reports is no user any more" in healthy.exec(
            node["name"], "journalctl", "--boot", "--unit=holdfast-secrets"
        )
    finally:
        s3.put_object(**where, Body=kept)
    assert reboot() == "+OK"
