"""Which servers HAProxy may use, and that it is told, first what closes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from holdfast_node import gateway
from holdfast_node.decision import Role, Server
from holdfast_node.gateway import Open
from holdfast_node.link import State
from holdfast_node.servers import Details, Sight

A, B, C = "10.40.0.4", "10.40.16.4", "10.40.32.4"
DATA = {"local-a1": A, "local-b1": B, "local-c1": C}

LEADS = Details(Server(Role.LEADER), "7.0.15", 1, link_up=False, syncing=False, followers=())
FOLLOWS_A = Details(Server(Role.REPLICA, A), "7.0.15", 1, link_up=True, syncing=False, followers=())

CUT_OFF, BEING_FED = replace(FOLLOWS_A, link_up=False), replace(FOLLOWS_A, syncing=True)


def answering(*seen: tuple[str, Details]) -> dict[str, Sight]:
    return {address: Sight(details, State.UP) for address, details in seen}


STEADY = answering((A, LEADS), (B, FOLLOWS_A), (C, FOLLOWS_A))
DOWN = Sight(None, State.REFUSED)


def late(state: State, seconds: float = 0.3) -> Sight:
    return Sight(None, state, seconds)


def look(
    leader: str | None,
    seen: dict[str, Sight],
    before: Open = Open(),  # noqa: B008
    *,
    contested: bool = False,
) -> Open:
    def sight(address: str) -> Sight:
        return seen.get(address, DOWN)

    return gateway.usable(leader, DATA, sight, before, keep=4.95, contested=contested)


def ready(*servers: tuple[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(servers)


LEADER_A, LEADER_B = ("leader", "local-a1"), ("leader", "local-b1")
REPLICA_B, REPLICA_C = ("replicas", "local-b1"), ("replicas", "local-c1")


@pytest.mark.parametrize(
    ("leader", "seen", "usable"),
    [
        (A, STEADY, ready(LEADER_A, REPLICA_B, REPLICA_C)),
        (None, STEADY, ready()),
        (B, STEADY, ready()),
        (B, STEADY | answering((B, LEADS)), ready(LEADER_B)),
        (A, answering((A, LEADS), (B, CUT_OFF), (C, BEING_FED)), ready(LEADER_A)),
        (A, STEADY | answering((B, replace(FOLLOWS_A, heard_ago=10))), ready(LEADER_A, REPLICA_C)),
        (A, STEADY | {A: late(State.BUSY)}, ready(REPLICA_B, REPLICA_C)),
        (A, STEADY | {B: late(State.BUSY)}, ready(LEADER_A, REPLICA_C)),
    ],
    ids=[
        "steady",
        "no proof",
        "promoted, but not yet",
        "promoted",
        "not in sync",
        "not heard",
        "busy leader",
        "busy replica",
    ],
)
def test_only_what_is_proven_and_says_so_itself_is_opened(
    leader: str | None, seen: dict[str, Sight], usable: frozenset[tuple[str, str]]
) -> None:
    assert look(leader, seen) == Open(leader, usable)


@pytest.mark.parametrize(
    ("leader", "sight", "kept"),
    [
        (A, late(State.BUSY, 4.9), True),
        (A, late(State.BUSY, 5.0), False),
        # Connected, but not yet answered.
        (A, late(State.UP, 4.9), True),
        (A, late(State.SILENT, 1.9), True),
        (A, late(State.SILENT, 2.1), False),
        (A, DOWN, False),
        (None, late(State.BUSY), False),
        (B, late(State.BUSY), False),
    ],
    ids=[
        "busy",
        "busy for too long",
        "accepts",
        "out of reach",
        "out of reach for long",
        "ended",
        "no majority",
        "another is proven",
    ],
)
def test_a_leader_is_kept_for_as_long_as_nobody_else_can_be_one(leader: str | None, sight: Sight, kept: bool) -> None:
    assert (LEADER_A in look(leader, STEADY | {A: sight}, look(A, STEADY))) is kept


def test_a_leader_that_restarted_is_not_kept() -> None:
    waits = replace(LEADS, server=Server(Role.WAITING))
    now = look(A, STEADY | answering((A, waits)), look(A, STEADY))
    assert LEADER_A not in now
    assert LEADER_A not in look(A, STEADY | {A: late(State.BUSY)}, now)


def test_a_leader_that_was_closed_is_not_opened_while_a_sentinel_stands_for_election_to_replace_it() -> None:
    closed = look(A, STEADY | {A: late(State.BUSY, 5.0)}, look(A, STEADY))
    assert LEADER_A not in look(A, STEADY, closed, contested=True)
    assert LEADER_A in look(A, STEADY, closed, contested=False)
    assert LEADER_A in look(A, STEADY, look(A, STEADY), contested=True)
    assert LEADER_A not in look(A, STEADY | {A: late(State.BUSY)}, look(A, STEADY), contested=True)


def test_a_busy_replica_keeps_its_sessions_and_gets_no_new_ones() -> None:
    now = look(A, STEADY | {B: late(State.BUSY, 10)}, look(A, STEADY))
    assert now == Open(A, ready(LEADER_A, REPLICA_C), ready(REPLICA_B))
    assert REPLICA_B in now
    # Pointed to another leader, it would go on with what it had: nothing is known of it.
    assert REPLICA_B not in look(C, {B: late(State.BUSY), C: STEADY[A]}, now)


@pytest.mark.parametrize("sight", [late(State.SILENT), DOWN, late(State.BUSY, 31)], ids=["off", "ended", "for long"])
def test_a_replica_that_is_not_there_has_no_sessions(sight: Sight) -> None:
    assert REPLICA_B not in look(A, STEADY | {B: sight}, look(A, STEADY))


def test_where_all_replicas_are_busy_they_share_what_comes_and_none_goes_to_the_leader() -> None:
    now = look(A, STEADY | dict.fromkeys((B, C), late(State.BUSY, 10)), look(A, STEADY))
    assert now == Open(A, ready(LEADER_A, REPLICA_B, REPLICA_C))


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
        haproxy.use(Open(A, ready(("leader", "a"), ("replicas", "b"))))
        everything = [
            "set server leader/b state maint",
            "shutdown sessions server leader/b",
            "set server replicas/a state maint",
            "shutdown sessions server replicas/a",
            "set server leader/a state ready",
            "set server replicas/b state ready",
        ]
        assert await until(6) == everything
        haproxy.use(Open(A, ready(("leader", "a")), ready(("replicas", "b"))))
        assert await until(1) == ["set server replicas/b state drain"]
        # It would answer an empty line with all commands that it knows.
        haproxy.use(Open(B, ready(("leader", "a")), ready(("replicas", "b"))))
        haproxy.use(Open(B, ready(("leader", "b"))))
        assert await until(5) == [
            "set server leader/a state maint",
            "shutdown sessions server leader/a",
            "set server replicas/b state maint",
            "shutdown sessions server replicas/b",
            "set server leader/b state ready",
        ]
        haproxy.use(Open(A, ready(("leader", "a"), ("replicas", "b"))))
        await until(4)
        connections[0].transport.abort()
        assert await until(6) == everything
        haproxy.use(Open(A, ready(("leader", "a"), ("replicas", "b"))))
        # What a program before this one said last may be read after it; whatever changes meanwhile.
        monkeypatch.setattr(gateway, "AGAIN", 0.3)
        again: list[str] = []
        for number in range(100):
            changing = ready(("replicas", "a")) if number % 2 else ready()
            haproxy.use(Open(A, ready(("leader", "a"), ("replicas", "b")) | changing))
            await asyncio.sleep(0.02)
            again += told
            told.clear()
        # It does not change, and is said again all the same.
        assert again.count("set server leader/a state ready") >= 2
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
        haproxy.use(Open(A, ready(("leader", "a"))))
        assert haproxy.works is True
        await until(False)
        haproxy.hear()
        assert haproxy.works is True
        server.close()

    haproxy: gateway.Haproxy
    asyncio.run(scenario())
