"""Which servers HAProxy may use, and that it is told, first what closes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from holdfast_node import gateway
from holdfast_node.decision import Role, Server
from holdfast_node.servers import Details

A, B, C = "10.40.0.4", "10.40.16.4", "10.40.32.4"
DATA = {"local-a1": A, "local-b1": B, "local-c1": C}

LEADS = Details(Server(Role.LEADER), "7.0.15", 1, link_up=False, syncing=False, followers=())
FOLLOWS_A = Details(Server(Role.REPLICA, A), "7.0.15", 1, link_up=True, syncing=False, followers=())

CUT_OFF, BEING_FED = replace(FOLLOWS_A, link_up=False), replace(FOLLOWS_A, syncing=True)
STEADY = {A: LEADS, B: FOLLOWS_A, C: FOLLOWS_A}


@pytest.mark.parametrize(
    ("leader", "seen", "usable"),
    [
        (A, STEADY, {("leader", "local-a1"), ("replicas", "local-b1"), ("replicas", "local-c1")}),
        (None, STEADY, set()),
        (B, STEADY, set()),
        (B, STEADY | {B: LEADS}, {("leader", "local-b1")}),
        (A, {A: LEADS, B: CUT_OFF, C: BEING_FED}, {("leader", "local-a1")}),
        (A, {B: FOLLOWS_A}, {("replicas", "local-b1")}),
    ],
    ids=["steady", "no proof", "promoted, but not yet", "promoted", "not in sync", "silent leader"],
)
def test_only_what_is_proven_and_says_so_itself_is_used(
    leader: str | None, seen: dict[str, Details], usable: set[gateway.Server]
) -> None:
    assert gateway.usable(leader, DATA, seen.get) == usable


class Runtime(asyncio.Protocol):
    """HAProxy's runtime socket: keeps what it is told."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for line in data.decode().splitlines():
            if line != "prompt":
                self._told += line.split(";")
            self.transport.write(b"\n> ")


def test_haproxy_is_told_the_difference_and_everything_after_its_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "SOCKET", tmp_path / "admin.sock")
    monkeypatch.setattr(gateway, "RETRY", 0.01)
    told: list[str] = []

    async def until(count: int) -> list[str]:
        async with asyncio.timeout(5):
            while len(told) < count:
                await asyncio.sleep(0.005)
        done = list(told)
        told.clear()
        return done

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        connections: list[Runtime] = []

        def accept() -> Runtime:
            connections.append(Runtime(told))
            return connections[-1]

        server = await loop.create_unix_server(accept, str(gateway.SOCKET))
        haproxy = gateway.Haproxy({"a": A, "b": B})
        haproxy.use(frozenset({("leader", "a"), ("replicas", "b")}))
        everything = [
            "set server leader/b state maint",
            "shutdown sessions server leader/b",
            "set server replicas/a state maint",
            "shutdown sessions server replicas/a",
            "set server leader/a state ready",
            "set server replicas/b state ready",
        ]
        assert await until(6) == everything
        haproxy.use(frozenset({("leader", "b")}))
        assert await until(5) == [
            "set server leader/a state maint",
            "shutdown sessions server leader/a",
            "set server replicas/b state maint",
            "shutdown sessions server replicas/b",
            "set server leader/b state ready",
        ]
        haproxy.use(frozenset({("leader", "a"), ("replicas", "b")}))
        await until(4)
        connections[0].transport.abort()
        assert await until(6) == everything
        server.close()

    asyncio.run(scenario())


def test_haproxy_works_while_it_is_connected_and_checks_what_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "SOCKET", tmp_path / "admin.sock")
    monkeypatch.setattr(gateway, "SILENT_AFTER", 0.05)

    async def until(works: bool) -> None:
        async with asyncio.timeout(5):
            while haproxy.works is not works:
                await asyncio.sleep(0.005)

    async def scenario() -> None:
        nonlocal haproxy
        haproxy = gateway.Haproxy({"a": A, "b": B})
        assert haproxy.works is False
        server = await asyncio.get_running_loop().create_unix_server(lambda: Runtime([]), str(gateway.SOCKET))
        await until(True)
        # Nothing is open, so that there is nothing to check.
        await asyncio.sleep(2 * gateway.SILENT_AFTER)
        assert haproxy.works is True
        haproxy.use(frozenset({("leader", "a")}))
        assert haproxy.works is True
        await until(False)
        haproxy.hear()
        assert haproxy.works is True
        server.close()

    haproxy: gateway.Haproxy
    asyncio.run(scenario())
