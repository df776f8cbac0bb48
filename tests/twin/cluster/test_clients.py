"""After `make up`, ordinary clients write and read through any node's endpoints."""

import json
import subprocess
import time

import pytest
import redis

from holdfast.drill.cluster import Cluster
from holdfast.mirror import REPOSITORY


def test_the_cluster_is_healthy_and_says_so(healthy: Cluster) -> None:
    status = healthy.status()
    assert status["leader"] in {"local-a1", "local-b1", "local-c1"}
    assert {(node["name"], node["zone"], node["healthy"]) for node in status["nodes"]} == {
        ("local-a1", "a", True),
        ("local-b1", "b", True),
        ("local-c1", "c", True),
    }
    assert sorted(node["role"] for node in status["nodes"]) == ["leader", "replica", "replica"]
    assert status["sentinels"] == {"agreeing": 3, "total": 3}
    assert healthy.holdfast("status", "local").returncode == 0


def test_a_write_through_any_leader_endpoint_is_readable_through_any_replica_endpoint(healthy: Cluster) -> None:
    gateways = healthy.gateways()
    for writer in gateways:
        with writer.connect(writer.leader) as leader:
            leader.set(f"through:{writer.node}", "42")
            assert leader.wait(2, 2000) == 2
        for reader in gateways:
            with reader.connect(reader.replica) as replica:
                assert replica.get(f"through:{writer.node}") == "42"


def test_a_replica_endpoint_leads_to_replicas_only_and_to_all_of_them(healthy: Cluster) -> None:
    gateway = healthy.gateways()[0]
    seen = set()
    for _ in range(20):
        with gateway.connect(gateway.replica) as replica:
            seen.add(replica.info("server")["run_id"])
            assert replica.info("replication")["role"] == "slave"
            with pytest.raises(redis.ReadOnlyError):
                replica.set("refused", "1")
    assert len(seen) == 2


def test_redis_py_through_the_loopback_forwards(healthy: Cluster) -> None:
    with healthy.client("leader") as leader:
        leader.set("redis-py", "works")
        leader.wait(2, 2000)
    with healthy.client("replica") as replica:
        assert replica.get("redis-py") == "works"


def test_redis_cli_from_the_line_that_make_up_prints(healthy: Cluster) -> None:
    found = healthy.endpoints()
    host, port = found["leader"]["forward"].split(":")
    command = ["redis-cli", "-h", host, "-p", port, "--user", found["user"]]
    environment = {"REDISCLI_AUTH": found["password"], "PATH": "/usr/bin:/bin"}
    assert subprocess.check_output([*command, "SET", "redis-cli", "works"], env=environment, text=True) == "OK\n"
    assert subprocess.check_output([*command, "GET", "redis-cli"], env=environment, text=True) == "works\n"


def test_ioredis_works_unmodified(healthy: Cluster) -> None:
    found = healthy.endpoints()
    host, port = found["leader"]["forward"].split(":")
    script = REPOSITORY / "tests" / "twin" / "cluster" / "ioredis_client.mjs"
    settings = {"host": host, "port": int(port), "username": found["user"], "password": found["password"]}
    output = subprocess.check_output(
        ["node", script], input=json.dumps(settings), text=True, cwd=REPOSITORY, timeout=60
    )
    assert json.loads(output) == {"set": "OK", "get": "works", "pipeline": ["OK", 1]}


@pytest.mark.parametrize("credentials", [{}, {"username": "app", "password": "guess"}, {"password": "guess"}])
def test_nobody_without_the_password(healthy: Cluster, credentials: dict[str, str]) -> None:
    host, port = healthy.endpoints()["leader"]["forward"].split(":")
    with (
        redis.Redis(host=host, port=int(port), socket_timeout=2, **credentials) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.get("anything")


def test_the_application_cannot_administer_the_server(healthy: Cluster) -> None:
    with healthy.client() as application:
        for command in (["CONFIG", "GET", "*"], ["SHUTDOWN"], ["REPLICAOF", "NO", "ONE"], ["ACL", "LIST"]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                application.execute_command(*command)


def test_the_replica_endpoint_falls_back_to_the_leader_when_no_replica_is_left(
    healthy: Cluster, request: pytest.FixtureRequest
) -> None:
    status = healthy.status()
    replicas = [node["name"] for node in status["nodes"] if node["role"] == "replica"]
    request.addfinalizer(lambda: [healthy.exec(node, "systemctl", "start", "holdfast-redis") for node in replicas])
    for node in replicas:
        # One that is only busy would keep its readers.
        healthy.exec(node, "systemctl", "stop", "holdfast-redis")
    leader = next(gateway for gateway in healthy.gateways() if gateway.node == status["leader"])
    deadline = time.monotonic() + 10
    while True:
        try:
            with leader.connect(leader.replica) as reader:
                assert reader.info("replication")["role"] == "master"
                return
        except (redis.RedisError, OSError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
