"""What this node should be now: a pure function from what it sees to one action and the sentence that explains it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from holdfast_node.proof import majority_of, named_by_majority

STALE_AFTER = 4.0
"""Seconds for which this node must contradict a majority, whose leader itself says that it leads, before it steps down.

During a failover the promoted replica leads before the majority names it, as Sentinel looks only once a second: that
must not be undone. A stale leader is closed to clients all this time."""

ESTABLISHED_AFTER = 3.0
"""Seconds for which a leader must be proven until every Sentinel names it for certain: the one that promoted it may
stall for 1.9, and asks for INFO once a second."""

REPLACED_AFTER = 1.0
"""The same for one that every Sentinel named before: nobody has just promoted it, so there is nothing to undo. Until it
follows, a Sentinel that has to replace its successor too could choose it, as INFO tells no priority of a leader."""

LATE_ANSWER = 2.0
"""Seconds that silent peers have to answer, before this node leads again with the data that it has: a replica that kept
running has more."""

LEADERLESS_AFTER = 3.0
"""Seconds for which the named leader must answer and not lead, before those that follow it offer themselves anew."""


class Role(str, Enum):
    LEADER = "leader"
    REPLICA = "replica"
    WAITING = "waiting"
    """A replica of nobody: how every Redis starts here."""
    DOWN = "down"
    """No process listens, or it is still loading: it certainly stopped leading."""
    SILENT = "silent"
    """It does not answer in time: it may be busy or frozen, and may lead again any moment."""


class Do(str, Enum):
    STAY = "stay"
    LEAD = "lead"
    FOLLOW = "follow"
    FAIL_OVER = "fail over"
    """Ask a Sentinel to promote a replica."""
    WAIT = "wait"
    """Follow nobody any more, as every Redis starts."""
    OFFER = "offer"
    """Have the Sentinels forget for how long this replica has had no leader: after 6 s they promote it no more."""


@dataclass(frozen=True)
class Server:
    """A Redis as it describes itself. `leader` is the address it follows, where it follows one."""

    role: Role
    leader: str | None = None
    has_data: bool = False
    promotable: bool = False
    """Whether it is a replica whose data is known to be complete, or was when it lost its leader (eligibility.py)."""


@dataclass(frozen=True)
class Snapshot:
    """All that a decision depends on."""

    me: str
    own: Server
    votes: Mapping[str, str] = field(default_factory=dict)
    """Sentinel's address → the leader it names, of those that answered just now."""
    sentinels: int = 1
    """How many Sentinels there are, by the one that knows most."""
    promoting: str | None = None
    """Whom a Sentinel is making the leader just now, before the others name it (see proof.py)."""
    silent_because: str = "does not answer"
    """What is wrong with the own Redis where it is silent: see silence.py."""
    peers: Mapping[str, Server] = field(default_factory=dict)
    """The Redis of all other nodes that there are: those that do not answer are `SILENT` or `DOWN`."""
    members_known: bool = False
    """Whether `peers` are all that there are, as the last deploy wrote them."""
    began: bool = False
    """Whether this very data volume began the cluster (see the bootstrap record), and has not led since."""
    holder: bool = False
    """Whether the last leader counted this node among those that have everything: see holders.py."""
    waits_for: float = 0.0
    """Seconds for which this node's Redis has waited for a role, while a majority names it."""
    contradicts_for: float = 0.0
    """Seconds for which this node has led, or followed somebody, beside another one that a majority names."""
    established: bool = False
    """Whether this node has been proven to lead for `ESTABLISHED_AFTER` on end, and has not ceased to lead since."""
    hangs_back_for: float = 0.0
    """Seconds for which this node has followed somebody while a majority names itself."""
    leaderless_for: float = 0.0
    """Seconds for which this node has followed the named leader, while that one answers and waits for a role itself."""


@dataclass(frozen=True)
class Decision:
    do: Do
    sentence: str
    target: str | None = None


def contradicts(me: str, own: Server, named: str | None) -> bool:
    """Whether this node leads, or follows somebody, beside another one that a majority names."""
    if named is None or named == me:
        return False
    return own.role is Role.LEADER or (own.role is Role.REPLICA and own.leader != named)


def hangs_back(me: str, own: Server, named: str | None) -> bool:
    """Whether this node follows somebody while a majority names itself."""
    return named == me and own.role is Role.REPLICA


def is_leaderless(own: Server, named: str | None, peers: Mapping[str, Server]) -> bool:
    """Whether this node follows the leader that a majority names, and that one is there and leads nobody."""
    if own.role is not Role.REPLICA or named is None or own.leader != named:
        return False
    return named in peers and peers[named].role is Role.WAITING


def decide(snapshot: Snapshot) -> Decision:
    """See the table in node/README.md: one row for each return."""
    named = snapshot.promoting or named_by_majority(snapshot.votes, snapshot.sentinels)
    if named is None:
        return _without_majority(snapshot)
    if named == snapshot.me:
        return _named(snapshot)
    return _other_named(snapshot, named)


