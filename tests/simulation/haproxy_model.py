"""HAProxy: which servers are open, by its runtime socket and by its checks; and the sessions through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.simulation import redis_model
from tests.simulation.loop import UNIX
from tests.simulation.world import End, Process

ENDPOINT = 6379
CHECK, AGAIN, TIMEOUT, FALL = 0.1, 0.02, 0.1, 2
"""Seconds between two checks, after one that failed, and for an answer; and how many must fail."""


class Haproxy:
    def __init__(self, process: Process, node: Any, servers: Mapping[str, str]) -> None:
        self.process, self._node, self._servers = process, node, servers
        self._ready: set[str] = set()
        self._readable: set[str] = set()
        """The same of the backend `replicas`, of which nothing but the checks is simulated."""
        self._failed: dict[str, int] = {}
        self._sessions: dict[End, tuple[str, End | None]] = {}
        self.shut_down = 0
        """How many sessions it has ended by itself."""
        process.listen(UNIX, self._runtime)
        process.listen(ENDPOINT, self._accept)
        process.later(CHECK, self._check)

    def leader(self) -> str | None:
        """The address of the only server of the backend `leader` that is open."""
        if not self.process.running:
            return None
        found = [name for name in self._ready if self._failed.get(name, 0) < FALL]
        return self._servers[found[0]] if len(found) == 1 else None

    def _runtime(self, end: End) -> None:
        def received(data: bytes) -> None:
            for line in data.decode().splitlines():
                for command in line.split(";"):
                    self._obey(command.split())
                end.send(b"\n> ")

        end.received = received

    def _obey(self, words: list[str]) -> None:
        if words[:2] == ["set", "server"]:
            backend, name = words[2].split("/")
            opened = self._ready if backend == "leader" else self._readable
            (opened.add if words[4] == "ready" else opened.discard)(name)
        elif words[:3] == ["shutdown", "sessions", "server"] and words[3].startswith("leader/"):
            self._shut_down(words[3].removeprefix("leader/"))

    def _shut_down(self, name: str) -> None:
        for client, (server, behind) in list(self._sessions.items()):
            if server == name:
                self._sessions.pop(client)
                self.shut_down += 1
                client.close()
                if behind is not None:
                    behind.close()

    def _check(self) -> None:
        program = self._node.process("node")
        hangs = program.running and program.frozen
        answers = program.running and not hangs and self._node.may is not None
        well = {name for name in self._ready if answers and self._node.may("leader", name)}
        for name in self._readable if answers else ():
            self._node.may("replicas", name)
        if hangs:
            self.process.later(TIMEOUT, lambda: self._checked(well))
        else:
            self._checked(well)

    def _checked(self, well: set[str]) -> None:
        for name in self._ready:
            self._failed[name] = 0 if name in well else self._failed.get(name, 0) + 1
            if self._failed[name] == FALL:
                self._shut_down(name)
        self.process.later(CHECK if well == self._ready else AGAIN, self._check)

    def _accept(self, client: End) -> None:
        leader = self.leader()
        if leader is None:
            client.close()
            return
        name = next(name for name, address in self._servers.items() if address == leader)
        early: list[Any] = []
        self._sessions[client] = (name, None)
        client.received = early.append

        def over() -> None:
            _, behind = self._sessions.pop(client, (name, None))
            if behind is not None:
                behind.close()

        client.ended = over

        def made(server: End) -> None:
            if client not in self._sessions:
                server.close()
                return
            self._sessions[client] = (name, server)
            server.received = client.send
            server.ended = lambda: (self._sessions.pop(client, None), client.close())
            client.received = server.send
            for message in early:
                server.send(message)

        def refused() -> None:
            self._sessions.pop(client, None)
            client.close()

        self.process.connect(leader, redis_model.PORT, made, refused)
