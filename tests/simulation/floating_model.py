"""The floating pair, but for what the node program does: keepalived's election, the cloud's route tables, and
applications that go where these lead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from holdfast_node.cloud import Routes

from tests.simulation import waiting
from tests.simulation.clients import Writer
from tests.simulation.haproxy_model import ENDPOINT
from tests.simulation.world import Process, World

VRRP = 112
ADVERT, MISSED = 0.2, 3
"""Seconds between two adverts, and how many must be missed (templates/keepalived.conf)."""
STOPS = 0
"""The priority of whoever gives up."""
NOTICED = 0.02
"""Seconds until keepalived has seen that the file it watches is another one."""

PAIR = ("10.41.0.1", "10.41.0.2")
"""The leader's address, then the replicas'."""
TABLES = ("rtb-a", "rtb-b", "rtb-c")
API = (0.03, 0.3)
"""Seconds of a call, at least and at most."""
API_PATIENCE = 10.0
"""Seconds until a call is given up that nobody answers."""


@dataclass(frozen=True)
class Advert:
    priority: int
    address: str


class Keepalived:
    """VRRP version 3, unicast, `nopreempt`, and a file that says that this gateway is of no use (RFC 5798; keepalived
    2.2 for what happens on a fault).
    """

    def __init__(self, process: Process, priority: int, peers: list[str], unable: Callable[[], bool]) -> None:
        self.process, self._priority, self._peers, self._unable = process, priority, peers, unable
        self._state = "fault" if unable() else "backup"
        self._skew = (256 - priority) / 256 * ADVERT
        self._timer = 0
        process.hear(VRRP, self._heard)
        process.every(NOTICED, self._look)
        self._wait(MISSED * ADVERT + self._skew)

    @property
    def has_pair(self) -> bool:
        # Who ends gives the addresses back (ExecStopPost).
        return self.process.running and self._state == "master"

    def _look(self) -> None:
        unable = self._unable()
        if unable and self._state != "fault":
            if self._state == "master":
                self._tell(STOPS)
            self._become("fault")
        elif not unable and self._state == "fault":
            self._become("backup")
            self._wait(MISSED * ADVERT + self._skew)

    def _heard(self, advert: Advert) -> None:
        if self._state == "backup":
            # Who has a lower priority keeps what it has.
            self._wait(self._skew if advert.priority == STOPS else MISSED * ADVERT + self._skew)
        elif self._state == "master":
            if (advert.priority, advert.address) > (self._priority, self.process.host.address):
                self._become("backup")
                self._wait(MISSED * ADVERT + self._skew)
            else:
                self._tell(self._priority)

    def _wait(self, seconds: float) -> None:
        """Lead, unless there is an advert within so long."""
        self._timer += 1
        number = self._timer

        def lead() -> None:
            if number == self._timer and self._state == "backup":
                self._become("master")
                self._advertise()

        self.process.later(seconds, lead)

    def _advertise(self) -> None:
        if self._state == "master":
            self._tell(self._priority)
            self.process.later(ADVERT, self._advertise)

    def _become(self, state: str) -> None:
        self._state = state
        self.process.world.tell(f"keepalived {self.process.host.name}", state)

    def _tell(self, priority: int) -> None:
        for peer in self._peers:
            self.process.tell(peer, VRRP, Advert(priority, self.process.host.address))


class RouteTables:
    """Of the environment: where each address of the pair leads."""

    def __init__(self, world: World, first: str) -> None:
        self._world = world
        self._leads = {(table, f"{address}/32"): first for table in TABLES for address in PAIR}
        self.moved: list[float] = []
        """When a route was."""
        self.silent_until = 0.0
        """Until when no call is answered."""

    def at(self, table: str) -> str:
        """The gateway that the leader's address leads to."""
        return self._leads[table, f"{PAIR[0]}/32"]

    def all_lead_to(self, gateway: str) -> bool:
        return set(self._leads.values()) == {gateway}

    def elsewhere(self, gateway: str) -> list[tuple[str, str]]:
        return [route for route, leads in self._leads.items() if leads != gateway]

    def lead(self, table: str, destination: str, gateway: str) -> None:
        self._world.tell("", f"{destination} leads to {gateway} in {table}")
        self._leads[table, destination] = gateway
        self.moved.append(self._world.now)


class Api:
    """What a gateway's `Floating` asks the cloud."""

    def __init__(
        self, world: World, tables: RouteTables, gateway: str, reports: Callable[[str], dict[str, Any] | None]
    ) -> None:
        self._world, self._tables, self._gateway, self._reports = world, tables, gateway, reports

    def report(self, node: str) -> tuple[dict[str, Any], float] | None:
        found = self._reports(node)
        return (found, float(int(self._world.now) - int(found["reported_at"]))) if found else None

    def routes(self, _: list[str]) -> Routes:
        self._under_way()
        found = self._tables.elsewhere(self._gateway)
        self._under_way()
        return Routes(elsewhere=found, foreign=[])

    def lead_here(self, table: str, destination: str) -> None:
        self._under_way()
        self._tables.lead(table, destination, self._gateway)
        self._under_way()

    def _under_way(self) -> None:
        if self._world.now < self._tables.silent_until:
            waiting.sleep(self._world, API_PATIENCE)
            raise TimeoutError("the API does not answer")
        waiting.sleep(self._world, self._world.random.uniform(*API) / 2)


class Visitor(Writer):
    """Goes where the pair's leader address leads, by the table of its own subnet."""

    EVERY = 0.05

    def __init__(self, table: str, tables: RouteTables, keepalived: Callable[[str], Keepalived | None]) -> None:
        super().__init__()
        self._table, self._tables, self._keepalived, self.every = table, tables, keepalived, self.EVERY
        self._gateway = ""
        """Of the session that it has."""

    def _reached(self) -> str | None:
        """The gateway that takes what is sent to the address; others drop it."""
        gateway = self._tables.at(self._table)
        elected = self._keepalived(gateway)
        return gateway if elected and elected.has_pair else None

    def _connect(self) -> None:
        gateway = self._reached()
        if gateway is None:
            self._again()
            return
        self._gateway = gateway
        self.process.connect(gateway, ENDPOINT, self._made, self._again)

    def _write(self) -> None:
        if self._end is not None and self._reached() != self._gateway:
            # The other gateway knows no such session.
            self._end.close()
            self._again()
            return
        super()._write()
