"""One deployed cluster for all of these tests: `make up` once, then clients, writers and faults against it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.twin.cluster.writers import Gateway, Writers

REPOSITORY = Path(__file__).resolve().parents[3]
HOLDFAST = REPOSITORY / ".venv" / "bin" / "holdfast"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that end the cluster come last; everything else is independent of order."""
    items.sort(key=lambda item: item.get_closest_marker("ends_the_cluster") is not None)


class Cluster:
    """The environment `local`, as an operator works with it: through the commands."""

    name = "local"

    def holdfast(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([HOLDFAST, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
        if check and done.returncode != 0:
            pytest.fail(f"holdfast {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def status(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.holdfast("status", self.name, "--json", check=False).stdout)
        return content

    def endpoints(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.holdfast("endpoints", self.name, "--json", "--show-password").stdout)
        return content

    def fault(self, kind: str, target: str) -> None:
        self.holdfast("twin", "fault", self.name, kind, target)

    def heal(self) -> None:
        self.holdfast("twin", "heal", self.name)

    def exec(self, node: str, *command: str, check: bool = True) -> str:
        return self.holdfast("twin", "exec", node, "--", *command, check=check).stdout

    def wait(self, what: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 90) -> dict[str, Any]:
        """Wait until the status says so; fail with what was last seen."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.status()
            if holds(status):
                return status
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds} s: {what}; last seen:\n{json.dumps(status, indent=2)}")
            time.sleep(0.5)

    def wait_healthy(self, seconds: float = 120) -> dict[str, Any]:
        return self.wait("a healthy cluster", lambda status: bool(status["healthy"]), seconds)

    def client(self, kind: str = "leader", **options: Any) -> redis.Redis:
        """A redis-py client at a loopback forward."""
        found = self.endpoints()
        host, port = found[kind]["forward"].split(":")
        return redis.Redis(
            host=host,
            port=int(port),
            username=found["user"],
            password=found["password"],
            decode_responses=True,
            **{"socket_timeout": 2, "socket_connect_timeout": 2} | options,
        )

    def gateways(self) -> list[Gateway]:
        """Every node's own endpoints, to be used from that node's own network."""
        found = self.endpoints()
        leaders, replicas = found["leader"]["addresses"], found["replica"]["addresses"]
        return [
            Gateway(node["name"], leader, replica, found["leader"]["port"], found["user"], found["password"])
            for node, leader, replica in zip(self.status()["nodes"], leaders, replicas, strict=True)
        ]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """`make up`, as the README says, and nothing left behind afterwards."""
    if os.geteuid() != 0:
        pytest.fail("the tests on the twin need root: sudo make test")
    # For whoever works on these tests: a cluster that is up already is used as it is, and stays.
    keep = "HOLDFAST_TEST_KEEP" in os.environ
    if not keep:
        subprocess.run(["make", "up"], cwd=REPOSITORY, check=True, timeout=1800)
    yield Cluster()
    if not keep:
        subprocess.run(["make", "down"], cwd=REPOSITORY, check=True, timeout=900)


@pytest.fixture
def healthy(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, healthy before the test, healed and healthy after it."""
    cluster.wait_healthy()
    yield cluster
    cluster.heal()
    cluster.wait_healthy(180)


@pytest.fixture
def writers(healthy: Cluster) -> Iterator[Writers]:
    """Continuous writes through every gateway, each from its own node's network, all through the test."""
    with Writers(healthy.gateways()) as running:
        running.wait_writing()
        yield running


@pytest.fixture(scope="session")
def outages() -> Iterator[dict[str, float]]:
    """The outage that each fault cost, printed at the end: a figure that nobody sees proves nothing."""
    measured: dict[str, float] = {}
    yield measured
    for fault, seconds in measured.items():
        print(f"\nwrite outage, {fault}: {seconds:.2f} s", flush=True)


@pytest.fixture
def record_outage(outages: dict[str, float]) -> Callable[[str, float], None]:
    return outages.__setitem__
