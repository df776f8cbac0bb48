"""The faults that the cluster must live through, one row each: what is done, and what has to hold meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import redis

from holdfast.drill.cluster import Cluster
from holdfast.drill.writers import Writers

HAPROXY, SENTINEL = ("--process", "haproxy"), ("--process", "sentinel")
LARGE = 1024 * 1024
"""Bytes of a large value."""


@dataclass(frozen=True)
class Site:
    """The cluster as it was before the fault."""

    cluster: Cluster
    writers: Writers
    leader: str
    replicas: tuple[str, str]
    zone: str
    """The leader's."""

    def fault(self, kind: str, *words: str) -> None:
        """As on the command line, but roles mean those before the fault: `leader`, `replica`, `replicas`, `zone`."""
        names = {
            "leader": self.leader,
            "zone": self.zone,
            "replica": self.replicas[0],
            "other": self.replicas[1],
            "replicas": ",".join(self.replicas),
        }
        self.cluster.fault(kind, *(names.get(word, word) for word in words))


Strike = Callable[[Site], None]


@dataclass(frozen=True)
class Row:
    name: str
    strike: Strike
    moves: bool | None
    """Whether another node leads afterwards; None: either is right."""
    lost: str | None = None
    """Whose endpoints need not work until `heal`: the `leader`'s, `replica`'s, `other` replica's, `next` leader's."""
    stops: bool = False
    """Nobody can write until `heal`: what must hold is that it ends well."""
    wait_is_safe: bool = True
    limit: float = 3.0
    """Seconds that a gateway which is not lost may be without an acknowledged write."""
    leaders: int = 2
    """How many acknowledge writes, one after the other, where leadership moves."""
    hold: float = 3.0
    """Seconds that the fault stands: long enough to see that leadership stays, where it must."""
    alone: bool = False
    """It breaks what all environments of the twin share."""
    before: Callable[[Cluster], object] = lambda cluster: None
    """What has to be there before anybody writes."""

    def surviving(self, site: Site, leads: str) -> set[str]:
        """The nodes whose endpoints have to work throughout; all where none can. `leads`: who does in the end."""
        lost = {
            "leader": {site.leader},
            "replica": {site.replicas[0]},
            "other": {site.replicas[1]},
            "next": set(site.replicas) - {leads},
        }
        return {site.leader, *site.replicas} - lost.get(self.lost or "", set())


def do(kind: str, *words: str) -> Strike:
    return lambda site: site.fault(kind, *words)


def both(*strikes: Strike) -> Strike:
    def strike(site: Site) -> None:
        for one in strikes:
            one(site)

    return strike


def kill_helpers(site: Site) -> None:
    site.fault("kill", "leader", "--process", "haproxy")
    site.cluster.exec(site.leader, "systemctl", "kill", "-s", "KILL", "holdfast-node")


def see_it_closed(site: Site) -> None:
    site.writers.wait_silent()


def fill_memory(site: Site) -> None:
    """Large values until Redis refuses them, then a moment at the limit, then none of them."""
    names = []
    with site.cluster.client() as application, pytest.raises(redis.exceptions.OutOfMemoryError):
        for number in range(2000):
            names.append(f"large:{number}")
            application.set(names[-1], bytes(LARGE))
    site.writers.watch(2)
    with site.cluster.client() as application:
        application.unlink(*names)


def load(cluster: Cluster) -> None:
    """So much that a full resync takes its time."""
    with cluster.client() as application:
        for number in range(100):
            application.set(f"large:{number}", bytes(LARGE), ex=120)
        assert application.wait(2, 1500) == 2


def kill_during_full_resync(site: Site) -> None:
    site.fault("wipe", "replica")
    site.cluster.heal()
    deadline = time.monotonic() + 30
    with site.cluster.client() as application:
        while True:
            info = application.info("replication")
            states = {info[name]["state"] for name in info if name.startswith("slave") and name[5:].isdecimal()}
            if states & {"wait_bgsave", "send_bulk"}:
                break
            assert time.monotonic() < deadline, f"no full resync was seen; last seen: {info}"
            time.sleep(0.01)
    site.fault("kill", "leader")


def isolate_the_next(site: Site) -> None:
    site.fault("kill", "leader")
    site.writers.wait_leader(other_than=site.writers.leaders())
    # Whom the Sentinels name now.
    site.cluster.fault("isolate", "leader")


ROWS = [
    Row("leader killed", do("kill", "leader"), moves=True),
    Row("leader frozen for 1 s", do("freeze", "leader", "--for", "1"), moves=None),
    Row("leader frozen for 5 s", do("freeze", "leader", "--for", "5"), moves=True, hold=5),
    Row("leader frozen for 30 s", do("freeze", "leader", "--for", "30"), moves=True, hold=30),
    Row("leader's power cut", do("power-cut", "leader"), moves=True, lost="leader"),
    Row("leader powered off in order", do("power-off", "leader"), moves=True, lost="leader"),
    Row("leader's zone isolated", do("isolate", "zone"), moves=True, lost="leader"),
    Row("replica's power cut", do("power-cut", "replica"), moves=False, lost="replica", limit=1.0),
    Row("leader cut off from data nodes", do("partition", "leader", "--port", "redis"), moves=True, lost="leader"),
    Row("leader cut off from Sentinels", do("partition", "leader", "--port", "sentinel"), moves=False, lost="leader"),
    Row("one-way cut from the leader", do("one-way", "leader"), moves=True, lost="leader"),
    Row("one-way cut to the leader", do("one-way", "replicas", "--to", "leader"), moves=True, lost="leader"),
    Row("leader's gateway lost", do("freeze", "leader", *HAPROXY), moves=False, lost="leader", limit=1.0),
    Row("a replica's gateway lost", do("freeze", "replica", *HAPROXY), moves=False, lost="replica", limit=1.0),
    Row("the other replica's gateway lost", do("freeze", "other", *HAPROXY), moves=False, lost="other", limit=1.0),
    Row("leader's HAProxy and node program killed", kill_helpers, moves=False),
    Row("one Sentinel lost", do("freeze", "replica", *SENTINEL), moves=False, limit=1.0),
    Row("two Sentinels lost", both(do("freeze", "replicas", *SENTINEL), see_it_closed), moves=False, stops=True),
    Row("leader's volume empty on return", do("wipe", "leader"), moves=True, lost="leader"),
    Row("whole site off and on", do("whole-site"), moves=None, stops=True, wait_is_safe=False),
    Row("leader killed while the API is down", both(do("api-outage"), do("kill", "leader")), moves=True, alone=True),
    Row("leader's disk full", do("disk-full", "leader"), moves=None, stops=True),
    Row("memory full of large values", fill_memory, moves=False, stops=True),
    Row("leader's cores busy", do("cpu", "leader"), moves=False, limit=1.0, hold=60, alone=True),
    Row("leader's clock a minute ahead", do("clock", "leader"), moves=False, alone=True),
    # Feeding both replicas at once, on shared cores, may cost the new leader its lead again.
    Row("leader killed during a full resync", kill_during_full_resync, moves=None, lost="replica", before=load),
    # The Sentinel that was still ending the first failover begins anew, which takes four seconds; and one that asked
    # for votes before that one was back asks again after twice its failover-timeout.
    Row(
        "two leaders lost in a row",
        isolate_the_next,
        moves=True,
        lost="next",
        wait_is_safe=False,
        limit=16,
        leaders=3,
    ),
]
