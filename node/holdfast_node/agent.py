"""The part that always runs: keeps this node in its role, leads its HAProxy to the leader, reports to the cloud.

One thread, and nothing in it waits: what the Sentinels, the Redis servers and HAProxy say is looked at when it comes.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from holdfast_node import gateway, lease, resp
from holdfast_node.aside import Aside
from holdfast_node.bootstrap import BEGAN
from holdfast_node.cloud import Cloud
from holdfast_node.cure import Cure
from holdfast_node.decision import (
    ESTABLISHED_AFTER,
    Decision,
    Do,
    Role,
    Snapshot,
    contradicts,
    decide,
    hangs_back,
    is_leaderless,
    observe,
)
from holdfast_node.dissent import Dissent
from holdfast_node.eligibility import NEVER, Eligibility, priority, volunteers
from holdfast_node.floating import Floating
from holdfast_node.generation import RESTORED, Data
from holdfast_node.handover import PING_PERIOD, hand_over
from holdfast_node.holders import Holders
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.membership import Membership
from holdfast_node.notice import Notice, claims
from holdfast_node.refusals import Refusals
from holdfast_node.report import Reporter
from holdfast_node.restoring import Restores
from holdfast_node.secrets import RENEW
from holdfast_node.sentinels import Sentinels
from holdfast_node.servers import NOBODY, Servers
from holdfast_node.silence import Silence
from holdfast_node.since import Since
from holdfast_node.turn import Backups
from holdfast_node.unauthenticated import Unauthenticated
from holdfast_node.watchdog import Watchdog

INTERVAL = 0.125
"""Seconds between two looks at every Sentinel and every Redis. With the longest wait for an answer (see link.py) it is
shorter than the lease of a Sentinel's word."""

HURRY = 0.01
"""Seconds between two looks at a Redis that is just being promoted."""

AROUND_INTERVAL = 1.0
"""Seconds between two looks at what changes seldom."""

DEAF_AFTER = 1.0
"""Seconds without a majority of Sentinels, after which a gateway is of no use; longer than one late answer."""

CUT_OFF_AFTER = 4.0
"""Seconds without a leader that a Sentinel reaches, after which a gateway is of no use. What Sentinels say about that
is up to 2.5 s old: a leader that is lost counts as reached for that long."""

OVERDUE = 1.9
"""Seconds from the moment in which a leader counts as lost, after which its successor should be there: four times as
long as an election takes."""

OFFER_INTERVAL = 5.0
"""Seconds between two offers, and two requests for a failover: Sentinel needs a moment for one."""

WITNESSED_FOR = 0.25
"""Seconds after the own Redis was last seen leading, in which a failover is asked for, once. Later, or again, it would
coincide with the Sentinels' own election, and two would be promoted."""


LAG, BUSY_LAG = 2, int(gateway.BUSY_FOR)
"""`min-replicas-max-lag`: seconds since a replica's last acknowledgement, after which it does not count as one. The
longer one is for a proven leader while a replica is there: one that runs a slow command acknowledges nothing, and must
not stop writes. A leader that is cut off must refuse them by itself."""


