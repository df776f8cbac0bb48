"""An application that looks names up, as others in the network do, and tries the next address when one fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

import redis

from holdfast.drill.cluster import Cluster
from holdfast.drill.writers import PAUSE, Gateway
from holdfast.topology import dns


@dataclass
class Named:
    """Writes through the name of the leader endpoint, from the machine of `gateway`, while this lasts."""

    cluster: Cluster
    gateway: Gateway
    acknowledged: list[float] = field(default_factory=list)
    """When each write was (monotonic seconds)."""
    addresses: set[str] = field(default_factory=set)
    """All that it has used."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _known: tuple[float, list[str]] = (float("-inf"), [])
    """When it last looked up, and the answer."""

    def __enter__(self) -> Named:
        self._thread = threading.Thread(target=self._write)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def longest_pause(self) -> float:
        """Seconds between two acknowledged writes."""
        return max(after - before for before, after in zip(self.acknowledged, self.acknowledged[1:], strict=False))

    def look_up(self) -> list[str]:
        """The addresses of the name, by that machine's own resolver, which may answer from memory for as long."""
        at, addresses = self._known
        if time.monotonic() - at >= dns.TTL:
            environment = self.cluster.read()
            name = dns.name(environment, dns.LEADER)
            answer = self.cluster.exec(self.gateway.node, "getent", "ahostsv4", str(name))
            addresses = sorted({line.split()[0] for line in answer.splitlines()})
            self._known = time.monotonic(), addresses
        return addresses

    def _sessions(self) -> Iterator[redis.Redis]:
        turn = 0
        while not self._stop.is_set():
            addresses = self.look_up()
            address = addresses[turn % len(addresses)]
            turn += 1
            with suppress(redis.RedisError, OSError), self.gateway.connect(address) as session:
                session.ping()
                self.addresses.add(address)
                yield session

    def _write(self) -> None:
        for number, session in enumerate(self._sessions()):
            with suppress(redis.RedisError, OSError):
                while not self._stop.wait(PAUSE):
                    session.set(f"named:{self.gateway.node}", number)
                    self.acknowledged.append(time.monotonic())
