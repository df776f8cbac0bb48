"""A planned handover: the leader's machine is about to stop, and no acknowledged write may be lost with it.

`SENTINEL FAILOVER` alone is uncoordinated. So writes are paused first, a replica catches up, and only then it is
promoted. Redis 6.0 cannot pause writes alone, and a pause of everything would pause the Sentinels' questions too: there
the handover does without.
"""

from __future__ import annotations

import time
from typing import Any

from holdfast_node import servers
from holdfast_node.decision import Role
from holdfast_node.identity import Identity
from holdfast_node.log import say

DEADLINE = 6.0
"""Seconds for all of it; the pause ends by itself at the same time."""

POLL = 0.02

IN_TOUCH = 2
"""Seconds since a replica's last word, which it gives every second. One that is frozen must not hold up the others."""


def hand_over(identity: Identity, credentials: tuple[str, str]) -> bool:
    """Give leadership to a replica in sync, if this node leads. False: it did not, and nothing was changed."""
    own = servers.connect("127.0.0.1", identity.redis_port, credentials, timeout=2)
    try:
        found = servers.details(own)
    except servers.Error as error:
        say(f"no handover: Redis does not answer ({error})")
        return False
    leads = found.server.role is Role.LEADER
    if not leads or not found.followers:
        say("no handover: no replica follows" if leads else "no handover: this node does not lead")
        return False
    deadline = time.monotonic() + DEADLINE
    if identity.since_6_2:
        own.execute_command("CLIENT", "PAUSE", int(DEADLINE * 1000), "WRITE")
    try:
        if not _caught_up(own, deadline):
            say("no handover: no replica caught up in time; writes go on here")
            return False
        return _promote(identity, own, deadline)
    except servers.Error as error:
        say(f"no handover: {error}; writes go on here")
        return False
    finally:
        if identity.since_6_2:
            own.execute_command("CLIENT", "UNPAUSE")


def _caught_up(own: Any, deadline: float) -> bool:
    """Wait until every replica in touch has everything: which of them is promoted is Sentinel's choice."""
    while time.monotonic() < deadline:
        found = servers.details(own)
        in_touch = [one for one in found.followers if one.state == "online" and one.lag <= IN_TOUCH]
        if in_touch and all(one.offset >= found.offset for one in in_touch):
            return True
        time.sleep(POLL)
    return False


def _promote(identity: Identity, own: Any, deadline: float) -> bool:
    sentinel = servers.connect(identity.address, identity.sentinel_port, None, timeout=2)
    sentinel.execute_command("SENTINEL", "FAILOVER", identity.environment)
    while time.monotonic() < deadline:
        named = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", identity.environment)
        if named and named[0] != identity.address:
            say(f"handed over to {named[0]}")
            # Sentinel takes seconds for this: once unpaused, it would take writes that its successor never sees.
            own.execute_command("REPLICAOF", named[0], identity.redis_port)
            # Their sessions end here; they find the new leader through any gateway.
            own.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            return True
        time.sleep(POLL)
    say("no handover: the Sentinels promoted nobody in time; writes go on here")
    return False
