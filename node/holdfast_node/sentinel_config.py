"""Sentinel's configuration: the settings come from the machine's user-data, what Sentinel has learnt stays.

Sentinel writes its votes and epochs into its configuration file. It is kept on the data volume, so that a replaced
machine does not forget that it has voted, and only its settings are renewed. What a forged greeting made it learn is
not kept: strangers, a leader that is no node, and epochs that no election gave (see known.py).

It runs as Sentinel does, which may not call the cloud: what the bucket tells it reads from files of the node program.
"""

from __future__ import annotations

import re
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

MONITOR = 6
"""Words of the line that names a leader."""

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
    kept = KEPT.read_text(encoding="utf-8", errors="replace") if KEPT.is_file() else ""
    known = _known(identity, kept)
    learnt = believable(kept, known, now=int(time.time()))
    if learnt != kept:
        say("a forged greeting had reached its Sentinel: keeps of what that has learnt only what can be true")
    outvoted = told.outvoted()
    if outvoted and _names(learnt, outvoted):
        say(f"its Sentinel named {outvoted.leader}, and a majority {outvoted.instead}: begins with that one")
        learnt = _with_leader_of_majority(learnt, identity, outvoted)
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
    true = _once([words for words in lines if _may_be_true(words, known, leader_is_true=leader_is_true)])
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
            return _epoch(epoch) < ABSURD_EPOCH
    return True


def _may_be_true(words: list[str], known: Known, *, leader_is_true: bool) -> bool:
    """Also of what no Sentinel wrote: it would not start with it."""
    match words:
        case ["sentinel", "monitor", name, _, _, _] | ["sentinel", "config-epoch", name, _]:
            return leader_is_true and name == known.environment
        case ["sentinel", "known-replica", name, address, port]:
            return name == known.environment and known.is_data(address, port)
        case ["sentinel", "known-sentinel", name, address, port, _]:
            return name == known.environment and known.is_sentinel(address, port)
        case ["sentinel", "leader-epoch", name, epoch]:
            return name == known.environment and _epoch(epoch) < ABSURD_EPOCH
        case ["sentinel", "current-epoch", epoch]:
            return _epoch(epoch) < ABSURD_EPOCH
    return not " ".join(words).startswith(LEARNT)


def _once(lines: list[list[str]]) -> list[list[str]]:
    """Without what is learnt of somebody a second time: Sentinel would not start with it."""
    first = dict[str | int, list[str]]()
    for number, words in enumerate(lines):
        first.setdefault(_about(words) or number, words)
    return list(first.values())


def _about(words: list[str]) -> str:
    """What that line tells of; nothing where it is none of what is learnt."""
    if not " ".join(words).startswith(LEARNT):
        return ""
    return " ".join(words[:5] if words[1].startswith("known-") else words[:2])


def _epoch(text: str) -> int:
    """What is no number is no election's."""
    return int(text) if re.fullmatch("[0-9]{1,20}", text) else ABSURD_EPOCH


def _known(identity: Identity, kept: str) -> Known:
    """Who there is. What the bucket told is awaited only where the leader is no slot: it may be of a newer layout."""
    known = Known(identity)
    lines = [line.split() for line in kept.splitlines()]
    while not all(_may_be_leader(words, known) for words in lines if words[:2] == ["sentinel", "monitor"]):
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
    return _monitors(identity, leader, epoch)


def _monitors(identity: Identity, leader: str, epoch: int) -> str:
    name = identity.environment
    return f"sentinel monitor {name} {leader} {identity.redis_port} 1\nsentinel config-epoch {name} {epoch}\n"


def _names(config: str, outvoted: told.Outvoted) -> bool:
    """Whether it still is so: it may have learnt of a newer leader since."""
    epochs = [line.split()[-1] for line in config.splitlines() if line.startswith("sentinel config-epoch ")]
    return _monitor(config) == outvoted.leader and epochs == [str(outvoted.epoch)]


def _with_leader_of_majority(config: str, identity: Identity, outvoted: told.Outvoted) -> str:
    """Its leader becomes a replica, as when Sentinel itself changes it. The epoch stays: with a lower one, it would
    adopt the leader of any other Sentinel that dissents."""
    leader = ("sentinel monitor ", "sentinel config-epoch ")
    rest = "".join(f"{line}\n" for line in config.splitlines() if not line.startswith(leader))
    replica = f"sentinel known-replica {identity.environment} {outvoted.leader} {identity.redis_port}\n"
    more = "" if replica in rest else replica
    return rest + more + _monitors(identity, outvoted.instead, outvoted.epoch)


def _leader(known: Known) -> str | None:
    try:
        leader = told.leader()
    except Exception as error:
        say(f"who leads, or led last, cannot be read: {error}")
        return None
    return leader if leader in known.data() else None


def _monitor(config: str) -> str | None:
    monitors = [line.split() for line in config.splitlines() if line.startswith("sentinel monitor ")]
    return next((words[3] for words in monitors if len(words) == MONITOR), None)
