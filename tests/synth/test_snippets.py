"""The snippets that can run here, against a server that behaves like a gateway whose leader is lost."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
import redis

from holdfast.mirror import REPOSITORY
from holdfast.rendering import snippets
from holdfast.topology import Cluster, load_environment
from holdfast.topology.load import ENVIRONMENTS
from holdfast.topology.spec import TlsMode, TlsSpec

OFF = TlsSpec(mode=TlsMode.OFF)


def _snippet(client: str, tls: TlsSpec) -> str:
    environment = load_environment(ENVIRONMENTS / "examples" / "tiered.yaml").model_copy(update={"tls": tls})
    return snippets(Cluster.of(environment), "app")[client]


@pytest.mark.parametrize("tls", [OFF, TlsSpec(mode=TlsMode.REQUIRED, mutual=True)])
def test_node_takes_the_ioredis_snippet(tmp_path: Path, tls: TlsSpec) -> None:
    file = tmp_path / "snippet.mjs"
    file.write_text(_snippet("ioredis", tls))
    subprocess.run(["node", "--check", str(file)], check=True)


class Endpoint(ThreadingTCPServer):
    """Closes every connection while nobody leads, and cuts off each INCR that it carries out."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.leaderless_until = 0.0
        self.carried_out: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Session(StreamRequestHandler):
    server: Endpoint

    def handle(self) -> None:
        if time.monotonic() < self.server.leaderless_until:
            return
        while words := self._command():
            name = words[0].upper().removesuffix("BY")
            if name in ("INCR", "SET"):
                self.server.carried_out.append(name)
            if name == "INCR":
                self.server.leaderless_until = time.monotonic() + 1
                return
            # redis-py speaks RESP 3, and ioredis asks whether the server is loading.
            answers = {"HELLO": "%1\r\n+proto\r\n:3\r\n", "INFO": "$9\r\nloading:0\r\n"}
            self.wfile.write(answers.get(name, "+OK\r\n").encode())

    def _command(self) -> list[str]:
        line = self.rfile.readline()
        words = []
        for _ in range(int(line[1:]) if line else 0):
            length = int(self.rfile.readline()[1:])
            words.append(self.rfile.read(length + 2)[:-2].decode())
        return words


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the snippet for redis-py defines."""
    monkeypatch.setenv("REDIS_PASSWORD", "secret")
    names: dict[str, Any] = {}
    exec(compile(_snippet("redis-py", OFF), "snippet", "exec"), names)
    return names


@pytest.fixture
def leader(made: dict[str, Any], endpoint: Endpoint) -> Iterator[redis.Redis]:
    client: redis.Redis = made["leader"]
    client.connection_pool.connection_kwargs |= {"host": "127.0.0.1", "port": endpoint.port}
    with client:
        yield client


def test_redis_py_waits_for_a_leader(leader: redis.Redis, endpoint: Endpoint) -> None:
    endpoint.leaderless_until = time.monotonic() + 1
    assert leader.set("key", "value")
    assert endpoint.carried_out == ["SET"]


def test_redis_py_sends_nothing_twice(leader: redis.Redis, endpoint: Endpoint) -> None:
    with pytest.raises(redis.ConnectionError):
        leader.incr("counter")
    assert leader.set("key", "value")
    assert endpoint.carried_out == ["INCR", "SET"]


def test_redis_py_sends_again_what_may_happen_twice(
    made: dict[str, Any], leader: redis.Redis, endpoint: Endpoint
) -> None:
    def both() -> object:
        if "SET" not in endpoint.carried_out:
            leader.set("key", "value")
            raise redis.ConnectionError("cut off")
        return leader.set("key", "value")

    assert made["again"](both)
    assert endpoint.carried_out == ["SET", "SET"]


def test_redis_py_gives_up_where_nobody_leads_for_long(leader: redis.Redis, endpoint: Endpoint) -> None:
    began = time.monotonic()
    endpoint.leaderless_until = began + 60
    with pytest.raises(redis.ConnectionError):
        leader.set("key", "value")
    assert 3 < time.monotonic() - began < 10


USE = """
import { leader } from "./snippet.mjs";
const said = [];
for (const command of [() => leader.incr("counter"), () => leader.set("key", "value")])
  said.push(await command().catch((error) => error.message));
console.log(JSON.stringify(said));
process.exit();
"""


def test_ioredis_waits_for_a_leader_and_sends_nothing_twice(tmp_path: Path, endpoint: Endpoint) -> None:
    (tmp_path / "node_modules").symlink_to(REPOSITORY / "node_modules")
    snippet = _snippet("ioredis", OFF).replace("leader.tiered.holdfast.internal", "127.0.0.1")
    (tmp_path / "snippet.mjs").write_text(snippet.replace("port: 6379", f"port: {endpoint.port}"))
    (tmp_path / "use.mjs").write_text(USE)
    endpoint.leaderless_until = time.monotonic() + 1
    output = subprocess.check_output(
        ["node", "use.mjs"], cwd=tmp_path, env=os.environ | {"REDIS_PASSWORD": "secret"}, text=True, timeout=60
    )
    assert json.loads(output) == ["Command timed out", "OK"]
    assert endpoint.carried_out == ["INCR", "SET"]
