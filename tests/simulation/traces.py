"""What Sentinels say while a leader is replaced, in order and with times: of real ones, kept, and of their model.

`record.py` keeps traces of real ones. A trace is what the three Sentinels of a `compact` cluster said of their leader,
from the first word on; who said it is told by the place beside the leader, not by address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from pathlib import Path

from tests.simulation.site import Site, simulated

FILE = Path(__file__).with_name("traces.json")

TOLD = frozenset(
    {
        *("+sdown", "+odown", "+try-failover", "+vote-for-leader", "+elected-leader"),
        *("+selected-slave", "+failover-state-send-slaveof-noone", "+promoted-slave", "+failover-end"),
        *("+failover-end-for-timeout", "-failover-abort-not-elected", "-failover-abort-no-good-slave"),
        *("-failover-abort-slave-timeout", "+config-update-from", "+switch-master"),
    }
)
"""Of all that Sentinels say, what tells how a leader is replaced."""

MISSED = frozenset({"+sdown", "+odown"})
RETURNS = frozenset({"Redis killed", "Redis and node program killed"})
"""Where Redis is back at once: whether a Sentinel misses it before is a matter of Redis, not of Sentinels."""

OF_OTHERS = re.compile(r"[+-]sdown (slave|sentinel) ")

PLACES = ("leader", "first", "second")
"""`leader`: the Sentinel beside the leader that is lost; `first`, `second`: the others, by their slots."""

SLACK = 0.5
"""Seconds by which real ones may differ: those that are kept were recorded on two cores that had much else to do."""

ASKED_EVERY = 1.0
"""Seconds between two questions to a replica while a leader is replaced. The last step, `+failover-end`, waits for the
answer of one; whether it has just been asked is a matter of milliseconds."""

WATCHED = 20.0
"""Seconds after the fault for which they are listened to: until who was away is back, and knows the new leader."""


@dataclass(frozen=True)
class Word:
    at: float
    """Seconds after the first word of the trace."""
    who: str
    """One of `PLACES`."""
    what: str
    """The name of the event."""


@dataclass(frozen=True)
class Trace:
    fault: str
    redis: str
    """The version of the real ones; empty for the model."""
    words: tuple[Word, ...]

    def of(self, who: str) -> tuple[str, ...]:
        """What that one said, in order."""
        return tuple(word.what for word in self.words if word.who == who)

    def steps(self) -> dict[str, float]:
        """When each event came first, whoever said it; and when both that were not lost had the new leader."""
        found: dict[str, float] = {}
        for word in self.words:
            found.setdefault(word.what, word.at)
        switched = [word.at for word in self.words if word.what == "+switch-master" and word.who != PLACES[0]]
        return found | ({"both have switched": max(switched)} if switched else {})


def trace(fault: str, redis: str, said: Iterable[tuple[float, str, str]]) -> Trace:
    """`said`: when, who and what, with all that comes after the name of an event."""
    told = TOLD - MISSED if fault in RETURNS else TOLD
    kept = [
        (at, who, text.split()[0])
        for at, who, text in sorted(said, key=lambda one: one[0])
        if text.split()[0] in told and not OF_OTHERS.match(text)
    ]
    return Trace(fault, redis, tuple(Word(round(at - kept[0][0], 3), who, what) for at, who, what in kept))


def places(leader: str, slots: Iterable[str]) -> dict[str, str]:
    """Node, by whatever name → its place beside this leader."""
    return {leader: "leader"} | dict(zip((one for one in slots if one != leader), PLACES[1:], strict=True))


# Freezes, cuts and absences last for as long here as there.
FAULTS: dict[str, Callable[[Site, str], None]] = {
    "Redis killed": lambda site, leader: site.kill(leader, "redis"),
    "Redis and node program killed": lambda site, leader: site.kill(leader, "redis", "node"),
    "Redis frozen for 5 s": lambda site, leader: site.freeze(leader, "redis", seconds=5),
    "power cut for 8 s": lambda site, leader: site.power_cut(leader, seconds=8),
    "isolated for 8 s": lambda site, leader: site.isolate(leader, seconds=8),
}


def played(fault: str, seed: int) -> Trace:
    """What the model says of it."""
    with simulated(seed, "compact", minimum=1, persists=True) as site:
        if not site.settle(60) or (leader := site.leader()) is None:
            raise AssertionError(f"seed {seed}: nobody leads")
        site.run(3 + site.world.random.uniform(0, 2))
        place, struck = places(leader, site.addresses), site.world.now
        FAULTS[fault](site, leader)
        site.run(WATCHED)
        said = [
            (at, place[who.removeprefix("sentinel ")], what)
            for at, who, what in site.world.story
            if at >= struck and who.startswith("sentinel ")
        ]
    return trace(fault, "", said)


def differences(real: Trace, models: Sequence[Trace]) -> Iterator[str]:
    """What of this trace none of the model's have: words, their order, the time between the steps."""
    for who in PLACES:
        said, known = real.of(who), [model.of(who) for model in models]
        always, ever = set.intersection(*map(set, known)), set[str]().union(*known)
        yield from (f"{who}: {what}, which the model never says" for what in sorted(set(said) - ever))
        yield from (f"{who}: no {what}, which the model always says" for what in sorted(always - set(said)))
        for one, other in permutations(sorted(always & set(said)), 2):
            in_order = all(model.index(one) < model.index(other) for model in known)
            if in_order and said.index(one) > said.index(other):
                yield f"{who}: {other} before {one}"
    steps, by_model = real.steps(), [model.steps() for model in models]
    for one, other in permutations(sorted(set(steps).intersection(*by_model)), 2):
        spans = [model[other] - model[one] for model in by_model]
        took, slack = steps[other] - steps[one], SLACK + ASKED_EVERY * ("+failover-end" in (one, other))
        if min(spans) >= 0 and not min(spans) - slack <= took <= max(spans) + slack:
            yield f"from {one} to {other}: {took:.2f} s; the model: {min(spans):.2f} to {max(spans):.2f} s"


def kept() -> list[Trace]:
    """Those of real Sentinels."""
    return [
        Trace(one["fault"], one["redis"], tuple(Word(*word) for word in one["words"]))
        for one in json.loads(FILE.read_text(encoding="utf-8"))
    ]


def keep(traces: Iterable[Trace]) -> None:
    shown = [
        {"fault": one.fault, "redis": one.redis, "words": [list(asdict(word).values()) for word in one.words]}
        for one in traces
    ]
    FILE.write_text("[\n" + ",\n".join(map(json.dumps, shown)) + "\n]\n", encoding="utf-8")
