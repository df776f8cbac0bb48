"""A planned handover: the leader gives up, and no acknowledged write may be lost with it.

`SENTINEL FAILOVER` alone is uncoordinated. So writes are paused first, the replicas catch up, and only then one of them
is promoted. Writes stay paused until the chosen one says that it leads, which the gateways see at the same moment.
Redis 6.0 cannot pause writes alone, and a pause of everything would pause the Sentinels' questions too: there the
handover does without.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

from holdfast_node import resp
from holdfast_node.decision import Role
from holdfast_node.eligibility import FIRST
from holdfast_node.identity import FILE, Identity
from holdfast_node.log import say
from holdfast_node.sentinels import CHANNELS, CHOSEN, ENDED, IN_PROGRESS
from holdfast_node.servers import Details, Follower, details

DEADLINE = 3.0
"""Seconds from the pause to the successor's lead; the pause ends by itself at the same time."""

CATCH_UP = 0.4
"""Seconds for the replicas to get what was written before the pause. Sentinel's greetings (PUBLISH) are writes too:
after twice this it would take a paused leader for dead."""

SEEN_WITHIN = 12.0
"""Seconds until Sentinel has seen a replica's priority: it looks five times a second, once in ten seconds before Redis
7.0."""

NAMED_WITHIN = 3.0
"""Seconds for the Sentinels to hear of a change: of this one, before this machine may stop; and of the one before."""

UNASKED = "0"
"""Milliseconds since a replica's INFO, by a Sentinel that has just changed its leader: it promotes none of those."""

POLL = 0.005

IN_TOUCH = 2
"""Seconds since a replica's last word, which it gives every second. One that is frozen must not hold up the others."""

ANSWER_TIMEOUT, SENTINEL_TIMEOUT = 2.0, 0.5
"""Seconds for one answer of a Redis, and of a Sentinel: those of machines that are not there are asked too."""

PING_PERIOD, NEVER = 1, 3600
"""Seconds between the leader's pings to its replicas, which are in their stream: as in redis.conf, and in a handover.
A ping that the successor does not get any more would cost the others a full resync."""

Error = (OSError, resp.Refused)


class Failed(Exception):
    """No handover, and why: the leader is the one that it was."""


class Behind(Failed):
    """Some replicas did not catch up in time."""

    def __init__(self, behind: Collection[str], caught_up: Collection[str]) -> None:
        super().__init__(f"no handover: {', '.join(sorted(behind))} did not catch up in time; writes go on here")
        self.caught_up = caught_up
        """The addresses of those that did."""


def hand_over(
    identity: Identity, credentials: resp.Credentials, at_sentinels: resp.Credentials, to: str | None = None
) -> str:
    """Give leadership to a replica in sync: the one at the address `to`, or the one that a Sentinel prefers.

    Returns:
        What was done, as a sentence.

    Raises:
        Failed: nothing was changed.
    """
    try:
        with _alone():
            sentence = Handover(identity, credentials, at_sentinels, to).do()
    except Error as error:
        raise Failed(f"no handover: {error or type(error).__name__}; writes go on here") from None
    say(sentence)
    return sentence


