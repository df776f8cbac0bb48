"""One deployed cluster for `cluster/` and `faults/`: `make up` once, then clients, writers and faults against it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from holdfast import cli
from holdfast.topology import find_environment, load_environment
from holdfast.twin import client
from tests.twin import application
from tests.twin.faults import checker
from tests.twin.faults.checker import Verdict
from tests.twin.writers import Gateway, PublicGateway, Writers

REPOSITORY = Path(__file__).resolve().parents[2]
HOLDFAST = REPOSITORY / ".venv" / "bin" / "holdfast"

LASTING = 1.5
"""Seconds for which a cluster must be well: reports are a second old, and Sentinel notices its clock after a moment."""

KEEPS = "HOLDFAST_TEST_KEEP" in os.environ
"""For whoever works on these tests: a cluster that is up already is used as it is, and stays."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that end the cluster come last; everything else is independent of order."""
    items.sort(key=lambda item: item.get_closest_marker("ends_the_cluster") is not None)


def _answer(*arguments: str) -> dict[str, Any]:
    """What a command prints as JSON. In this process: starting another costs a core a second, which would be felt."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        cli.main(arguments)
    content: dict[str, Any] = json.loads(printed.getvalue())
    return content


def make(target: str) -> None:
    """As a person does it. Where it fails, the end of what it said is the test's message."""
    done = subprocess.run(
        ["make", target], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800
    )
    print(done.stdout)
    if done.returncode:
        pytest.fail(f"make {target} failed:\n" + "\n".join(done.stdout.splitlines()[-40:]), pytrace=False)


EXPORTED: dict[str, tempfile.TemporaryDirectory[str]] = {}
"""Environment → where its clients' certificates are."""


