"""Continuous writes through every gateway, with the time and the acknowledging Redis of every single one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import pytest
import redis

from holdfast.twin import client

PAUSE = 0.01
"""Seconds between two writes of one writer, and between two attempts to connect."""

TIMEOUT = 0.5
"""Seconds that a writer waits for an answer before it tries again on a new connection."""


@dataclass(frozen=True)
class Gateway:
    """A node's own endpoints, used from that node's own network: cut off from the rest when the node is."""

    node: str
    leader: str
    replica: str
    port: int
    user: str
    password: str

    def connect(self, address: str) -> redis.Redis:
        def open_socket() -> Any:
            return client.connect_from_node(self.node, address, self.port, TIMEOUT)

        pool = redis.ConnectionPool(
            connection_class=_Connection,
            open_socket=open_socket,
            username=self.user,
            password=self.password,
            socket_timeout=TIMEOUT,
            decode_responses=True,
        )
        return redis.Redis(connection_pool=pool)


class _Connection(redis.Connection):
    """A redis-py connection over a socket that somebody else opened, as one in another network namespace."""

    def __init__(self, open_socket: Callable[[], Any], **options: Any) -> None:
        super().__init__(retry=None, **options)
        self._open_socket = open_socket

    def _connect(self) -> Any:
        return self._open_socket()


@dataclass(frozen=True)
class Acknowledgement:
    """One acknowledged write: when it was sent and answered (monotonic seconds), where, by which Redis (its run id)."""

    sent: float
    at: float
    gateway: str
    run_id: str
    number: int


@dataclass
class Writers:
    """One writer for each gateway, in threads, until the context ends."""

    gateways: Iterable[Gateway]
    acknowledged: list[Acknowledgement] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Writers:
        self._threads = [threading.Thread(target=self._write, args=(gateway,)) for gateway in self.gateways]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, gateway: Gateway) -> None:
        number = 0
        while not self._stop.is_set():
            try:
                with gateway.connect(gateway.leader) as connection:
                    run_id = connection.info("server")["run_id"]
                    while not self._stop.wait(PAUSE):
                        number += 1
                        sent = time.monotonic()
                        connection.set(f"written:{gateway.node}", number)
                        self.acknowledged.append(Acknowledgement(sent, time.monotonic(), gateway.node, run_id, number))
            except (redis.RedisError, OSError, client.NotRunning):
                self._stop.wait(PAUSE)

    def wait_writing(self, gateways: int | None = None, seconds: float = 30) -> None:
        """Wait until that many gateways (default: all) have acknowledged a write from now on."""
        wanted = gateways or len(self._threads)
        since, deadline = time.monotonic(), time.monotonic() + seconds
        while True:
            writing = {ack.gateway for ack in list(self.acknowledged) if ack.sent > since}
            if len(writing) >= wanted:
                return
            if time.monotonic() > deadline:
                pytest.fail(f"only {sorted(writing)} acknowledged a write within {seconds} s")
            time.sleep(0.05)

    def outage(self, since: float) -> float:
        """The longest time after `since` in which no gateway acknowledged a write. Seconds."""
        times = [since, *sorted(ack.at for ack in list(self.acknowledged) if ack.at > since)]
        return max((later - earlier for earlier, later in zip(times, times[1:], strict=False)), default=float("inf"))

    def leaders_one_after_the_other(self) -> list[str]:
        """Run ids of the Redis servers that acknowledged writes, in order.

        Fails where one acknowledged a write after another had begun to: two leaders at the same time.
        """
        order: list[str] = []
        for ack in sorted(self.acknowledged, key=lambda ack: ack.at):
            if ack.run_id in order[:-1]:
                # Sent before the other's first acknowledgement, it may be answered a moment after it.
                first_of_next = min(other.at for other in self.acknowledged if other.run_id == order[-1])
                assert ack.sent < first_of_next, f"{ack} acknowledged by an old leader after {order[-1]} had begun"
            elif ack.run_id not in order:
                order.append(ack.run_id)
        return order
