"""The faults that the cluster must live through, one row each: what is done, and what has to hold meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from holdfast.drill import services
from holdfast.drill.checker import Verdict
from holdfast.drill.cluster import Cluster
from holdfast.drill.waiting import NotInTime, wait_until
from holdfast.drill.writers import Writers

HAPROXY, SENTINEL = ("--process", "haproxy"), ("--process", "sentinel")
HEALTHY_WITHIN = 60
"""Seconds after `heal`: a machine boots in 5, and a Sentinel whose clock was stepped does nothing for 30."""

COMES_BACK_WITHIN = 90
"""Seconds: 30 in which a lost leader may return, the attempts of the Sentinels, and the start itself."""

LARGE = 1024 * 1024
"""Bytes of a large value."""

FED, FED_PER_SECOND = 64 * 1024, 4 * 1024 * 1024
"""Bytes of a value, and of all values in a second, while somebody writes much."""


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
    leaders: int | None = None
    """How many acknowledge writes, one after the other, where `moves` does not say it."""
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
    with site.cluster.client() as application:
        for number in range(2000):
            names.append(f"large:{number}")
            try:
                application.set(names[-1], bytes(LARGE))
            except redis.exceptions.OutOfMemoryError:
                break
        else:
            raise NotInTime(f"the memory is not full after {len(names)} values of {LARGE} bytes")
    site.writers.watch(2)
    with site.cluster.client() as application:
        application.unlink(*names)


def load(cluster: Cluster) -> None:
    """So much that a full resync takes its time."""
    with cluster.client() as application:
        for number in range(100):
            application.set(f"large:{number}", bytes(LARGE), ex=120)
        copies = application.wait(2, 1500)
        if copies != 2:
            raise NotInTime(f"{copies} of 2 replicas have the data set")


def kill_during_full_resync(site: Site) -> None:
    site.fault("wipe", "replica")
    site.cluster.heal()
    with site.cluster.client() as application:

        def states() -> set[str]:
            info = application.info("replication")
            return {info[name]["state"] for name in info if name.startswith("slave") and name[5:].isdecimal()}

        wait_until(
            lambda: bool(states() & {"wait_bgsave", "send_bulk"}),
            30,
            lambda: f"no full resync was seen; states of the replicas: {states()}",
            every=0.01,
        )
    site.fault("kill", "leader")


@contextmanager
def feeding(cluster: Cluster) -> Iterator[None]:
    """Somebody else writes 4 MB a second meanwhile, and stops when he is refused."""
    done = threading.Event()

    def feed() -> None:
        with cluster.client() as application:
            number = 0
            while not done.wait(FED / FED_PER_SECOND):
                number += 1
                try:
                    application.set(f"fed:{number % 100}", bytes(FED), ex=120)
                except redis.RedisError:
                    return

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def kill_beside_a_busy_replica(site: Site) -> None:
    with feeding(site.cluster):
        site.writers.watch(1)
        # A command takes a third of a second: the leader dies while this one still reads nothing.
        site.fault("freeze", "replica", "--for", "0.6")
        site.fault("kill", "leader")


def cut_in_tilt(site: Site) -> None:
    """One of the two Sentinels that are left has just stalled, and misses nobody for three seconds (TILT)."""
    site.fault("freeze", "replica", *SENTINEL, "--for", "2.3")
    site.writers.watch(2.3)
    site.fault("power-cut", "leader")


def cut_for_a_moment(site: Site) -> None:
    """About as long as the others need to replace the leader, which is back at any step of that."""
    site.fault("isolate", "zone")
    site.writers.watch(random.uniform(0.5, 1.2))
    site.cluster.heal()


def start_in_any_order(site: Site) -> None:
    """The site stops node by node and starts node by node; one may be gone until the others serve again."""
    nodes = [site.leader, *site.replicas]
    for node in random.sample(nodes, 3):
        services.stop(site.cluster, [node])
        site.writers.watch(random.uniform(0, 2))
    returning = random.sample(nodes, random.choice([2, 3]))
    for node in returning:
        services.start(site.cluster, [node])
        site.writers.watch(random.uniform(0, 5))
    site.writers.wait_writing(gateways=2, seconds=COMES_BACK_WITHIN)
    services.start(site.cluster, nodes)


def isolate_the_next(site: Site) -> None:
    old = site.writers.leaders()
    site.fault("kill", "leader")
    promoted = site.writers.wait_leader(other_than=old)
    # By its own word: most Sentinels name it up to a second later.
    site.cluster.fault("isolate", next(node for node in site.replicas if site.cluster.run_id(node) == promoted))


ROWS = [
    Row("leader killed", do("kill", "leader"), moves=True),
    Row("leader frozen for 1 s", do("freeze", "leader", "--for", "1"), moves=None),
    Row("leader frozen for 5 s", do("freeze", "leader", "--for", "5"), moves=True, hold=5),
    Row("leader frozen for 30 s", do("freeze", "leader", "--for", "30"), moves=True, hold=30),
    Row("leader's power cut", do("power-cut", "leader"), moves=True, lost="leader"),
    Row("leader's power cut while a Sentinel is in TILT", cut_in_tilt, moves=True, lost="leader", limit=5.0),
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
    Row("leader killed while a replica is busy", kill_beside_a_busy_replica, moves=True),
    Row("leader's zone cut for a second", cut_for_a_moment, moves=None, lost="leader"),
    # Feeding both replicas at once, on shared cores, may cost the new leader its lead again.
    Row("leader killed during a full resync", kill_during_full_resync, moves=None, lost="replica", before=load),
    Row(
        "two leaders lost in a row",
        isolate_the_next,
        # The first one is back by then, in sync, and as good a successor as the third.
        moves=None,
        lost="next",
        wait_is_safe=False,
        limit=5.0,
        leaders=3,
    ),
]


SOAKED = [*ROWS, Row("site started in any order", start_in_any_order, moves=None, stops=True)]
"""Those that are played over and over, with those that take minutes."""


@dataclass(frozen=True)
class Trial:
    """What became of a cluster that a fault struck."""

    verdict: Verdict
    objections: tuple[str, ...]
    """What took too long, or came too often, one sentence each; empty is good."""

    @property
    def problems(self) -> tuple[str, ...]:
        """The verdict's too."""
        return (*self.verdict.problems, *self.objections)