def observe(votes: Mapping[str, str], sentinels: int) -> Decision:
    """What a node without Redis says: it has nothing to decide."""
    named = named_by_majority(votes, sentinels)
    if named is None:
        return Decision(Do.STAY, f"waits: {_seen(votes, sentinels)}, and a majority is {majority_of(sentinels)}")
    return Decision(Do.STAY, f"a majority names {named}")


def _seen(votes: Mapping[str, str], sentinels: int) -> str:
    agree = max(Counter(votes.values()).values(), default=0)
    return f"{agree} of {sentinels} Sentinels name the same leader"


def _without_majority(snapshot: Snapshot) -> Decision:
    seen = _seen(snapshot.votes, snapshot.sentinels)
    if snapshot.own.role is Role.LEADER:
        return Decision(Do.STAY, f"leads, but only {seen}: the gateways are closed")
    return Decision(Do.STAY, f"waits: {seen}, and a majority is {majority_of(snapshot.sentinels)}")


def _other_named(snapshot: Snapshot, named: str) -> Decision:
    own = snapshot.own
    if own.role is Role.DOWN:
        return Decision(Do.STAY, f"its Redis does not run; a majority names {named}")
    if own.role is Role.SILENT:
        return Decision(Do.STAY, f"its Redis {snapshot.silent_because}; a majority names {named}")
    if own.role is Role.WAITING:
        return Decision(Do.FOLLOW, f"a majority names {named}: follows it", named)
    if own.leader == named and snapshot.leaderless_for >= LEADERLESS_AFTER and own.promotable and snapshot.holder:
        return Decision(Do.OFFER, f"a majority names {named}, which does not lead: offers itself to be promoted")
    if own.leader == named:
        return Decision(Do.STAY, f"follows {named}, which a majority names")
    leads_there = snapshot.peers.get(named, Server(Role.DOWN)).role is Role.LEADER
    if leads_there and snapshot.promoting and own.role is Role.REPLICA:
        # Sentinel would say so after a second, and until then the new leader has no replica, and takes no writes.
        return Decision(Do.FOLLOW, f"a Sentinel promoted {named}, which leads: follows it", named)
    # Who has just promoted it names it. So it is an old leader where all name another, and where it had led for long.
    old = snapshot.established or list(snapshot.votes.values()).count(named) == snapshot.sentinels
    replaced = old and own.role is Role.LEADER and not snapshot.promoting
    if leads_there and snapshot.contradicts_for >= (REPLACED_AFTER if replaced else STALE_AFTER):
        return Decision(
            Do.FOLLOW, f"a majority names {named}, which leads: gives up its own role and follows it", named
        )
    return Decision(Do.STAY, f"a majority names {named}: leaves the change to the Sentinels for now")


def _named(snapshot: Snapshot) -> Decision:
    own = snapshot.own
    if own.role is Role.LEADER:
        return Decision(Do.STAY, "leads, and a majority names it")
    leader = next((address for address, peer in snapshot.peers.items() if peer.role is Role.LEADER), None)
    if own.role is Role.REPLICA and not leader and not snapshot.promoting and snapshot.hangs_back_for >= STALE_AFTER:
        # Whom it follows was to be promoted, and was not: that one may follow this node.
        return Decision(
            Do.WAIT, f"a majority names it, and it follows {own.leader}, which does not lead: follows nobody"
        )
    if own.role is Role.REPLICA:
        return Decision(Do.STAY, "a majority names it: the Sentinels are promoting it")
    if own.role is Role.SILENT:
        # A failover asked for here would race the one that the other Sentinels begin, and could promote two.
        return Decision(
            Do.STAY, f"a majority names it, but its Redis {snapshot.silent_because}: leaves it to the other Sentinels"
        )
    if leader:
        return Decision(Do.STAY, f"a majority names it, but {leader} leads already: leaves it to the Sentinels")
    if any(peer.promotable and peer.has_data for peer in snapshot.peers.values()):
        return Decision(Do.FAIL_OVER, "led until its Redis restarted, and a replica kept running: hands over to it")
    if own.role is Role.DOWN:
        return Decision(Do.STAY, "a majority names it, and its Redis is starting")
    unheard = [address for address, peer in snapshot.peers.items() if peer.role in (Role.SILENT, Role.DOWN)]
    if own.has_data:
        silent = [address for address in unheard if snapshot.peers[address].role is Role.SILENT]
        if silent and snapshot.waits_for < LATE_ANSWER:
            return Decision(
                Do.STAY, f"a majority names it, and it holds data: waits a moment for {silent[0]} to answer"
            )
        return Decision(Do.LEAD, "a majority names it, it holds data, and no replica kept running: leads")
    if any(peer.has_data for peer in snapshot.peers.values()):
        return Decision(
            Do.FAIL_OVER, "a majority names it, but it is empty and a peer holds data: never leads like that"
        )
    if snapshot.began:
        return Decision(Do.LEAD, "a majority names it, it began this cluster, and nobody holds data: leads")
    if not snapshot.members_known:
        return Decision(Do.STAY, "waits: it is empty, and does not know yet which nodes there are")
    if unheard:
        # One that is loading answers too, but does not know yet what it holds.
        return Decision(Do.STAY, f"waits: it is empty, and cannot tell whether {unheard[0]} holds data")
    return Decision(Do.LEAD, "a majority names it, and of all nodes nobody holds data: leads")
