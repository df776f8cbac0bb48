"""What the Sentinels say: asked eight times a second, and heard at once when they change the leader."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from holdfast_node import resp
from holdfast_node.identity import Identity
from holdfast_node.known import ABSURD_EPOCH, Known, strangers
from holdfast_node.link import Link, State, Subscription
from holdfast_node.log import say
from holdfast_node.proof import ANNOUNCED_FOR, Announcement, announced, majority_of, named_by_majority, proven
from holdfast_node.told import Outvoted

LEASE = 0.4
"""Seconds for which a Sentinel's word counts. Shorter than down-after-milliseconds: a gateway that is cut off closes
before the other side can have promoted anybody."""

PERIODS = ("PING-PERIOD", 250, "ASK-PERIOD", 200, "TILT-PERIOD", 3000)
"""Milliseconds. They can only be set at run time, and only from Redis 7.0 on (see sentinel.conf); a restarted Sentinel
has forgotten them.

Ping: by default it is down-after-milliseconds where that is under a second; then the first ping to a new leader comes
just when it counts as down, and a second failover follows the first. Shorter than 250, and no replica is eligible.
Ask: how long a Sentinel that misses the leader waits until it asks the others again, whether they miss it too.
Tilt: for how long a Sentinel that was not run for two seconds, or whose clock jumped, misses nobody; by default 30 s,
in which a lost leader would have no successor.
"""

INFO_PERIOD, HURRIED_INFO_PERIOD = 200, 50
"""Milliseconds, set likewise: how old what a Sentinel knows of the replicas is, and so its choice among them; always,
and while it is about to choose. Who is three times as late is not eligible."""

STANDS_FOR = 7.0
"""Seconds for which a Sentinel tries to be elected: `PATIENT`, which begins up to a second after it has said so."""

PATIENT, IMPATIENT = 6000, 1000
"""Milliseconds, `failover-timeout`: as in sentinel.conf, which says why it is not shorter; and for the Sentinel whose
turn it is, while it misses the leader and replaces nobody. One that has voted or failed stands again after twice this.
"""

REJOINS_FOR = 3.0
"""Seconds after a time without a majority, in which all that answer must agree, and, where they name the same leader as
before, all that spoke before must answer. A change that was missed meanwhile may be known to one of them only, and two
that are late are a majority: they tell each other every two seconds."""

QUORUM = 2
"""Sentinels that must miss the leader before the one whose turn it is stands for election: as in sentinel.conf."""

HEARD_WITHIN = 0.2
"""Seconds for a Sentinel to hear from the replicas how much they have: with the others' election, which they begin when
they have missed the leader for 0.6 s, this must not coincide."""

UNREACHED = {"s_down", "o_down", "disconnected"}
"""Flags of a Sentinel or a leader that a Sentinel does not reach."""

ANSWERED_WITHIN = 1500
"""Milliseconds since a leader's last answer to a Sentinel's ping, while that one reaches it: it pings four times a
second, and before Redis 7.0 at least once."""

RESTART_INTERVAL = 10.0
"""Seconds between two restarts of the own Sentinel."""

MISSES, REACHES = "+odown", "-odown"
STANDS, CHOSEN, ENDED = "+try-failover", "+failover-state-send-slaveof-noone", "-failover-abort"
SWITCHED = "+switch-master"
NEW_EPOCH = "+new-epoch"
CHANNELS = (
    MISSES,
    REACHES,
    STANDS,
    CHOSEN,
    f"{ENDED}-no-good-slave",
    f"{ENDED}-slave-timeout",
    f"{ENDED}-not-elected",
    SWITCHED,
    NEW_EPOCH,
)

IN_PROGRESS = "failover_in_progress"
"""Flag of a leader that a Sentinel is replacing."""


@dataclass
class Word:
    """What one Sentinel last said, and when (monotonic seconds)."""

    leader: str
    at: float


@dataclass
class View:
    """What one Sentinel knows of the cluster, looked at once a second."""

    others: frozenset[str] = frozenset()
    """Addresses of the other Sentinels that it knows, as far as they are slots."""
    replicas: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    """`ADDRESS:PORT` of all others that it takes for Sentinels or replicas."""
    reaches_leader: bool = False
    """Whether the leader that it names has answered it just now."""
    tilt: bool = False
    """Whether it distrusts its own clock, and so does nothing for a while (`TILT-PERIOD`)."""


@dataclass
class Sentinels:
    """Every Sentinel of the layout's slots, and no others (see known.py). `changed` is called when something did.

    Nothing here blocks; all of it runs in the thread of the event loop, but for the words' readers.
    """

    identity: Identity
    login: resp.Login
    changed: Callable[[], None] = lambda: None
    _known: Known = field(init=False)
    _words: dict[str, Word] = field(default_factory=dict)
    _views: dict[str, View] = field(default_factory=dict)
    _announcements: dict[str, Announcement] = field(default_factory=dict)
    _over: dict[str, str] = field(default_factory=dict)
    """Sentinel → whom it has promoted, and a majority has named since. It may not know yet, and be stopped before."""
    _stands: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Sentinel → the leader in whose place it wants to promote another one, and since when (monotonic seconds)."""
    _links: dict[str, Link] = field(default_factory=dict)
    _subscriptions: dict[str, Subscription] = field(default_factory=dict)
    _told: dict[str, int] = field(default_factory=dict)
    """Sentinel → the connection of its subscription, on which it has told whom it was promoting when that began."""
    _strange_leaders: dict[str, str] = field(default_factory=dict)
    """Sentinel → `ADDRESS:PORT` of the leader that it names, where that is no slot: it has no word."""
    _epochs: dict[str, int] = field(default_factory=dict)
    """Sentinel → the greatest epoch that it has told of."""
    _since: dict[str, int] = field(default_factory=dict)
    """Sentinel → the epoch of the failover that made the leader that it names."""
    _gone: frozenset[str] = frozenset()
    _restarted: float = float("-inf")
    _deaf_at: float = float("-inf")
    """When no majority spoke last (monotonic seconds)."""
    _spoke: frozenset[str] = frozenset()
    """Who spoke before that; nobody where no majority has spoken yet."""
    _led: str | None = None
    """Whom they named then."""
    _missing: bool = False
    """Whether the own Sentinel misses the leader, and another one does too."""
    _set: dict[str, int] = field(default_factory=dict)
    """What the own Sentinel was told; without what it may have forgotten."""

    def __post_init__(self) -> None:
        self._known = Known(self.identity)

    def start(self) -> None:
        for address in self.identity.sentinels.values():
            self._watch(address)

    def ask(self) -> None:
        """Ask each who leads: to be called several times within their lease."""
        for address, link in self._links.items():
            link.expire()
            if link.idle:
                link.ask(partial(self._named, address, time.monotonic()), *self._about("GET-MASTER-ADDR-BY-NAME"))
                if not self._hears(address):
                    self._have_told(address)
        self._forget_old_announcements()

    def look_around(self) -> None:
        """Ask each what it knows of the cluster: to be called every second."""
        for link in list(self._links.values()):
            self._look(link)
        for subscription in self._subscriptions.values():
            subscription.expire()
            subscription.probe()

    def votes(self) -> dict[str, str]:
        """Sentinel's address → leader it names, of words still within their lease.

        The word of a Sentinel counts only while it is heard as well when it begins to promote somebody else.
        """
        oldest, words = time.monotonic() - LEASE, list(self._words.items())
        return {address: word.leader for address, word in words if word.at >= oldest and self._hears(address)}

    def _hears(self, address: str) -> bool:
        subscription = self._subscriptions.get(address)
        return bool(subscription and subscription.logged_in and self._told.get(address) == subscription.serial)

    def known(self) -> int:
        """How many Sentinels there are, by the one that knows most; as many as there can be, before any has told.

        Also by one that is silent now: what it knew holds. And all that have ever spoken to this program: one that has
        just begun knows nobody for two seconds. Those that are gone for good count nowhere.
        """
        views, spoke = list(self._views.items()), frozenset(list(self._told)) - self._gone
        counts = [len(view.others - self._gone) + 1 for address, view in views if address not in self._gone]
        return max(*counts, len(spoke)) if counts else len(self.identity.sentinels)

    def majority_speaks(self) -> bool:
        """Whether more than half of all Sentinels have answered within their lease, whatever they say."""
        return len(self.votes()) >= majority_of(self.known())

    def proven_leader(self) -> str | None:
        """Who may take writes once it says that it leads: see proof.py."""
        now, votes = time.monotonic(), self.votes()
        if not self.majority_speaks():
            self._deaf_at = now
        elif now - self._deaf_at >= REJOINS_FOR:
            self._spoke, self._led = frozenset(votes), self.named()
        elif not self.promoting() and not self._rejoined(votes):
            return None
        return proven(votes, self.known(), self._changes())

    def _changes(self) -> list[Announcement]:
        return [replace(one, held_up=self._doubtful(one)) for one in list(self._announcements.values())]

    def _doubtful(self, change: Announcement) -> bool:
        """Whether a majority must confirm it: its Sentinel's clock stands, or strangers may have elected that, or made
        it believe in the leader that it replaces; or no majority has spoken since, which may have elected another."""
        view = self._views.get(change.sentinel)
        unsure = change.at < self._deaf_at or change.old not in {"", *self._known.data()}
        return unsure or (view is not None and (view.tilt or bool(view.strangers)))

    def _rejoined(self, votes: Mapping[str, str]) -> bool:
        """Whether what they say after a time without a majority is not what it was before a change that was missed."""
        if len(set(votes.values())) > 1:
            return False
        if self._led not in (None, *votes.values()):
            return True
        # One that is still missing may be promoting another.
        known = frozenset[str]().union(*({address, *view.others} for address, view in list(self._views.items())))
        return (self._spoke or known) - self._gone <= votes.keys()

    def named(self) -> str | None:
        """The leader that a majority names."""
        return named_by_majority(self.votes(), self.known())

    def promoting(self) -> str | None:
        """Whom a Sentinel is promoting just now."""
        targets = announced(self._changes(), self.votes(), self.known())
        return next(iter(targets)) if len(targets) == 1 else None

    def reach(self, leader: str) -> bool:
        """Whether a Sentinel names this leader and reaches it, by what it said a second ago.

        One is enough: where this node is cut off from the leader, the Sentinel beside it is so too.
        """
        votes, views = self.votes(), self._views
        return any(vote == leader and one in views and views[one].reaches_leader for one, vote in votes.items())

    def contested(self, leader: str | None) -> bool:
        """Whether a Sentinel stands for election to replace it: it may be elected, and promote another, any moment."""
        oldest = time.monotonic() - STANDS_FOR
        return any(old == leader and since >= oldest for old, since in self._stands.values())

    def members(self) -> frozenset[str]:
        """Addresses of all data nodes that the Sentinels know of."""
        leaders = {word.leader for word in list(self._words.values())}
        return frozenset(leaders).union(*(view.replicas for view in list(self._views.values())))

    def known_by(self) -> dict[str, frozenset[str]]:
        """Sentinel → all that it knows: others and replicas by address, strangers; of those that answer."""
        votes, views = self.votes(), self._views.items()
        return {address: view.others | view.replicas | view.strangers for address, view in views if address in votes}

    def know(self, deployed: frozenset[str]) -> None:
        """Which nodes there are, as the last deploy wrote them."""
        self._known.deployed = deployed

    def strangers(self) -> dict[str, frozenset[str]]:
        """Sentinel → `ADDRESS:PORT` of whom it takes for a Sentinel, a replica or the leader, and is no slot."""
        there, views = self.answering(), list(self._views.items())
        found = {address: view.strangers for address, view in views if view.strangers and address in there}
        for address, leader in list(self._strange_leaders.items()):
            found[address] = found.get(address, frozenset()) | {leader}
        return found

    def absurd_epochs(self) -> dict[str, int]:
        """Sentinel → an epoch of its that was forged."""
        return {address: epoch for address, epoch in list(self._epochs.items()) if epoch >= ABSURD_EPOCH}

    def poisoned(self) -> bool:
        """Whether a Sentinel believes in a leader or an epoch that only a restart makes it forget."""
        return bool(self._strange_leaders or self.absurd_epochs())

    def restart_all(self) -> None:
        """Have all Sentinels begin anew at the same moment: see cure.py."""
        for link in self._links.values():
            link.ask(lambda _: None, "SHUTDOWN")

    def restart_own(self, because: str) -> None:
        """Have the own Sentinel begin anew. One that never ends a failover, as its new leader is lost before the end,
        misses that one then, as the others do; or learns from them who replaced that one."""
        if time.monotonic() - self._restarted >= RESTART_INTERVAL:
            self._restarted = time.monotonic()
            say(f"has its Sentinel begin anew: {because}")
            self._links[self.identity.address].ask(lambda _: None, "SHUTDOWN")

    def outvoted(self) -> Outvoted | None:
        """Whom the own Sentinel names in place of the leader that a majority proves, since the same epoch; None where
        it is not so, or a greater epoch will mend it."""
        word, since, proven_now = self.own_word(), self._since.get(self.identity.address), self.proven_leader()
        if word is None or since is None or proven_now in (None, word.leader) or self.promoting():
            return None
        others = {self._since.get(one) for one, vote in self.votes().items() if vote == proven_now}
        return Outvoted(word.leader, since, proven_now) if since in others else None

    def answers(self, address: str) -> bool:
        """Whether a Sentinel does at that address."""
        return address in self._links and self._links[address].state is State.UP

    def answering(self) -> frozenset[str]:
        """Addresses at which a Sentinel does."""
        return frozenset(address for address in list(self._links) if self.answers(address))

    def agree(self, members: Collection[str]) -> str | None:
        """Whom every Sentinel among these addresses names, while nobody is being promoted."""
        votes = self.votes()
        named = {votes.get(address) for address in self.identity.sentinels.values() if address in members}
        return next(iter(named)) if len(named) == 1 and not self._announcements else None

    def forget(self, gone: frozenset[str]) -> None:
        """Count exactly these no more, whoever knows them, nor what they last knew: no node is left there."""
        self._gone = gone

    def reset_own(self) -> None:
        """Have the own Sentinel forget all others and all replicas, and learn anew who is there."""
        link = self._links[self.identity.address]

        def reset(reply: resp.Reply) -> None:
            # CKQUORUM counts those that are gone and strangers: they are why this is done.
            if isinstance(reply, list) and self._reaches_all([resp.pairs(one) for one in reply]):
                link.ask(lambda _: None, "SENTINEL", "RESET", self.identity.environment)

        link.ask(reset, *self._about("SENTINELS"))

    def _reaches_all(self, others: list[dict[str, str]]) -> bool:
        """Whether a Sentinel that lists these reaches all of them that there are."""
        there = [
            one for one in others if self._known.is_sentinel(one["ip"], one["port"]) and one["ip"] not in self._gone
        ]
        return not any(UNREACHED & set(one["flags"].split(",")) for one in there)

    def take_turns(self, *, anybody: bool) -> None:
        """Have the own Sentinel stand for election when two miss the leader, if it is its turn; else never.

        Two that stand at the same moment have a vote each, which after the loss of a leader's machine leaves neither a
        majority; and neither tries again before twice the failover-timeout is over. So one stands: the first that
        answers, and not the one beside the leader, which is lost with it. All may miss a frozen leader within
        milliseconds, that one's own Sentinel too: the others' quorum is more than there are. `anybody`: it did not
        stand in time.

        The one whose turn it is may have voted just before, for whoever promoted the leader that is lost now.
        """
        own, votes, named = self.identity.address, self.votes(), self.named()
        answering = [address for address in self.identity.sentinels.values() if address in votes]
        turn = next((address for address in answering if address != named), own)
        self._have_set("quorum", QUORUM if anybody or turn == own else max(self.known(), QUORUM) + 1)
        replaces = own in self._stands or own in self._announcements
        self._have_set("failover-timeout", IMPATIENT if self._missing and turn == own and not replaces else PATIENT)

    def _have_set(self, option: str, value: int) -> None:
        """Have the own Sentinel use that from now on."""
        link = self._links.get(self.identity.address)
        if link and link.state is State.UP and self._set.get(option) != value:
            self._set[option] = value
            link.ask(lambda _: None, *self._about("SET"), option, value)

    def own_word(self) -> Word | None:
        word = self._words.get(self.identity.address)
        return word if word and word.at >= time.monotonic() - LEASE else None

    def own_tilt(self) -> bool | None:
        view = self._views.get(self.identity.address)
        return view.tilt if view and self.own_word() else None

    async def fail_over(self, followers: Collection[str], still: Callable[[], bool]) -> None:
        """Have a Sentinel promote a replica now, without waiting for the others to miss the leader.

        The own one, or where there is none the first that speaks: two failovers at once could promote two. Before, it
        must have heard of these followers, after they have lost their leader, how much they have: else it could choose
        one that has less. Who does not answer in time is not waited for. `still`: whether it shall be done after all.
        """
        speaking = sorted(self.votes(), key=lambda address: (address != self.identity.address, address))
        began, heard = time.monotonic(), frozenset[str]()

        def replicas(reply: resp.Reply) -> None:
            nonlocal heard
            if isinstance(reply, list):
                age = 1000 * (time.monotonic() - began)
                ages = {one["ip"]: int(one["info-refresh"]) for one in map(resp.pairs, reply)}
                # 0: it has not asked yet.
                heard = frozenset(address for address, refreshed in ages.items() if 0 < refreshed < age)

        if not speaking:
            return
        link = self._links[speaking[0]]
        self._have_looked(link, HURRIED_INFO_PERIOD)
        while not heard.issuperset(followers) and time.monotonic() - began < HEARD_WITHIN:
            await asyncio.sleep(HEARD_WITHIN / 10)
            link.ask(replicas, *self._about("REPLICAS"))
        self._have_looked(link, INFO_PERIOD)
        if still():
            link.ask(self._failover_asked, *self._about("FAILOVER"))

    def _have_looked(self, link: Link, period: int) -> None:
        """Have that Sentinel ask every Redis what it is and has, so often."""
        if self.identity.since_7_0:
            link.ask(lambda _: None, "SENTINEL", "DEBUG", "INFO-PERIOD", period)

    def _failover_asked(self, reply: resp.Reply) -> None:
        if isinstance(reply, resp.Refused):
            say(f"the Sentinel does not promote anybody: {reply}")

    def _about(self, what: str) -> tuple[str, str, str]:
        return "SENTINEL", what, self.identity.environment

    def _watch(self, address: str) -> None:
        if address not in self._links:
            there = address, self.identity.sentinel_port, self.login
            self._links[address] = Link(*there, partial(self._link_changed, address))
            heard, begun = partial(self._heard, address), partial(self._have_told, address)
            self._subscriptions[address] = Subscription(*there, CHANNELS, heard, begun)

    def _link_changed(self, address: str) -> None:
        link = self._links[address]
        if link.state is State.UP:
            if address == self.identity.address:
                self._begin(link)
            self._look(link)
            self._have_told(address)
        else:
            # What broke that connection may have broken the other one too, which does not notice for a second.
            self._subscriptions[address].renew()
        if link.state in (State.REFUSED, State.SILENT):
            # What it believed may have ended with its process. Where it did not, it tells again, or infects another.
            self._epochs.pop(address, None)
            self._strange_leaders.pop(address, None)
        self.changed()

    def _have_told(self, address: str) -> None:
        """Have a Sentinel tell whom it names and whom it is promoting, now that it is heard when this changes."""
        link, subscription = self._links[address], self._subscriptions[address]
        serial, asked_at = subscription.serial, time.monotonic()

        def told(reply: resp.Reply) -> None:
            if isinstance(reply, list):
                self._promotes_already(address, [resp.pairs(one) for one in reply], asked_at)
                self._told[address] = serial
                self.changed()

        if subscription.logged_in:
            link.ask(partial(self._named, address, asked_at), *self._about("GET-MASTER-ADDR-BY-NAME"))
            link.ask(partial(self._stands_already, address, asked_at), *self._about("MASTER"))
            link.ask(told, *self._about("REPLICAS"))

    def _stands_already(self, sentinel: str, asked_at: float, reply: resp.Reply) -> None:
        if not isinstance(reply, list):
            return
        leader, stands = resp.pairs(reply), self._stands.get(sentinel)
        self._since[sentinel] = self._note_epoch(sentinel, leader["config-epoch"])
        if IN_PROGRESS in leader["flags"].split(","):
            self._stands[sentinel] = leader["ip"], asked_at
        elif stands and stands[1] < asked_at:
            # It was restarted in the middle.
            del self._stands[sentinel]

    def _promotes_already(self, sentinel: str, replicas: list[dict[str, str]], asked_at: float) -> None:
        found = _promoted(replicas)
        promoted = found["ip"] if found and found["ip"] in self._known.data() else None
        word, known = self._words.get(sentinel), self._announcements.get(sentinel)
        if promoted is None:
            self._over.pop(sentinel, None)
        if promoted and word and word.leader == promoted and self._is_outdated(sentinel, promoted):
            self._over[sentinel] = promoted
        if promoted and promoted == self._over.get(sentinel):
            # By now the majority may have put another one in its place.
            return
        if promoted and word and not (known and known.target == promoted):
            # Once the promoted one leads, its Sentinel names it, before the others do.
            old = (self.named() or "") if word.leader == promoted else word.leader
            self._announcements[sentinel] = Announcement(sentinel, promoted, old, time.monotonic())
        elif known and not promoted and known.at < asked_at:
            # It was restarted in the middle, or gave up unheard.
            del self._announcements[sentinel]

    def _is_outdated(self, sentinel: str, promoted: str) -> bool:
        """Whether another Sentinel names a different leader than this one has promoted, and not since before."""
        since = self._since.get(sentinel)
        others = [one for one, vote in self.votes().items() if vote != promoted and one in self._since]
        return since is not None and any(self._since[one] >= since for one in others)

    def _begin(self, link: Link) -> None:
        """What the own Sentinel has to be told after each of its starts."""
        self._set.clear()
        if self.identity.since_7_0:
            link.ask(lambda _: None, "SENTINEL", "DEBUG", *PERIODS, "INFO-PERIOD", INFO_PERIOD)

    def _named(self, address: str, asked_at: float, reply: resp.Reply) -> None:
        if not isinstance(reply, list):
            return
        if not self._known.is_data(*reply):
            self._strange_leaders[address] = ":".join(reply)
            return
        self._strange_leaders.pop(address, None)
        # As old as the question: this program may have been stopped between answer and look.
        before, self._words[address] = self._words.get(address), Word(reply[0], asked_at)
        if before is None or before.leader != reply[0]:
            self.changed()

    def _look(self, link: Link) -> None:
        view, address = View(), link.address

        def replicas(reply: resp.Reply) -> None:
            if isinstance(reply, list):
                found = [resp.pairs(one) for one in reply]
                view.replicas = frozenset(one["ip"] for one in found) & self._known.data()
                view.strangers |= strangers(found, self._known.is_data)
                promoted = _promoted(found)
                if promoted is None:
                    self._over.pop(address, None)
                elif address == self.identity.address and self._is_late(promoted):
                    self.restart_own("the one that it has just promoted leads no more")

        def others(reply: resp.Reply) -> None:
            if isinstance(reply, list):
                found = [resp.pairs(one) for one in reply]
                view.others = frozenset(one["ip"] for one in found) & self._known.sentinels()
                view.strangers |= strangers(found, self._known.is_sentinel)
                for other in view.others:
                    self._watch(other)

        def leader(reply: resp.Reply) -> None:
            if isinstance(reply, list):
                found = resp.pairs(reply)
                flags = set(found["flags"].split(","))
                self._since[address] = self._note_epoch(address, found["config-epoch"])
                answered = int(found["last-ok-ping-reply"]) < ANSWERED_WITHIN
                view.reaches_leader = answered and not UNREACHED & flags
                if address == self.identity.address:
                    self._missing = "o_down" in flags

        def info(reply: resp.Reply) -> None:
            if isinstance(reply, str):
                view.tilt = resp.fields(reply).get("sentinel_tilt") == "1"
                self._views[address] = view

        link.ask(replicas, *self._about("REPLICAS"))
        link.ask(others, *self._about("SENTINELS"))
        link.ask(leader, *self._about("MASTER"))
        link.ask(info, "INFO", "sentinel")

    def _is_late(self, promoted: dict[str, str]) -> bool:
        """Whether the own Sentinel is about to end a failover whose new leader is down, or replaced already: that of a
        machine that was frozen in the middle. `promoted`: that leader as the Sentinel lists it."""
        over = promoted["ip"] == self._over.get(self.identity.address)
        replaced = over and self.named() not in (None, promoted["ip"])
        return replaced or "s_down" in promoted["flags"].split(",")

    def _heard(self, sentinel: str, channel: str, message: str) -> None:
        """An event: `master ENVIRONMENT LEADER-IP LEADER-PORT`; of a promotion `slave NAME IP PORT @`, and the same."""
        words = message.split()
        if channel == NEW_EPOCH:
            self._note_epoch(sentinel, message)
            return
        if sentinel == self.identity.address and channel in (MISSES, REACHES, SWITCHED):
            self._missing = channel == MISSES
        if channel in (MISSES, REACHES):
            return
        self._stands.pop(sentinel, None)
        self._over.pop(sentinel, None)
        if channel == STANDS and words[1:2] == [self.identity.environment]:
            self._stands[sentinel] = words[2], time.monotonic()
            if sentinel == self.identity.address:
                self._have_set("failover-timeout", PATIENT)
        elif channel == CHOSEN and words[5:6] == [self.identity.environment] and self._known.is_data(*words[2:4]):
            # What this Sentinel calls the old leader was promoted before: that change is over.
            still = {address: one for address, one in self._announcements.items() if one.target != words[6]}
            now = Announcement(sentinel, words[2], words[6], time.monotonic())
            self._announcements = still | {sentinel: now}
            say(f"the Sentinel at {sentinel} promotes {words[2]} in place of {words[6]}")
        elif channel.startswith(ENDED):
            self._announcements.pop(sentinel, None)
        self.changed()

    def _note_epoch(self, sentinel: str, epoch: str) -> int:
        # Sentinel prints that of a leader as a number with a sign.
        number = int(epoch) % 2**64
        self._epochs[sentinel] = max(self._epochs.get(sentinel, 0), number)
        return number

    def _forget_old_announcements(self) -> None:
        oldest, named = time.monotonic() - ANNOUNCED_FOR, named_by_majority(self.votes(), self.known())
        self._over |= {address: one.target for address, one in self._announcements.items() if one.target == named}
        self._announcements = {
            address: one for address, one in self._announcements.items() if one.at >= oldest and one.target != named
        }


def _promoted(replicas: list[dict[str, str]]) -> dict[str, str] | None:
    """Of the replicas as a Sentinel lists them, the one that it promotes."""
    return next((one for one in replicas if "promoted" in one["flags"].split(",")), None)
