"""Sentinel's configuration: the settings come from the machine's user-data, what Sentinel has learnt stays.

Sentinel writes its votes and epochs into its configuration file. It is kept on the data volume, so that a replaced
machine does not forget that it has voted, and only its settings are renewed. What a forged greeting made it learn is
not kept: strangers, a leader that is no node, and epochs that no election gave (see known.py).

It runs as Sentinel does, which may not call the cloud: what the bucket tells it reads from files of the node program.
"""

from __future__ import annotations

import time
from pathlib import Path

from holdfast_node import told
from holdfast_node.bootstrap import FIRST_LEADER
from holdfast_node.files import write_private
from holdfast_node.identity import Identity
from holdfast_node.known import ABSURD_EPOCH, Known
from holdfast_node.log import say

SETTINGS = Path("/etc/holdfast/sentinel.conf")
LOGINS = Path("/run/holdfast/sentinel-auth.conf")
"""What it says to Redis and to other Sentinels: see secrets.py."""

KEPT = Path("/var/lib/holdfast/sentinel/sentinel.conf")

RETRY = 1.0

LEARNT = (
    "sentinel monitor",
    "sentinel current-epoch",
    "sentinel config-epoch",
    "sentinel leader-epoch",
    "sentinel known-replica",
    "sentinel known-sentinel",
)


def prepare(identity: Identity) -> None:
    """Write the configuration that Sentinel starts with."""
    kept = KEPT.read_text(encoding="utf-8") if KEPT.exists() else ""
    known = _known(identity, kept)
    learnt = believable(kept, known, now=int(time.time()))
    if learnt != kept:
        say("a forged greeting had reached its Sentinel: keeps of what that has learnt only what can be true")
    if not _monitor(learnt):
        learnt += _first_leader(identity, known, forged=_monitor(kept) is not None)
    write_private(KEPT, merge(SETTINGS.read_text(encoding="utf-8") + LOGINS.read_text(encoding="utf-8"), learnt))


def merge(settings: str, kept: str) -> str:
    """`settings` with what a Sentinel has learnt in `kept`.

    The settings carry a line `quorum N`, which is no Sentinel setting: it replaces the one in the line that names the
    leader, because that is the only place where Sentinel takes it from.
    """
    lines = settings.splitlines()
    quorum = next(line.split()[1] for line in lines if line.startswith("quorum "))
    plain = [line for line in lines if not line.startswith(("quorum ", "sentinel "))]
    of_leader = [line for line in lines if line.startswith("sentinel ") and not line.startswith("sentinel myid")]
    myid = [line for line in lines if line.startswith("sentinel myid")]
    learnt = [line for line in kept.splitlines() if line.startswith(LEARNT)]
    monitor = [" ".join([*line.split()[:5], quorum]) for line in learnt if line.startswith("sentinel monitor")]
    # A leader that was found anew may be among the replicas that were known.
    leads = [line.split()[3] for line in monitor]
    learnt = [line for line in learnt if not (line.startswith("sentinel known-replica") and line.split()[3] in leads)]
    rest = [line for line in learnt if not line.startswith("sentinel monitor")]
    # Settings name a leader that the monitor line must have introduced.
    return "\n".join([*plain, *myid, *monitor, *of_leader, *rest]) + "\n"


def believable(kept: str, known: Known, *, now: int) -> str:
    """What a Sentinel has learnt, without what only a forged greeting can have told it.

    A forged epoch of its own becomes `now` (seconds since 1970): above all that any election gave, also those of which
    a Sentinel that is away knows. The leader that came with a forged epoch may be forged too.
    """
    lines = [line.split() for line in kept.splitlines()]
    leader_is_true = all(_may_be_leader(words, known) for words in lines)
    true = [words for words in lines if _may_be_true(words, known, leader_is_true=leader_is_true)]
    if len(true) == len(lines):
        return kept
    if not any(words[:2] == ["sentinel", "current-epoch"] for words in true):
        true.append(["sentinel", "current-epoch", str(now)])
    return "".join(" ".join(words) + "\n" for words in true)


def _may_be_leader(words: list[str], known: Known) -> bool:
    match words:
        case ["sentinel", "monitor", _, address, port, *_]:
            return known.is_data(address, port)
        case ["sentinel", "config-epoch", _, epoch]:
            return int(epoch) < ABSURD_EPOCH
    return True


def _may_be_true(words: list[str], known: Known, *, leader_is_true: bool) -> bool:
    match words:
        case ["sentinel", "monitor" | "config-epoch", *_]:
            return leader_is_true
        case ["sentinel", "known-replica", _, address, port]:
            return known.is_data(address, port)
        case ["sentinel", "known-sentinel", _, address, port, *_]:
            return known.is_sentinel(address, port)
        case ["sentinel", "current-epoch", epoch] | ["sentinel", "leader-epoch", _, epoch]:
            return int(epoch) < ABSURD_EPOCH
    return True


def _known(identity: Identity, kept: str) -> Known:
    """Who there is. What the bucket told is awaited only where the leader is no slot: it may be of a newer layout."""
    known = Known(identity)
    leaders = [words[3:5] for words in map(str.split, kept.splitlines()) if words[:2] == ["sentinel", "monitor"]]
    while not all(known.is_data(*leader) for leader in leaders):
        try:
            known.deployed = frozenset(told.members().values())
            break
        except Exception as error:
            say(f"its Sentinel's leader is no slot, and which nodes there are cannot be read yet: {error}")
            time.sleep(RETRY)
    return known


def _first_leader(identity: Identity, known: Known, *, forged: bool) -> str:
    """Lines of configuration: whom a Sentinel monitors that knows no leader, or only a forged one.

    Others may believe in the forged one too, and greet with it: so who leads, or led last, gets an epoch that none of
    them has.
    """
    leader, epoch = (_leader(known), int(time.time())) if forged else (None, 0)
    if leader is None:
        leader, epoch = FIRST_LEADER.read_text(encoding="utf-8"), 0
    name = identity.environment
    return f"sentinel monitor {name} {leader} {identity.redis_port} 1\nsentinel config-epoch {name} {epoch}\n"


def _leader(known: Known) -> str | None:
    try:
        leader = told.leader()
    except Exception as error:
        say(f"who leads, or led last, cannot be read: {error}")
        return None
    return leader if leader in known.data() else None


def _monitor(config: str) -> str | None:
    return next((line.split()[3] for line in config.splitlines() if line.startswith("sentinel monitor ")), None)
