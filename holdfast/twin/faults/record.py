"""What is broken, in a file: so `heal` finds it when the command that broke it, and the daemon, are gone."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from holdfast.twin.run import STATE

FILE = STATE / "faults.json"


@dataclass(frozen=True)
class Fault:
    """One fault of one environment."""

    environment: str
    kind: str
    target: str
    """As it was given."""
    instances: tuple[str, ...]
    """Ids of the machines that it is about."""
    zone: str | None = None
    """Set where a whole zone was meant."""
    peers: tuple[str, ...] = ()
    """Ids of the machines that those are cut off from."""
    port: str | None = None
    """`redis` or `sentinel`: only this service of either side; None: everything."""
    process: str | None = None
    """Which process of the machine is killed or frozen."""
    amount: float | None = None
    """Seconds of a freeze (None: until healed) or of a clock's step, percent of packets lost."""

    def __str__(self) -> str:
        """`freeze leader, process redis, amount 5`."""
        given = {"peers": " ".join(self.peers), "process": self.process, "port": self.port, "amount": self.amount}
        values = (f"{name} {it:g}" if isinstance(it, float) else f"{name} {it}" for name, it in given.items() if it)
        return ", ".join([f"{self.kind} {self.target}", *values])


def recorded() -> list[Fault]:
    """Every fault that has not been healed, in the order in which they were done."""
    if not FILE.exists():
        return []
    lists = ("instances", "peers")
    return [Fault(**entry | {name: tuple(entry[name]) for name in lists}) for entry in json.loads(FILE.read_text())]


def remember(fault: Fault) -> None:
    _change(lambda faults: [*faults, fault])


def forget(fault: Fault) -> None:
    _change(lambda faults: [other for other in faults if other != fault])


def _change(change: Callable[[list[Fault]], list[Fault]]) -> None:
    """One after the other: environments are broken and healed at the same time."""
    with FILE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unfinished = FILE.with_suffix(".new")
        unfinished.write_text(json.dumps([asdict(fault) for fault in change(recorded())]))
        unfinished.replace(FILE)
