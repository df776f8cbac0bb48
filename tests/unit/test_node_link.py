"""Connections that stay: what happened to the other side is known at once, or within the time-out."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from holdfast_node import link
from holdfast_node.link import Link, State, Subscription
from holdfast_node.resp import Client, Credentials, Reply

from holdfast.ops.certs import authority
from holdfast.topology.certificates import Subject


def login() -> Credentials:
    return Credentials("node", "secret")


class Redis(asyncio.Protocol):
    """Lets everybody in, unless it refuses; answers each PING, unless it is frozen; greets every subscriber."""

    frozen = False
    refuses = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.frozen:
            return
        if b"AUTH" in data:
            self.transport.write(b"-WRONGPASS invalid username-password pair\r\n" if Redis.refuses else b"+OK\r\n")
        if b"SUBSCRIBE" in data:
            for number, channel in enumerate((b"+one", b"-two"), 1):
                self.transport.write(b"*3\r\n$9\r\nsubscribe\r\n$4\r\n%s\r\n:%d\r\n" % (channel, number))
            self.transport.write(b"*3\r\n$7\r\nmessage\r\n$4\r\n-two\r\n$3\r\nend\r\n")
        for _ in range(data.count(b"PING")):
            self.transport.write(b"+PONG\r\n")


Scenario = Callable[[int, list[Redis], asyncio.AbstractServer], Awaitable[None]]


def play(scenario: Scenario, tls: ssl.SSLContext | None = None) -> None:
    async def run() -> None:
        servers: list[Redis] = []

        def accept() -> Redis:
            servers.append(Redis())
            return servers[-1]

        server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0, ssl=tls)
        async with asyncio.timeout(5):
            await scenario(server.sockets[0].getsockname()[1], servers, server)
        server.close()

    asyncio.run(run())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "TIMEOUT", 0.05)
    monkeypatch.setattr(link, "RETRY", 0.01)


def test_answers_come_in_the_order_of_the_questions() -> None:
    async def scenario(port: int, _: list[Redis], __: asyncio.AbstractServer) -> None:
        answers: list[tuple[int, Reply]] = []
        found = Link("127.0.0.1", port, login)
        await until(lambda: found.state is State.UP)
        for number in range(3):
            found.ask(lambda reply, number=number: answers.append((number, reply)), "PING")  # type: ignore[misc]
        await until(lambda: len(answers) == 3)
        assert answers == [(0, "PONG"), (1, "PONG"), (2, "PONG")]
        assert found.idle

    play(scenario)


def test_a_process_that_dies_is_refused_at_once_and_comes_back() -> None:
    async def scenario(port: int, servers: list[Redis], server: asyncio.AbstractServer) -> None:
        states: list[State] = []
        found = Link("127.0.0.1", port, login, lambda: states.append(found.state))
        await until(lambda: found.state is State.UP)
        server.close()
        servers[0].transport.abort()
        await until(lambda: State.REFUSED in states)
        again = await asyncio.get_running_loop().create_server(Redis, "127.0.0.1", port)
        await until(lambda: found.state is State.UP)
        assert states == [State.UP, State.REFUSED, State.UP]
        again.close()

    play(scenario)


def test_one_that_lets_nobody_in_is_silent_until_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(port: int, servers: list[Redis], _: asyncio.AbstractServer) -> None:
        monkeypatch.setattr(Redis, "refuses", True)
        found = Link("127.0.0.1", port, login)
        await until(lambda: len(servers) == 3)
        assert found.state is State.SILENT
        monkeypatch.setattr(Redis, "refuses", False)
        await until(lambda: found.state is State.UP)

    play(scenario)


def test_one_that_does_not_answer_is_busy_and_neither_silent_nor_refused() -> None:
    async def scenario(port: int, servers: list[Redis], _: asyncio.AbstractServer) -> None:
        found = Link("127.0.0.1", port, login)
        await until(lambda: found.state is State.UP)
        servers[0].frozen = True
        found.ask(lambda _: None, "PING")

        def overdue() -> bool:
            found.expire()
            return found.state is State.BUSY

        await until(overdue)
        await until(lambda: found.state is State.UP and len(servers) == 2)

    play(scenario)


def test_one_whose_kernel_alone_takes_connections_is_busy() -> None:
    """With and without TLS: the handshake, or the login, waits for a process that is stopped."""

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            tls = Link("127.0.0.1", port, lambda: Credentials("node", "secret", ssl.create_default_context()))
            plain = Link("127.0.0.1", port, login)

            def both() -> bool:
                plain.expire()
                return (tls.state, plain.state) == (State.BUSY, State.BUSY)

            await until(both)

    asyncio.run(scenario())


def test_a_machine_that_is_not_there_is_silent() -> None:
    async def scenario() -> None:
        # With its queue full, the kernel answers nobody.
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            port = listener.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)):
                found = Link("127.0.0.1", port, login)
                found.state = State.UP
                await until(lambda: found.state is State.SILENT)

    asyncio.run(scenario())


def test_a_subscriber_hears_messages_and_is_found_when_it_hears_nothing() -> None:
    async def scenario(port: int, servers: list[Redis], _: asyncio.AbstractServer) -> None:
        heard: list[tuple[str, str]] = []
        found = Subscription(
            "127.0.0.1", port, login, ("+one", "-two"), lambda channel, message: heard.append((channel, message))
        )
        await until(lambda: heard == [("-two", "end")])
        assert found.state is State.UP
        found.probe()
        await until(lambda: found.idle)
        servers[0].frozen = True
        found.probe()
        await asyncio.sleep(0.06)
        found.expire()
        # Made anew, it subscribes again.
        await until(lambda: heard == [("-two", "end")] * 2)

    play(scenario)


@pytest.fixture
def contexts(tmp_path: Path) -> Callable[[str, str], tuple[ssl.SSLContext, ssl.SSLContext]]:
    """A server's and a client's, by the address that the server's certificate is for, and its authority's name."""
    now = datetime.now(UTC)
    authorities = {name: authority.found(name, now) for name in ("ours", "another")}

    def make(address: str, of: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        pair = authority.issue(authorities[of], Subject("node", ("node",), (IPv4Address(address),)), now)
        (tmp_path / "pem").write_text(pair.certificate + pair.key)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(tmp_path / "pem")
        return server, ssl.create_default_context(cadata=authorities["ours"].certificate)

    return make


def test_a_connection_with_tls_is_asked_as_one_without(
    contexts: Callable[[str, str], tuple[ssl.SSLContext, ssl.SSLContext]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "TIMEOUT", 1)
    server, client = contexts("127.0.0.1", "ours")
    credentials = Credentials("node", "secret", client)

    async def scenario(port: int, _: list[Redis], __: asyncio.AbstractServer) -> None:
        redis, answers = Link("127.0.0.1", port, lambda: credentials), list[Reply]()
        await until(lambda: redis.state is State.UP)
        redis.ask(answers.append, "PING")
        await until(lambda: bool(answers))
        assert answers == ["PONG"]

        def wait_for_an_answer() -> Reply:
            with Client("127.0.0.1", port, credentials) as waiting:
                return waiting.call("PING")

        assert await asyncio.to_thread(wait_for_an_answer) == "PONG"

    play(scenario, server)


def test_one_whose_own_certificate_is_refused_is_silent_and_says_so_once(
    contexts: Callable[[str, str], tuple[ssl.SSLContext, ssl.SSLContext]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With TLS 1.3 the handshake is over for the client before the server says so."""
    monkeypatch.setattr(link, "TIMEOUT", 1)
    server, client = contexts("127.0.0.1", "ours")
    server.verify_mode = ssl.CERT_REQUIRED

    async def scenario(port: int, _: list[Redis], __: asyncio.AbstractServer) -> None:
        redis = Link("127.0.0.1", port, lambda: Credentials("node", "secret", client))
        await until(lambda: redis._failures >= 3)
        assert redis.state is State.SILENT

    play(scenario, server)
    said = [line for line in capsys.readouterr().err.splitlines() if "no TLS with" in line]
    assert len(said) <= 1


