"""Applications that notice every failed command: over a session that stays, and over a new one each time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis

from holdfast.drill.writers import Gateway

PAUSE = 0.05


@dataclass
class Application:
    """Writes through a gateway; `anew` gives it what new sessions say, as a fresh look at a password."""

    gateway: Gateway
    anew: Callable[[Gateway], Gateway] = lambda gateway: gateway
    writes: int = 0
    failures: list[str] = field(default_factory=list)

    def run(self, until: threading.Event) -> None:
        steady = self.gateway.connect(self.gateway.leader)
        while not until.wait(PAUSE):
            self.gateway = self.anew(self.gateway)
            try:
                steady.set(f"steady:{self.gateway.node}", self.writes)
                with self.gateway.connect(self.gateway.leader) as fresh:
                    assert fresh.incr(f"steady:{self.gateway.node}") == self.writes + 1
                self.writes += 2
            except redis.RedisError as error:
                self.failures.append(repr(error))


@contextmanager
def applications(found: list[Application]) -> Iterator[list[Application]]:
    """All of them, while this lasts."""
    until = threading.Event()
    threads = [threading.Thread(target=one.run, args=(until,)) for one in found]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        until.set()
        for thread in threads:
            thread.join()