@dataclass(frozen=True)
class Cluster:
    """An environment on the twin, as an operator works with it: through the commands."""

    name: str = "local"
    file: Path | None = None
    """Where its file is, if not among the others."""

    @property
    def environment(self) -> str:
        """As the commands take it."""
        return str(self.file or self.name)

    def holdfast(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([HOLDFAST, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
        if check and done.returncode != 0:
            pytest.fail(f"holdfast {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def status(self) -> dict[str, Any]:
        return _answer("status", self.environment, "--json")

    def endpoints(self) -> dict[str, Any]:
        return _answer("endpoints", self.environment, "--json", "--show-password")

    def instances(self) -> dict[str, str]:
        """Node → instance id."""
        return {node["name"]: node["instance_id"] for node in self.status()["nodes"]}

    def fault(self, kind: str, *arguments: str) -> None:
        """As on the command line: a target, then options."""
        self.holdfast("twin", "fault", self.name, kind, *arguments)

    def heal(self) -> None:
        self.holdfast("twin", "heal", self.name)

    def exec(self, node: str, *command: str, check: bool = True) -> str:
        return self.holdfast("twin", "exec", node, "--", *command, check=check).stdout

    def wait(
        self, what: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 90, lasting: float = 0
    ) -> dict[str, Any]:
        """Wait until the status says so, for `lasting` seconds on end; fail with what was last seen."""
        deadline, since = time.monotonic() + seconds, None
        while True:
            status = self.status()
            since = (since or time.monotonic()) if holds(status) else None
            if since is not None and time.monotonic() - since >= lasting:
                return status
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds} s: {what}; last seen:\n{json.dumps(status, indent=2)}")
            time.sleep(0.5)

    def wait_healthy(self, seconds: float = 120, what: str = "a healthy cluster without TILT") -> dict[str, Any]:
        """Healthy, and so that it can fail over: a Sentinel that distrusts its clock (TILT) does nothing for 30 s."""
        return self.wait(what, lambda status: status["healthy"] and not self.tilted(status), seconds, lasting=LASTING)

    def tilted(self, status: dict[str, Any]) -> list[str]:
        """The nodes whose Sentinel distrusts its clock, or says nothing."""
        found = []
        for node in status["nodes"]:
            if "sentinel" not in node["roles"]:
                continue
            try:
                with client.connect_to_sentinel(node["name"], node["address"], 1) as sentinel:
                    sentinel.sendall(b"INFO sentinel\r\n")
                    with sentinel.makefile("rb") as lines:
                        # Not to the end: Sentinel knows no QUIT, and keeps the connection.
                        said = next(line for line in lines if line.startswith(b"sentinel_tilt:"))
            except (OSError, client.NotRunning):
                # Just restarted: the report that says otherwise is older.
                said = b""
            if said != b"sentinel_tilt:0\r\n":
                found.append(node["name"])
        return found

    def client(self, kind: str = "leader", **options: Any) -> redis.Redis:
        """A redis-py client at a loopback forward."""
        found = self.endpoints()
        host, port = found[kind]["forward"].split(":")
        files = self.exported()
        if files:
            options |= {"ssl": True, "ssl_ca_certs": str(files / "ca.pem")}
            if (files / "client.pem").exists():
                options |= {"ssl_certfile": str(files / "client.pem"), "ssl_keyfile": str(files / "client-key.pem")}
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
        return self._gateways("addresses", Gateway)

    def public_gateways(self, source: str) -> list[Gateway]:
        """The same at their public addresses, to be used from a machine on the internet of that address."""
        return self._gateways("public_addresses", partial(PublicGateway, source=source))

    def _gateways(self, which: str, made: Callable[..., Gateway]) -> list[Gateway]:
        found = self.endpoints()
        leaders, replicas = found["leader"][which], found["replica"][which]
        nodes = [node["name"] for node in self.status()["nodes"] if "gateway" in node["roles"]]
        port, login, tls = found["leader"]["port"], (found["user"], found["password"]), self.tls()
        return [
            made(node, leader, replica, port, *login, tls)
            for node, leader, replica in zip(nodes, leaders, replicas, strict=True)
        ]

    def pair(self, machine: str) -> Gateway:
        """The floating pair, to be used from that machine's network."""
        found = self.endpoints()
        pair = found["floating"]
        login = found["user"], found["password"]
        return Gateway(machine, pair["leader"], pair["replica"], pair["port"], *login, self.tls())

    def exported(self) -> Path | None:
        """Where the files are that `holdfast certs export` gives a client; None without TLS."""
        if not load_environment(find_environment(self.environment)).tls.on:
            return None
        if self.environment not in EXPORTED:
            EXPORTED[self.environment] = tempfile.TemporaryDirectory()
            _answer("certs", "export", self.environment, EXPORTED[self.environment].name, "--json")
        return Path(EXPORTED[self.environment].name)

    def forget_exported(self) -> None:
        """The next client fetches its files anew."""
        EXPORTED.pop(self.environment).cleanup()

    def tls(self) -> ssl.SSLContext | None:
        """As a client connects; None without TLS."""
        files = self.exported()
        if files is None:
            return None
        context = ssl.create_default_context(cafile=str(files / "ca.pem"))
        if (files / "client.pem").exists():
            context.load_cert_chain(files / "client.pem", files / "client-key.pem")
        return context


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """`make up`, as the README says, and nothing left behind afterwards."""
    if os.geteuid() != 0:
        pytest.fail("the tests on the twin need root: sudo make test")
    if KEEPS:
        yield Cluster()
        return
    # The machine has one twin, and somebody may have been interrupted in the middle of it.
    make("down")
    try:
        make("up")
        yield Cluster()
    finally:
        make("down")


@pytest.fixture(scope="module")
def floating(cluster: Cluster) -> Iterator[Gateway]:
    """The floating pair, as an application uses it from a machine of its own in the environment's network."""
    with application.running(cluster.name) as machine:
        yield cluster.pair(machine)


@pytest.fixture
def healthy(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster, healthy before the test, healed and healthy after it."""
    # One that does not heal by itself costs its own test the patience, and not every later one.
    ill_since = request.config.stash.get(ILL_SINCE, None)
    if ill_since:
        cluster.wait_healthy(5, f"a healthy cluster, which it has not been since {ill_since}")
    cluster.wait_healthy()
    request.config.stash[ILL_SINCE] = request.node.name
    yield cluster
    cluster.heal()
    cluster.wait_healthy()
    request.config.stash[ILL_SINCE] = None


ILL_SINCE = pytest.StashKey[str | None]()


@pytest.fixture
def writers(healthy: Cluster) -> Iterator[Writers]:
    """Continuous writes through every gateway, each from its own node's network, all through the test."""
    with Writers(healthy.gateways()) as running:
        running.wait_writing()
        yield running


Judge = Callable[..., Verdict]


@pytest.fixture
def judge(request: pytest.FixtureRequest, cluster: Cluster) -> Judge:
    """Ends the writing, reads back what was acknowledged, and notes the verdict for the table at the end."""

    def verdict_on(what: str, writers: Writers, of: Cluster = cluster, **how: Any) -> Verdict:
        ended = writers.stop()
        with of.client(socket_timeout=10) as reader:
            present = writers.present(reader)
        verdict = checker.judge(writers.acknowledged, writers.reads, present, ended=ended, **how)
        request.config.stash.setdefault(VERDICTS, []).append((what, verdict))
        return verdict

    return verdict_on


VERDICTS = pytest.StashKey[list[tuple[str, Verdict]]]()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What each fault cost: a figure that nobody sees proves nothing."""
    verdicts = config.stash.get(VERDICTS, [])
    if not verdicts:
        return
    width = max(len(what) for what, _ in verdicts)
    terminalreporter.section("what each fault cost")
    terminalreporter.write_line(
        "outage: without an acknowledged write at one of the surviving gateways, and at all; lost: acknowledged writes"
    )
    terminalreporter.write_line(
        f"{'fault':{width}}  outage   at all  leaders  lost without WAIT  lost with WAIT  stalest replica"
    )
    for what, verdict in verdicts:
        terminalreporter.write_line(
            f"{what:{width}}  {verdict.outage:4.2f} s  {verdict.silence:5.2f} s  {len(verdict.leaders):7}  "
            f"{len(verdict.lost_without):17}  {len(verdict.lost_with):14}  {verdict.staleness:13.2f} s"
        )