class Agent:
    """One node's agent. `run` never returns."""

    def __init__(self, identity: Identity, cloud: Cloud, login: resp.Login, at_sentinels: resp.Login) -> None:
        self._identity = identity
        self._sentinels = Sentinels(identity, at_sentinels, self._changed)
        self._servers = Servers(identity, login, self._changed)
        # A cloud of its own, for its own thread.
        self._floating = Floating(identity, Cloud(identity), self._sentinels.majority_speaks)
        self._haproxy: gateway.Haproxy | None = None
        self._usable = gateway.Open()
        self._due = False
        self._contradicts, self._hangs_back, self._leaderless = Since(), Since(), Since()
        self._proven, self._established = Since(), False
        self._deaf, self._cut_off, self._missed = Since(), Since(), Since()
        self._offered = 0.0
        self._led_at = float("-inf")
        """When the own Redis was last seen leading; never, once a failover has been asked for."""
        self._asked_at = float("-inf")
        self._promotion: asyncio.Task[None] | None = None
        self._failover: asyncio.Task[None] | None = None
        self._waits, self._absent, self._empty = Since(), Since(), Since()
        self._eligibility = Eligibility()
        self._silence = Silence()
        self._unauthenticated = Unauthenticated(identity.crowded)
        self._told_may: bool | None = None
        """What Redis was told last, until it says so itself."""
        self._told_lag: int | None = None
        """The same of its `min-replicas-max-lag`."""
        self._holders = Holders(identity.address, cloud, generation=Data().generation)
        self._aside = Aside()
        self._watchdog = Watchdog()
        order = list(identity.sentinels.values())
        self._membership = Membership(identity.address, order, self._sentinels, self._servers)
        self._notice = Notice()
        self._refusals = Refusals(identity.redis_port, login, {*identity.secrets, RENEW})
        self._cure = Cure(identity.address, order, self._sentinels.restart_all)
        self._dissent = Dissent(self._sentinels.restart_own)
        self._backups = Backups(identity, cloud, self._sentinels, self._servers)
        self._restores = Restores(identity, cloud, self._sentinels, self._servers)
        self._reporter = Reporter(
            identity,
            cloud,
            lambda to: hand_over(identity, login(), at_sentinels(), to),
            self._sentinels,
            self._servers,
            self._floating,
            self._membership,
            self._holders,
            self._backups,
            self._refusals,
            self._restores,
        )

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sentinels.start()
        self._servers.start()
        if self._identity.has("gateway"):
            self._haproxy = gateway.Haproxy(self._identity.data)
            lease.serve(self._identity.lease_port, self._may_use)
            if self._identity.floating:
                threading.Thread(target=self._floating.run, daemon=True).start()
        threading.Thread(target=self._reporter.run, daemon=True).start()
        await asyncio.gather(_every(INTERVAL, self._look), _every(AROUND_INTERVAL, self._look_around))

    def _may_use(self, backend: str, name: str) -> bool:
        if self._haproxy:
            self._haproxy.hear()
        return (backend, name) in self._usable

    def _look(self) -> None:
        self._watchdog.alive()
        self._sentinels.ask()
        self._servers.look()
        if self._identity.has("data"):
            self._silence.look(self._servers.own().sight().silent_for, time.monotonic())
        self._sentinels.take_turns(anybody=self._misses_leader() >= self._identity.detection + OVERDUE)
        if self._haproxy and self._identity.floating:
            self._floating.tell(able=self._haproxy.works and self._is_of_use(time.monotonic()))
        # Also when nobody said anything: a lease may have run out.
        self._changed()

    def _is_of_use(self, now: float) -> bool:
        """Whether this gateway hears the Sentinels, and does not alone miss the leader."""
        proven = self._sentinels.proven_leader()
        misses = proven is not None and not self._usable.has_leader and self._sentinels.reach(proven)
        deaf = self._deaf.seconds(not self._sentinels.majority_speaks(), now)
        return deaf < DEAF_AFTER and self._cut_off.seconds(misses, now) < CUT_OFF_AFTER

    def _misses_leader(self) -> float:
        """Seconds for which the leader that a majority names has not answered."""
        named = self._sentinels.named()
        return self._missed.seconds(named is None or self._servers.at(named) is None, time.monotonic())

    def _look_around(self) -> None:
        self._sentinels.know(self._membership.members)
        self._notice.look(claims(self._sentinels.strangers(), self._sentinels.absurd_epochs()))
        self._cure.look(poisoned=self._is_poisoned(), answering=self._sentinels.answering())
        self._dissent.look(self._sentinels.outvoted(), time.monotonic())
        self._sentinels.look_around()
        self._servers.look_around()
        self._membership.look()
        self._backups.tell()
        self._end_unauthenticated()

    def _end_unauthenticated(self) -> None:
        own = self._servers.own() if self._identity.has("data") else None
        command = self._unauthenticated.due(own.details.clients, time.monotonic()) if own and own.details else ()
        if own and command:
            own.tell(_tell_ended, *command)

    def _is_poisoned(self) -> bool:
        """Whether forged greetings keep the Sentinels from their work.

        Until the bucket has told who there is, a newer node may look like a stranger, and a restarted Sentinel may
        not learn who led.
        """
        outvoted = self._misses_leader() > 0 and bool(self._sentinels.strangers())
        return bool(self._membership.members) and (outvoted or self._sentinels.poisoned())

    async def _look_at_promoted(self) -> None:
        """For as long as somebody is being promoted."""
        while promoted := self._sentinels.promoting():
            self._servers.look_at(promoted)
            await asyncio.sleep(HURRY)
        self._promotion = None

    def _changed(self) -> None:
        """Consider everything anew, once for all that came in together."""
        if not self._due:
            self._due = True
            self._loop.call_soon(self._consider)

    def _consider(self) -> None:
        self._due = False
        if self._promotion is None and self._sentinels.promoting():
            self._promotion = self._loop.create_task(self._look_at_promoted())
        proven = self._sentinels.proven_leader()
        if self._haproxy:
            self._usable = gateway.usable(
                proven, self._identity.data, self._servers.sight, self._usable,
                keep=self._identity.detection - gateway.CLOSES_BEFORE, contested=self._sentinels.contested(proven),
            )  # fmt: skip
            self._haproxy.use(self._usable)
        self._set_priority(proven)
        self._set_lag(proven)
        decision = self._decide(proven)
        if decision.sentence != self._reporter.decision.sentence:
            say(decision.sentence)
        self._reporter.decision = decision
        self._act(decision)

    def _decide(self, proven: str | None) -> Decision:
        if not self._identity.has("data"):
            return observe(self._sentinels.votes(), self._sentinels.known())
        snapshot = self._snapshot(proven)
        beside_for = snapshot.contradicts_for if snapshot.own.role is Role.LEADER else 0.0
        self._aside.look(self._servers.own(), beside_for, time.monotonic())
        return decide(snapshot)

    def _set_priority(self, proven: str | None) -> None:
        """See eligibility.py."""
        own, now = self._servers.own() if self._identity.has("data") else None, time.monotonic()
        if own is None or own.details is None:
            self._told_may = None
            return
        named = self._sentinels.named()
        other = self._servers.at(named) if named else None
        lost = named not in (None, self._identity.address)
        waits_empty = other is not None and other.server.role is Role.WAITING and not other.server.has_data
        absent_for = self._absent.seconds(lost and other is None, now)
        empty_for = self._empty.seconds(lost and waits_empty, now)
        leader = named if other is not None and other.server.role is Role.LEADER else None
        may = self._eligibility.look(own.details, self._identity.address, proven, leader, now)
        if own.details.follows_in_sync(proven):
            RESTORED.unlink(missing_ok=True)
        if volunteers(own.details, holder=self._is_holder(), absent_for=absent_for, empty_for=empty_for):
            may = True
        if may is not None and may is not self._told_may:
            say(f"{'may' if may else 'may not'} be promoted")
            own.tell(_complain, "CONFIG", "SET", "replica-priority", priority(own.details.version) if may else NEVER)
        self._told_may = may

    def _is_holder(self) -> bool:
        """Whether this node may lead with what it has: the last leader said so, or a restore has put it there."""
        return self._holders.include_me() or RESTORED.exists()

    def _set_lag(self, proven: str | None) -> None:
        own = self._servers.own() if self._identity.has("data") else None
        if own is None or own.details is None:
            self._told_lag = None
            return
        if self._told_lag is None:
            # A handover that was ended in the middle leaves it without pings, and its replicas would take it for dead.
            own.tell(_complain, "CONFIG", "SET", "repl-ping-replica-period", PING_PERIOD)
        leads = own.server.role is Role.LEADER and proven == self._identity.address
        there = any(sight.details or sight.busy for sight in self._servers.others())
        lag = BUSY_LAG if leads and there else LAG
        if lag != self._told_lag:
            own.tell(_complain, "CONFIG", "SET", "min-replicas-max-lag", lag)
        self._told_lag = lag

    def _snapshot(self, proven: str | None) -> Snapshot:
        members = self._membership.members
        own, peers = self._servers.own().server, self._servers.peers(members or self._sentinels.members())
        me, now = self._identity.address, time.monotonic()
        waits = own.role is Role.WAITING and self._sentinels.named() == me
        proven_for = self._proven.seconds(own.role is Role.LEADER and proven == me, now)
        # One that does not answer for a moment has not ceased to lead.
        leads = own.role is Role.LEADER or (self._established and own.role is Role.SILENT)
        self._established = leads and (self._established or proven_for >= ESTABLISHED_AFTER)
        return Snapshot(
            me=me,
            own=own,
            votes=self._sentinels.votes(),
            sentinels=self._sentinels.known(),
            promoting=self._sentinels.promoting(),
            silent_because=self._silence.because,
            peers=peers,
            members_known=bool(members),
            began=BEGAN.exists(),
            holder=self._is_holder(),
            waits_for=self._waits.seconds(waits, now),
            contradicts_for=self._contradicts.seconds(contradicts(me, own, proven), now),
            established=self._established,
            hangs_back_for=self._hangs_back.seconds(hangs_back(me, own, proven), now),
            leaderless_for=self._leaderless.seconds(is_leaderless(own, proven, peers), now),
        )

    def _act(self, decision: Decision) -> None:
        own = self._servers.own() if self._identity.has("data") else None
        if own and own.server.role is Role.LEADER:
            self._led_at = time.monotonic()
        if own and decision.do is Do.LEAD:
            # From now on it may have data, or its replicas may: it never begins again.
            BEGAN.unlink(missing_ok=True)
            RESTORED.unlink(missing_ok=True)
            own.tell(_complain, "REPLICAOF", "NO", "ONE")
        elif own and decision.do is Do.FOLLOW and (own.server.role is not Role.LEADER or self._aside.over):
            if own.server.role is Role.LEADER:
                # Before a Sentinel sees it follow: of one that leads, it knows no priority.
                own.tell(_complain, "CONFIG", "SET", "replica-priority", NEVER)
            own.tell(_complain, *self._follow(decision.target))
        elif own and decision.do is Do.WAIT:
            own.tell(_complain, "REPLICAOF", NOBODY, 1)
        elif own and decision.do is Do.OFFER and time.monotonic() - self._offered >= OFFER_INTERVAL:
            self._offered = time.monotonic()
            # At once: nobody ever sees it lead.
            for words in (("MULTI",), ("REPLICAOF", "NO", "ONE"), self._follow(own.server.leader), ("EXEC",)):
                own.tell(_complain, *words)
        elif decision.do is Do.FAIL_OVER and self._may_ask(time.monotonic()):
            self._led_at, self._asked_at = float("-inf"), time.monotonic()
            self._failover = self._loop.create_task(self._fail_over())

    def _may_ask(self, now: float) -> bool:
        """Whether a failover asked for now comes before the Sentinels' own, or instead of it."""
        if now - self._led_at <= WITNESSED_FOR:
            return True
        # Before 7.0 a Sentinel takes long to miss a leader that restarted: it answers.
        answers = self._servers.own().server.role is Role.WAITING
        return not self._identity.since_7_0 and answers and now - self._asked_at >= OFFER_INTERVAL

    async def _fail_over(self) -> None:
        peers = self._servers.peers(())
        followers = [address for address, peer in peers.items() if peer.promotable]
        await self._sentinels.fail_over(followers, still=self._is_lost)

    def _is_lost(self) -> bool:
        """Whether this node is still the leader by name, and does not lead."""
        named = self._sentinels.promoting() or self._sentinels.named()
        return named == self._identity.address and self._servers.own().server.role is not Role.LEADER

    def _follow(self, leader: str | None) -> tuple[object, ...]:
        return "REPLICAOF", leader, self._identity.redis_port


def _tell_ended(reply: resp.Reply) -> None:
    _complain(reply)
    if isinstance(reply, int) and reply:
        say(f"Redis is crowded: ended {reply} connections that had not logged in")


def _complain(reply: resp.Reply) -> None:
    if isinstance(reply, resp.Refused):
        say(f"Redis: {reply}")


async def _every(seconds: float, do: Callable[[], None]) -> None:
    while True:
        do()
        await asyncio.sleep(seconds)
