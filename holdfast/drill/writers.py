"""Continuous writes and reads through every gateway, with the time and the answering Redis of every one of them."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import redis

from holdfast.drill import checker
from holdfast.drill.checker import Acknowledgement, Read
from holdfast.drill.waiting import wait_until
from holdfast.twin import client

PAUSE = 0.02
"""Seconds between two requests of one writer or reader, and between two attempts to connect."""

TIMEOUT = 0.5
"""Seconds that they wait for an answer before they try again on a new connection."""

WAIT_MS = 300
"""For the population that waits: within `TIMEOUT`, so that a 0 is an answer and no error."""

COPIES = {"waited": 1, "plain": 0}
"""Population → how many replicas must have a write before it counts as acknowledged."""

KEPT = 3600
"""Seconds that records stay: longer than any test, even with a clock that is a minute wrong."""


@dataclass(frozen=True)
class Gateway:
    """A node's own endpoints, used from that node's own network: cut off from the rest when the node is."""

    node: str
    leader: str
    replica: str
    port: int
    user: str
    password: str
    tls: ssl.SSLContext | None = None
    timeout: float = TIMEOUT
    """Seconds for a connection, and for an answer."""

    def connect(self, address: str) -> redis.Redis:
        """One session: when it ends, commands fail. A client that silently connected again would ascribe to one Redis
        what another answered, and count a WAIT on a new connection, which has nothing to wait for."""
        sockets = iter([lambda: self._open(address)])
        pool = redis.ConnectionPool(
            connection_class=_Connection,
            sockets=sockets,
            username=self.user,
            password=self.password,
            socket_timeout=self.timeout,
            decode_responses=True,
        )
        return redis.Redis(connection_pool=pool)

    def _reach(self, address: str) -> socket.socket:
        return client.connect_from_node(self.node, address, self.port, self.timeout)

    def _open(self, address: str) -> Any:
        opened = self._reach(address)
        return self.tls.wrap_socket(opened, server_hostname=address) if self.tls else opened


@dataclass(frozen=True)
class PublicGateway(Gateway):
    """The same at its public addresses, used from a machine on the internet that has the address `source`."""

    source: str = ""

    def _reach(self, address: str) -> socket.socket:
        return client.connect_from_outside(self.source, address, self.port, self.timeout)


class _Connection(redis.Connection):
    """A redis-py connection over a socket that somebody else opened, as one in another network namespace."""

    def __init__(self, sockets: Iterator[Callable[[], Any]], **options: Any) -> None:
        super().__init__(retry=None, **options)  # type: ignore[no-untyped-call, unused-ignore]
        self._sockets = sockets

    def _connect(self) -> Any:
        open_socket = next(self._sockets, None)
        if open_socket is None:
            raise redis.ConnectionError("the session has ended")
        return open_socket()


@dataclass
class Writers:
    """Two writers, one with WAIT and one without, and one reader for each gateway, in threads, until it is stopped."""

    gateways: list[Gateway]
    acknowledged: list[Acknowledgement] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    _label: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Writers:
        for gateway in self.gateways:
            for population, copies in COPIES.items():
                self._begin(self._write, gateway, gateway.leader, f"{population}:{gateway.node}", copies)
            self._begin(self._read, gateway, gateway.replica)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> float:
        """Returns when they ended; stopped twice is stopped once."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return time.monotonic()

    def _begin(self, work: Callable[..., Iterator[None]], gateway: Gateway, address: str, *arguments: Any) -> None:
        thread = threading.Thread(target=self._repeat, args=(work, gateway, address, *arguments), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _repeat(self, work: Callable[..., Iterator[None]], gateway: Gateway, address: str, *arguments: Any) -> None:
        """Do what `work` does up to each of its yields, on one connection for as long as that lives."""
        numbers = iter(range(1, 1_000_000_000))
        while not self._stop.is_set():
            try:
                with gateway.connect(address) as connection:
                    run_id = connection.info("server")["run_id"]
                    for _ in work(gateway, connection, run_id, numbers, *arguments):
                        if self._stop.wait(PAUSE):
                            break
            except (redis.RedisError, OSError, client.NotRunning):
                self._stop.wait(PAUSE)

    def _write(
        self,
        gateway: Gateway,
        connection: redis.Redis,
        run_id: str,
        numbers: Iterator[int],
        writer: str,
        wanted: int,
    ) -> Iterator[None]:
        for number in numbers:
            record = f"w:{self._label}:{writer}:{number}"
            sent = time.monotonic()
            writes = connection.pipeline(transaction=False)
            writes.set(record, number, ex=KEPT)
            writes.set(self._last(writer), number, ex=KEPT)
            if wanted:
                writes.wait(wanted, WAIT_MS)
            answers = writes.execute()
            copies = answers[-1] if wanted else 0
            at = time.monotonic()
            self.acknowledged.append(Acknowledgement(record, writer, number, sent, at, gateway.node, run_id, copies))
            yield

    def _read(self, gateway: Gateway, connection: redis.Redis, run_id: str, _: Iterator[int]) -> Iterator[None]:
        writers = [f"waited:{other.node}" for other in self.gateways]
        while True:
            sent = time.monotonic()
            found = connection.mget([self._last(writer) for writer in writers])
            seen = {writer: int(value or 0) for writer, value in zip(writers, found, strict=True)}
            self.reads.append(Read(sent, gateway.node, run_id, seen))
            yield

    def _last(self, writer: str) -> str:
        return f"last:{self._label}:{writer}"

    def wait_writing(self, gateways: int | None = None, seconds: float = 30) -> None:
        """Wait until that many gateways (default: all) have acknowledged a write from now on."""
        wanted = len(self.gateways) if gateways is None else gateways
        since = time.monotonic()

        def writing() -> set[str]:
            return {ack.gateway for ack in list(self.acknowledged) if ack.sent > since}

        wait_until(
            lambda: len(writing()) >= wanted,
            seconds,
            lambda: f"only {sorted(writing())} acknowledged a write within {seconds} s",
        )

    def leaders(self) -> tuple[str, ...]:
        """Run ids of those that acknowledged writes, in order."""
        return checker.leaders(list(self.acknowledged))

    def wait_leader(self, other_than: Iterable[str], seconds: float = 30) -> str:
        """Wait until a Redis has acknowledged a write that is none of these; its run id."""
        known = set(other_than)

        def new() -> list[str]:
            return [ack.run_id for ack in list(self.acknowledged) if ack.run_id not in known]

        wait_until(
            lambda: bool(new()), seconds, lambda: f"nobody but {sorted(known)} acknowledged a write within {seconds} s"
        )
        return new()[0]

    def wait_silent(self, seconds: float = 1.0, within: float = 10.0) -> None:
        """Wait until nobody has acknowledged a write for `seconds`."""
        wait_until(
            lambda: time.monotonic() - self.acknowledged[-1].at >= seconds,
            within,
            lambda: f"writes go on {within} s later; the last: {self.acknowledged[-1]}",
        )

    def watch(self, seconds: float) -> None:
        """Go on for so long: what must not happen has had the time to."""
        self._stop.wait(seconds)

    def present(self, through: redis.Redis) -> set[str]:
        """Which of the acknowledged records are there now."""
        records, found = [ack.record for ack in self.acknowledged], set[str]()
        for start in range(0, len(records), 1000):
            some = records[start : start + 1000]
            found.update(record for record, value in zip(some, through.mget(some), strict=True) if value is not None)
        return found