@contextmanager
def _alone() -> Iterator[None]:
    """Once no other program of this machine hands over: the second one would fail, resume what the first has paused,
    and let the machine stop. Who has ended, however, is waited for no more."""
    with FILE.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Handover:
    """One handover, from this node's leader."""

    def __init__(
        self, identity: Identity, credentials: resp.Credentials, at_sentinels: resp.Credentials, to: str | None
    ) -> None:
        self._identity, self._to = identity, to
        self._waits_for_all = True
        self._credentials, self._at_sentinels = credentials, at_sentinels

    def do(self) -> str:
        with self._redis("127.0.0.1") as own:
            found = self._own(own)
            if found.server.role is not Role.LEADER:
                raise Failed("no handover: this node does not lead")
            followers = [one.address for one in found.followers if one.state == "online"]
            if not followers:
                raise Failed("no handover: no replica follows")
            if self._to and self._to not in followers:
                raise Failed(f"no handover: {self._to} is no replica in sync; accepted: {', '.join(followers)}")
            ready = in_touch(found)
            if self._to is None and ready and len(ready) < len(followers):
                # A Sentinel could prefer one that nobody waits for.
                self._to = max(ready, key=lambda one: one.offset).address
            try:
                return self._to_preferred(own)
            except Behind as error:
                successor = self._to or min(error.caught_up, default=None)
                if successor not in error.caught_up:
                    raise
                self._to, self._waits_for_all = successor, False
                say(f"{error}; tries again with {successor} alone")
                return self._to_preferred(own)

    def _to_preferred(self, own: resp.Client) -> str:
        with self._sentinel(self._sentinel_that_watches_this_node()) as sentinel, self._preferred(sentinel):
            successor, pause = self._replace(own, sentinel)
            self._wait_until_named(sentinel, successor)
        return f"handed over to {successor}; writes paused for {pause * 1000:.0f} ms"

    @contextmanager
    def _preferred(self, sentinel: resp.Client) -> Iterator[None]:
        """For as long as it takes, the one that was asked for is the one that Sentinel prefers."""
        if self._to is None:
            # One that has just come into sync is not known to be eligible yet.
            self._until_seen(sentinel, lambda seen: any(one != "0" for one in seen.values()), "a replica is eligible")
            yield
            return
        preferred = self._to
        before = self._set_priority(preferred, str(FIRST))
        try:
            self._until_seen(sentinel, lambda seen: seen.get(preferred) == str(FIRST), f"{preferred} is preferred")
            yield
        finally:
            # One that restarted since is not known to have everything any more.
            self._set_priority(preferred, before, instead_of=str(FIRST))

    def _set_priority(self, address: str, priority: str, instead_of: str = "") -> str:
        """Unless it is not that any more. Returns the one before."""
        with self._redis(address) as redis:
            before = resp.pairs(redis.call("CONFIG", "GET", "replica-priority"))["replica-priority"]
            if instead_of in ("", before):
                redis.call("CONFIG", "SET", "replica-priority", priority)
            return before

    def _until_seen(self, sentinel: resp.Client, holds: Callable[[Mapping[str, str]], bool], what: str) -> None:
        """Wait until that Sentinel knows priorities (address → priority) for which something holds."""
        deadline = time.monotonic() + SEEN_WITHIN
        while True:
            replicas = map(resp.pairs, sentinel.call("SENTINEL", "REPLICAS", self._identity.environment))
            if holds({one["ip"]: one["slave-priority"] for one in replicas if one["info-refresh"] != UNASKED}):
                return
            if time.monotonic() > deadline:
                raise Failed(f"no handover: the Sentinel does not see that {what}")
            time.sleep(10 * POLL)

    def _replace(self, own: resp.Client, sentinel: resp.Client) -> tuple[str, float]:
        """Pause writes until another one leads. Returns its address, and for how long they paused."""
        began = time.monotonic()
        self._pause(own)
        try:
            self._catch_up(own, began + CATCH_UP)
            successor = self._promote(sentinel, began + DEADLINE)
            # Sentinel takes seconds for this: once unpaused, it would take writes that its successor never sees.
            own.call("REPLICAOF", successor, self._identity.redis_port)
            # Their sessions end here; they find the new leader through any gateway.
            own.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            return successor, time.monotonic() - began
        finally:
            self._resume(own)

    def _pause(self, own: resp.Client) -> None:
        own.call("CONFIG", "SET", "repl-ping-replica-period", NEVER)
        if self._identity.since_6_2:
            own.call("CLIENT", "PAUSE", int(DEADLINE * 1000), "WRITE")

    def _resume(self, own: resp.Client) -> None:
        if self._identity.since_6_2:
            own.call("CLIENT", "UNPAUSE")
        own.call("CONFIG", "SET", "repl-ping-replica-period", PING_PERIOD)

    def _catch_up(self, own: resp.Client, deadline: float) -> None:
        """Wait until every replica in touch has everything: which of them is promoted is Sentinel's choice.

        They are asked themselves: what the leader knows of them is up to a second old.

        Raises:
            Behind: one of them is too far behind for a pause. A second attempt waits for the preferred one alone.
        """
        found = self._own(own)
        behind = {self._to} if self._to else set()
        if self._waits_for_all:
            behind |= {one.address for one in in_touch(found)}
        if not behind:
            raise Failed("no handover: no replica is in touch; writes go on here")
        caught_up = set[str]()
        while time.monotonic() < deadline:
            for address in list(behind):
                if self._offset(address) >= found.offset:
                    behind.remove(address)
                    caught_up.add(address)
            if not behind:
                return
            time.sleep(POLL)
        raise Behind(behind, caught_up)

    def _offset(self, address: str) -> int:
        """How much a replica has; one that is busy must not hold up the question to the others."""
        try:
            with self._redis(address, timeout=CATCH_UP / 4) as replica:
                return _look(replica).offset
        except OSError:
            return -1

    def _promote(self, sentinel: resp.Client, deadline: float) -> str:
        """Have a replica promoted, and wait until it leads: a moment after Sentinel's word, before it looks again."""
        with self._sentinel(sentinel.address) as events:
            for channel in CHANNELS:
                events.call("SUBSCRIBE", channel)
            sentinel.call("SENTINEL", "FAILOVER", self._identity.environment)
            successor = _chosen(events, deadline)
            if successor and successor not in self._identity.data.values():
                raise Failed(f"no handover: the Sentinel promotes {successor}, which is no node of this environment")
        while successor and time.monotonic() < deadline:
            try:
                with self._redis(successor) as other:
                    if _look(other).server.role is Role.LEADER:
                        return successor
            except OSError:
                # Sentinel ends all sessions of the one that it promotes.
                continue
            time.sleep(POLL)
        raise Failed("no handover: no replica was promoted in time; writes go on here")

    def _wait_until_named(self, sentinel: resp.Client, successor: str) -> None:
        """That Sentinel must live until it has told the others: this machine may be about to stop."""
        deadline = time.monotonic() + NAMED_WITHIN
        while time.monotonic() < deadline:
            named = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._identity.environment)
            if named and named[0] == successor:
                return
            time.sleep(10 * POLL)

    def _own(self, own: resp.Client) -> Details:
        """This node's Redis, of whose followers only nodes of this environment count: nobody else is logged in to."""
        found, nodes = _look(own), self._identity.data.values()
        return replace(found, followers=tuple(one for one in found.followers if one.address in nodes))

    def _redis(self, address: str, timeout: float = ANSWER_TIMEOUT) -> resp.Client:
        return resp.Client(address, self._identity.redis_port, self._credentials, timeout=timeout)

    def _sentinel(self, address: str) -> resp.Client:
        return resp.Client(address, self._identity.sentinel_port, self._at_sentinels, timeout=SENTINEL_TIMEOUT)

    def _sentinel_that_watches_this_node(self) -> str:
        """Its address; not the own one, where there is another: it may stop in the middle, with this machine.

        One that watches another leader would replace that one. Where this node was promoted just now, they hear of it
        soon; who promoted it needs a moment to end that. And one whose volume was lost counts the changes anew, until
        it hears from the others: they would not believe it.
        """
        deadline = time.monotonic() + NAMED_WITHIN
        while True:
            found = dict(self._watched())
            epochs = {address: epoch for address, (leader, epoch) in found.items() if leader == self._identity.address}
            if epochs:
                return max(epochs, key=lambda address: epochs[address])
            if time.monotonic() > deadline:
                raise OSError("no Sentinel that answers names this node" if found else "no Sentinel answers")
            time.sleep(10 * POLL)

    def _watched(self) -> Iterator[tuple[str, tuple[str | None, int]]]:
        """Sentinel → whom it watches, and in which epoch; None while it replaces that one. Without the silent."""
        for address in [*self._identity.other_sentinels(), self._identity.address]:
            with suppress(*Error):
                with self._sentinel(address) as sentinel:
                    seen = resp.pairs(sentinel.call("SENTINEL", "MASTER", self._identity.environment))
                leader = None if IN_PROGRESS in seen["flags"].split(",") else seen["ip"]
                yield address, (leader, int(seen["config-epoch"]))


def in_touch(leader: Details) -> list[Follower]:
    """The replicas that have everything, or will in a moment."""
    return [one for one in leader.followers if one.state == "online" and one.lag <= IN_TOUCH]


def _chosen(events: resp.Client, deadline: float) -> str | None:
    """Whom the Sentinel chose."""
    while time.monotonic() < deadline:
        try:
            kind, channel, message = events.read(deadline - time.monotonic())
        except TimeoutError:
            return None
        if kind == "message" and channel == CHOSEN:
            return str(message.split()[2])
        if kind == "message" and channel.startswith(ENDED):
            return None
    return None


def _look(redis: resp.Client) -> Details:
    return details(resp.fields(redis.call("INFO")))
