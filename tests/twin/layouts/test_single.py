"""The layout `single`: one node, the endpoints that it keeps later, and nobody to replace it."""

from __future__ import annotations

import time

import redis

from tests.twin import application
from tests.twin.conftest import Cluster
from tests.twin.writers import Gateway


def test_one_node_serves_every_endpoint_and_comes_back_with_its_data(others: dict[str, Cluster]) -> None:
    single = others["single"]
    status = single.wait_healthy()
    assert (status["leader"], status["sentinels"]) == ("single-a1", {"agreeing": 1, "total": 1})
    assert status["floating"]["gateway"] == "single-a1"
    with single.client() as client:
        client.set("kept", "by the volume")
        first = client.info("server")["run_id"]
    single.fault("kill", "leader")
    wait_restarted(single, first)
    found = single.endpoints()
    with application.running(single.environment) as machine:
        pair = found["floating"]
        for address in (pair["leader"], pair["replica"]):
            with Gateway(machine, address, address, pair["port"], found["user"], found["password"]).connect(
                address
            ) as client:
                assert client.get("kept") == "by the volume"
    single.fault("power-cut", "leader")
    single.heal()
    single.wait_healthy()
    with single.client("replica") as client:
        assert client.get("kept") == "by the volume"


def wait_restarted(single: Cluster, before: str) -> None:
    """Wait until another process than the one of that run id answers."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with single.client() as client:
                if client.info("server")["run_id"] != before:
                    return
        except redis.RedisError:
            pass
        assert time.monotonic() < deadline, "nobody answers at the leader endpoint"
        time.sleep(0.1)
