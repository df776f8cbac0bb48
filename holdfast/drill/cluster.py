"""An environment on the twin, as an operator works with it: through the commands."""

from __future__ import annotations

import json
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import redis

from holdfast.drill import checker
from holdfast.drill.checker import Verdict
from holdfast.drill.waiting import NotInTime
from holdfast.drill.writers import Gateway, PublicGateway, Writers
from holdfast.errors import HoldfastError
from holdfast.mirror import REPOSITORY
from holdfast.ops import endpoints, reports, status
from holdfast.ops.endpoints import Endpoints
from holdfast.ops.status import Status
from holdfast.topology import Cluster as Topology
from holdfast.topology import Environment, find_environment, load_environment, ports
from holdfast.twin import client

HOLDFAST = REPOSITORY / ".venv" / "bin" / "holdfast"

LASTING = 1.5
"""Seconds for which a cluster must be well: reports are a second old, and Sentinel notices its clock after a moment."""

EXPORTED: dict[str, tempfile.TemporaryDirectory[str]] = {}
"""Environment → where its clients' certificates are."""


def _as_json(answer: Status | Endpoints) -> dict[str, Any]:
    """As a command prints it, and somebody reads it."""
    content: dict[str, Any] = json.loads(json.dumps(answer.as_json()))
    return content


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
            said = f"{done.stdout}\n{done.stderr}"
            raise HoldfastError(f"holdfast {' '.join(arguments)} ended with {done.returncode}\n{said}")
        return done

    def read(self) -> Environment:
        """What its file says now."""
        return load_environment(find_environment(self.environment))

    def status(self) -> dict[str, Any]:
        """As `holdfast status --json`, in this process: another one costs a core a second, which would be felt."""
        environment = self.read()
        return _as_json(status.work_out(Topology.of(environment), reports.fetch(environment)))

    def endpoints(self) -> dict[str, Any]:
        """As `holdfast endpoints --json --show-password`."""
        environment = self.read()
        user = endpoints.application(environment, None)
        return _as_json(endpoints.find(environment, user, with_password=True))

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
            seen = self.status()
            since = (since or time.monotonic()) if holds(seen) else None
            if since is not None and time.monotonic() - since >= lasting:
                return seen
            if time.monotonic() > deadline:
                raise NotInTime(f"not within {seconds} s: {what}; last seen:\n{json.dumps(seen, indent=2)}")
            time.sleep(0.5)

    def wait_healthy(self, seconds: float = 120, what: str = "a healthy cluster without TILT") -> dict[str, Any]:
        """Healthy, and so that it can fail over: a Sentinel that distrusts its clock (TILT) does nothing for 3 s."""
        return self.wait(what, lambda seen: seen["healthy"] and not self.tilted(seen), seconds, lasting=LASTING)

    def tilted(self, seen: dict[str, Any]) -> list[str]:
        """The nodes whose Sentinel distrusts its clock, or says nothing."""
        found = []
        for node in seen["nodes"]:
            if "sentinel" not in node["roles"]:
                continue
            try:
                with client.connect_to_sentinel(node["name"], node["address"], 1) as sentinel:
                    sentinel.sendall(b"INFO sentinel\r\n")
                    with sentinel.makefile("rb") as lines:
                        # Not to the end: Sentinel knows no QUIT, and keeps the connection.
                        said = next((line for line in lines if line.startswith(b"sentinel_tilt:")), b"")
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
        login = {"username": found["user"], "password": found["password"]}
        patience = {"socket_timeout": 2, "socket_connect_timeout": 2}
        return redis.Redis(host=host, port=int(port), decode_responses=True, **login | patience | options)

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

    def run_id(self, node: str) -> str:
        """Of the Redis on a node that is a gateway too."""
        gateway = next(one for one in self.gateways() if one.node == node)
        address = next(str(one.address) for one in Topology.of(self.read()).nodes if one.name == node)
        with replace(gateway, port=ports.REDIS).connect(address) as connection:
            found: str = connection.info("server")["run_id"]
            return found

    def judge(self, writers: Writers, **how: Any) -> Verdict:
        """End the writing, read back what was acknowledged, and judge it; `how`: as `checker.judge` takes it."""
        ended = writers.stop()
        with self.client(socket_timeout=10) as reader:
            present = writers.present(reader)
        return checker.judge(writers.acknowledged, writers.reads, present, ended=ended, **how)

    def pair(self, machine: str) -> Gateway:
        """The floating pair, to be used from that machine's network."""
        found = self.endpoints()
        pair = found["floating"]
        login = found["user"], found["password"]
        return Gateway(machine, pair["leader"], pair["replica"], pair["port"], *login, self.tls())

    def exported(self) -> Path | None:
        """Where the files are that `holdfast certs export` gives a client; None without TLS."""
        if not self.read().tls.on:
            return None
        if self.environment not in EXPORTED:
            EXPORTED[self.environment] = tempfile.TemporaryDirectory()
            self.holdfast("certs", "export", self.environment, EXPORTED[self.environment].name)
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
