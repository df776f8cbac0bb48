"""What is broken, and when: rounds of one hard fault each, with small ones beside it; and what must hold afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from tests.simulation.faults import AT_LEADER, HARD, OFTEN, SMALL
from tests.simulation.redis_model import QUICK_RESYNC, SLOW_RESYNC
from tests.simulation.site import DATA, LAYOUTS, Site, simulated

REGRESSIONS = Path(__file__).with_name("regressions.json")

HEALED_WITHIN = 60.0
"""Seconds after the last fault has ended in which one leader must be open at every gateway, and all must follow it."""

LASTS = (0.3, 0.9, 1.1, 1.4, 2.5, 6.0)
"""Seconds of a hard fault, more or less: around what it takes to miss a leader, to elect, to give up."""

ANYWHERE = ("leader", "leader", "leader", "replica", "replica", "other")
"""Who is hit, as often as it is drawn."""

DRAWN = (*3 * ("compact",), *(name for name in LAYOUTS if name != "compact"))
"""Layouts as often as they are drawn."""


@dataclass(frozen=True)
class Small:
    what: str
    beside: bool
    """Whether it hits another node than the hard one does."""
    after: float
    """Seconds after the round has begun."""
    lasts: float


@dataclass(frozen=True)
class Round:
    pause: float
    """Seconds for which nothing else happens before it."""
    hurried: bool
    """Whether it comes before what the last one has broken is healed."""
    what: str
    at: str
    """`leader`, `replica`, or `other`: a machine without data, where there is one."""
    after: float
    lasts: float
    small: tuple[Small, ...]


@dataclass(frozen=True)
class Schedule:
    seed: int
    """Of the world; what is broken is drawn from it too."""
    layout: str
    minimum: int
    """`min-replicas-to-write`."""
    persists: bool
    resync: tuple[float, float]
    """Seconds that a full resync takes, at least and at most."""
    rounds: tuple[Round, ...]


def draw(seed: int) -> Schedule:
    random = Random(seed)

    def small() -> Small:
        what = random.choice(list(SMALL))
        return Small(what, random.random() < 0.5, random.uniform(0, 1.5), random.uniform(0.1, 1.0))

    def round_() -> Round:
        what = random.choice(hard)
        # Who loses the only copy that is left has lost it: everything is healed before that.
        return Round(
            pause=random.uniform(0.5, 4.0),
            hurried=random.random() < 0.5 and persists and what != "lost volume",
            what=what,
            at="leader" if what in AT_LEADER else random.choice(ANYWHERE),
            after=random.uniform(0, 1.0),
            lasts=random.choice(LASTS) * random.uniform(0.9, 1.1),
            small=tuple(small() for _ in range(random.randint(1, 2))),
        )

    layout = random.choice(DRAWN)
    data = sum(DATA in roles for roles in LAYOUTS[layout])
    minimum, persists = random.choice((0, min(data - 1, 1))), random.random() < 0.75
    # What is nowhere on disk does not survive a loss of power.
    hard = [what for what in (*HARD, *OFTEN) if persists or what != "restart the site"]
    resync = random.choice((QUICK_RESYNC, QUICK_RESYNC, SLOW_RESYNC))
    return Schedule(seed, layout, minimum, persists, resync, tuple(round_() for _ in range(random.randint(3, 6))))


def dumps(schedule: Schedule) -> str:
    return json.dumps(asdict(schedule))


def loads(kept: Mapping[str, Any]) -> Schedule:
    """What `dumps` has written, parsed."""
    rounds = tuple(Round(**one | {"small": tuple(Small(**small) for small in one["small"])}) for one in kept["rounds"])
    return Schedule(**{**kept, "resync": tuple(kept["resync"]), "rounds": rounds})


def regressions() -> dict[str, Schedule]:
    """What once failed, by a name that says how."""
    return {name: loads(kept) for name, kept in json.loads(REGRESSIONS.read_text()).items()}


@dataclass(frozen=True)
class Played:
    seconds: float
    """Simulated."""
    problems: tuple[str, ...]
    story: tuple[tuple[float, str, str], ...]


def play(schedule: Schedule) -> Played:
    how = {"minimum": schedule.minimum, "persists": schedule.persists, "resync": schedule.resync}
    made = simulated(schedule.seed, schedule.layout, **how)
    with made as site:
        problems = tuple(_play(site, schedule))
        return Played(site.world.now, problems, tuple(site.world.story))


def shrink(schedule: Schedule) -> Schedule:
    """Without what is not needed for a problem."""
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(schedule):
            if play(candidate).problems:
                schedule, smaller = candidate, True
                break
    return schedule


def _smaller(schedule: Schedule) -> Iterator[Schedule]:
    rounds = schedule.rounds
    for number, one in enumerate(rounds):
        if len(rounds) > 1:
            yield replace(schedule, rounds=rounds[:number] + rounds[number + 1 :])
        for index in range(len(one.small)):
            fewer = replace(one, small=one.small[:index] + one.small[index + 1 :])
            yield replace(schedule, rounds=(*rounds[:number], fewer, *rounds[number + 1 :]))


def _play(site: Site, schedule: Schedule) -> Iterator[str]:
    world = site.world
    for number, one in enumerate(schedule.rounds, 1):
        if not one.hurried and not site.settle(HEALED_WITHIN):
            yield f"before round {number}: nobody leads, or not all follow, for {HEALED_WITHIN:g} s without a fault"
            return
        site.run(one.pause)
        leader = site.leader() or site.addresses[0]
        data = set(site.having(DATA).values())
        at = {
            "leader": [leader],
            "replica": [address for address in site.addresses if address in data - {leader}],
            "other": [address for address in site.addresses if address not in data],
        }
        targets = at[one.at] or at["replica"] or at["leader"]
        target = targets[number % len(targets)]
        others = [address for address in (*reversed(at["replica"]), *at["other"], leader) if address != target]
        beside = others[0] if others else target
        world.tell("", f"round {number}: {one.what}")
        for small in one.small:
            address, do = (beside if small.beside else target), SMALL[small.what]
            world.later(small.after, None, lambda do=do, address=address, small=small: do(site, address, small.lasts))
        site.run(one.after)
        HARD[one.what](site, target, one.lasts)
        site.run(max(one.lasts, 1.5) + 1.0)
        world.forget_traps()
    if not site.settle(HEALED_WITHIN):
        yield f"nobody leads, or not all follow, {HEALED_WITHIN:g} s after the last fault"
        return
    yield from _of_the_writes(site)


def _of_the_writes(site: Site) -> Iterator[str]:
    """What does not hold of what was acknowledged."""
    leader = site.leader()
    redis = site.nodes[leader].redis if leader else None
    assert redis is not None
    acknowledged = sorted((one for writer in site.writers for one in writer.acknowledged), key=lambda one: one.at)
    present = set(redis.writes)
    lost = [one for one in acknowledged if one.copies >= 1 and one.number not in present]
    if lost:
        yield f"{len(lost)} writes that another node had acknowledged too were lost, the first of {lost[0].at:.3f} s"
    terms: dict[int, tuple[float, float]] = {}
    for one in acknowledged:
        began, _ = terms.get(one.term, (one.at, one.at))
        terms[one.term] = began, one.at
    doubled = [
        one
        for one in acknowledged
        if any(term > one.term and began < one.sent and one.at < ended for term, (began, ended) in terms.items())
    ]
    if doubled:
        yield f"{len(doubled)} writes were acknowledged beside a newer leader, the first at {doubled[0].at:.3f} s"