@pytest.mark.parametrize(
    ("address", "of", "why"),
    [
        ("127.0.0.1", "another", "self-signed certificate|unable to get local issuer certificate"),
        ("127.0.0.2", "ours", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
def test_who_cannot_be_believed_is_silent_and_named_once(
    contexts: Callable[[str, str], tuple[ssl.SSLContext, ssl.SSLContext]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    address: str,
    of: str,
    why: str,
) -> None:
    monkeypatch.setattr(link, "TIMEOUT", 1)
    server, client = contexts(address, of)

    async def scenario(port: int, servers: list[Redis], _: asyncio.AbstractServer) -> None:
        redis = Link("127.0.0.1", port, lambda: Credentials("node", "secret", client))
        await until(lambda: redis._failures >= 3)
        assert redis.state is State.SILENT
        assert servers == [] or not any(hasattr(one, "transport") for one in servers)

    play(scenario, server)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert re.search(f"no TLS with 127.0.0.1:[0-9]+: ({why})", said[0])


STRANGE = {
    "nested": b"*1\r\n" * 100,
    "of another type": b":7\r\n",
    "none of its kinds": b"!\r\n",
    "too short": b"*0\r\n",
}


@pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE)
def test_one_that_answers_what_no_redis_does_is_silent_named_once_and_asked_seldom(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    """A machine in other hands: without a pause it would take all the time in which others are heard."""
    monkeypatch.setattr(link, "SLOW_RETRY", 0.05)
    monkeypatch.setattr(Redis, "data_received", lambda redis, data: answering(redis, data, answer))

    async def scenario(port: int, servers: list[Redis], _: asyncio.AbstractServer) -> None:
        found = Link("127.0.0.1", port, login)
        began = asyncio.get_running_loop().time()
        while len(servers) < 4:
            found.ask(lambda reply: reply[1], "INFO")
            await asyncio.sleep(0.005)
        assert asyncio.get_running_loop().time() - began > 3 * link.SLOW_RETRY

    play(scenario)
    assert capsys.readouterr().err.count("answers what no Redis or Sentinel does: ") == 1


def answering(redis: Redis, data: bytes, answer: bytes) -> None:
    redis.transport.write(b"+OK\r\n" if b"AUTH" in data else answer)