def endure(row: Row, cluster: Cluster) -> Trial:
    """Strike a healthy cluster of three nodes while clients write, heal it, and judge what they saw.

    Raises:
        NotInTime: it did not go on, or did not become healthy again.
    """
    row.before(cluster)
    with Writers(cluster.gateways()) as writers:
        writers.wait_writing()
        site = _site_of(cluster, writers)
        old = writers.leaders()

        struck = time.monotonic()
        row.strike(site)
        if row.moves:
            writers.wait_leader(other_than=old)
        writers.watch(row.hold)
        if not row.stops:
            writers.wait_writing(gateways=2 if row.lost else 3)

        cluster.heal()
        if row.moves is not None:
            # Where the API was away, the reports are as old as that.
            moved = "reports of who leads"
            cluster.wait(moved, lambda seen: (seen["leader"] != site.leader) is row.moves, HEALTHY_WITHIN)
        leads = cluster.wait_healthy(HEALTHY_WITHIN)["leader"]
        writers.wait_writing(gateways=3)
        surviving = row.surviving(site, leads)
        verdict = cluster.judge(writers, struck=struck, surviving=surviving, wait_is_safe=row.wait_is_safe)
    return Trial(verdict, tuple(_objections(row, site, leads, verdict)))


def _site_of(cluster: Cluster, writers: Writers) -> Site:
    nodes = cluster.wait_healthy()["nodes"]
    leader = next(node for node in nodes if node["role"] == "leader")
    first, second = (node["name"] for node in nodes if node is not leader)
    return Site(cluster, writers, leader["name"], (first, second), leader["zone"])


def _objections(row: Row, site: Site, leads: str, verdict: Verdict) -> Iterator[str]:
    if row.moves is not None and (leads != site.leader) is not row.moves:
        yield f"{site.leader} led before, {leads} does now; leadership should {'' if row.moves else 'not '}move"
    expected = row.leaders if row.moves is None else 1 + row.moves
    if expected is not None and len(verdict.leaders) != expected:
        yield f"{len(verdict.leaders)} acknowledged writes, one after the other; accepted: {expected}"
    if not row.stops and verdict.outage > row.limit:
        yield f"{verdict.outage:.2f} s without an acknowledged write at a surviving gateway; accepted: {row.limit:g} s"
