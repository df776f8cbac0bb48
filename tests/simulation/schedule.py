"""What is broken, and when: rounds of one hard fault each, with small ones beside it; and what must hold afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from tests.simulation.clients import SELDOM, Writer
from tests.simulation.faults import APART, AT_HOLDER, AT_LEADER, HARD, OFTEN, PAIR_MOVES_WITHIN, SMALL
from tests.simulation.floating_model import API_PATIENCE
from tests.simulation.planned import CALM, CHANGEABLE, CHANGES, HANDOVERS, TWO_COPIES
from tests.simulation.redis_model import QUICK_RESYNC, SLOW_RESYNC
from tests.simulation.site import DATA, GATEWAY, LAYOUTS, Site, simulated

REGRESSIONS = Path(__file__).with_name("regressions.json")

HEALED_WITHIN = 60.0
"""Seconds after the last fault has ended in which one leader must be open at every gateway, and all must follow it."""

AGREED_WITHIN = 45.0
"""The same for every Sentinel to name it: one that learnt of two in the same epoch begins anew after a while."""

FORGOTTEN_WITHIN = 300.0
"""The same for those that were taken out to be forgotten: after half a minute by one Sentinel, then by the next one."""

HANDED_OVER_WITHIN, CALMLY_WITHIN = 45.0, 5.0
"""Seconds for a handover, whatever comes of it; and for one with nothing beside it, which must succeed."""

CUT_OFF = 1.0
"""Seconds without an answer, at most, for an application during a handover with nothing beside it."""

ON_WITHIN = 5.0
"""Seconds in which every application must write again once all is well."""

PLANNED, CHANGED, OF_PAIR = 0.2, 0.03, 0.2
"""How often a round is a handover, a change of the machines, or a fault of the floating pair's holder."""

APART_LASTS = 8.0
"""Seconds until a gateway that is of no use gives the floating pair back to one that it does not hear."""

MOVES = 6
"""How often each route is moved within a minute, at most, by gateways that are cut off from each other."""

EVENTS = {**HARD, **HANDOVERS, **CHANGES, **AT_HOLDER}

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
    floating: bool = False
    """Whether there is a floating pair."""


def draw(seed: int) -> Schedule:
    random = Random(seed)

    def small() -> Small:
        what = random.choice(list(SMALL))
        return Small(what, random.random() < 0.5, random.uniform(0, 1.5), random.uniform(0.1, 1.0))

    def event() -> str:
        drawn = random.random()
        if drawn < CHANGED:
            return random.choice([what for what in CHANGES if layout in CHANGEABLE or "members" not in what])
        if floating and drawn > 1 - OF_PAIR:
            return random.choice((*AT_HOLDER, APART, APART, APART))
        return random.choice(handovers if drawn < CHANGED + PLANNED else hard)

    def round_() -> Round:
        what = event()
        calm = (what in CALM or what in AT_HOLDER) and random.random() < 0.6
        # Who loses the only copy that is left has lost it: everything is healed before that.
        return Round(
            pause=random.uniform(0.5, 4.0),
            hurried=random.random() < 0.5 and persists and what not in ("lost volume", *CHANGES) and not calm,
            what=what,
            at=(
                "leader"
                if what in AT_LEADER or what in HANDOVERS
                else "holder"
                if what in AT_HOLDER
                else random.choice(ANYWHERE)
            ),
            after=random.uniform(0, 1.0),
            lasts=random.choice(LASTS) * random.uniform(0.9, 1.1),
            small=() if calm else tuple(small() for _ in range(random.randint(1, 2))),
        )

    layout = random.choice(DRAWN)
    data, gateways = (sum(role in roles for roles in LAYOUTS[layout]) for role in (DATA, GATEWAY))
    floating = gateways > 1 and random.random() < 0.5
    minimum, persists = random.choice((0, min(data - 1, 1))), random.random() < 0.75
    # What is nowhere on disk does not survive a loss of power.
    hard = [what for what in (*HARD, *OFTEN) if persists or what != "restart the site"]
    handovers = [what for what in HANDOVERS if persists or what not in TWO_COPIES]
    resync = random.choice((QUICK_RESYNC, QUICK_RESYNC, SLOW_RESYNC))
    rounds = tuple(round_() for _ in range(random.randint(3, 6)))
    return Schedule(seed, layout, minimum, persists, resync, rounds, floating)


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
    with simulated(schedule.seed, schedule.layout, **how, floating=schedule.floating) as site:
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
            "holder": [site.holder() or next(iter(site.having(GATEWAY).values()))],
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
        calm = one.what in CALM and not one.small and not one.hurried and len(data) > 1
        before = Before.of(site)
        EVENTS[one.what](site, target, one.lasts)
        site.run(max(one.lasts, 1.5) + 1.0)
        world.forget_traps()
        if not site.wait(lambda: not any(handing.lasts for handing in site.handovers), HANDED_OVER_WITHIN):
            yield f"round {number}: a handover lasts for more than {HANDED_OVER_WITHIN:g} s"
            return
        if calm:
            yield from _of_a_calm_change(site, number, one.what, before)
        if one.what in AT_HOLDER and not one.small and not one.hurried:
            yield from _of_the_pair(site, number, one, before)
    yield from site.problems
    if not site.settle(HEALED_WITHIN):
        yield f"nobody leads, or not all follow, {HEALED_WITHIN:g} s after the last fault"
        return
    if not site.wait(lambda: not site.dissenting(), AGREED_WITHIN):
        yield f"{AGREED_WITHIN:g} s after all was well, Sentinels name others than the leader: {site.dissenting()}"
    yield from _of_those_gone(site)
    since = world.now
    everybody = [*_writers(site), *site.visitors]
    if not site.wait(lambda: all(_wrote(writer, since) for writer in everybody), ON_WITHIN):
        yield f"not every application writes again, {ON_WITHIN:g} s after all was well"
    yield from _of_the_settings(site)
    yield from _of_the_writes(site)


@dataclass(frozen=True)
class Before:
    """How it was before something planned."""

    at: float
    handovers: int
    written: frozenset[int]
    """What its leader had."""
    boots: dict[str, int]

    @staticmethod
    def of(site: Site) -> Before:
        redis = site.nodes[site.leader() or site.addresses[0]].redis
        written = frozenset(redis.writes) if redis else frozenset[int]()
        boots = {address: site.nodes[address].host.boots for address in site.addresses}
        return Before(site.world.now, len(site.handovers), written, boots)


def _of_a_calm_change(site: Site, number: int, what: str, before: Before) -> Iterator[str]:
    """What does not hold of a change with nothing beside it."""
    if not site.settle(HEALED_WITHIN):
        yield f"round {number}: nobody leads, or not all follow, for {HEALED_WITHIN:g} s after a {what} without a fault"
        return
    leader = site.leader()
    redis = site.nodes[leader].redis if leader else None
    assert redis is not None
    acknowledged = [
        one
        for writer in (*site.writers, *site.visitors, site.direct)
        for one in writer.acknowledged
        if one.at >= before.at
    ]
    lost = (before.written | {one.number for one in acknowledged}) - set(redis.writes)
    if lost:
        yield f"round {number}: {len(lost)} writes were lost by a {what}, and nothing else"
    handovers = [one for one in site.handovers[before.handovers :] if one.successor and one.ended is not None]
    if what in HANDOVERS and not any(one.ended - one.began <= CALMLY_WITHIN for one in handovers if one.ended):
        yield f"round {number}: a {what} with nothing beside it did not succeed within {CALMLY_WITHIN:g} s"
    # Where each write needs a replica, one that stops may leave none.
    serves = what in ("hand over", "hand over to a replica") or len(site.having(DATA)) - 2 >= site.minimum
    for writer in _writers(site) if serves else ():
        if writer.process.host.boots != before.boots.get(writer.process.host.address):
            continue
        longest = _longest_pause(writer, before.at, site.world.now)
        if longest > CUT_OFF:
            yield f"round {number}: an application was cut off for {longest:.2f} s by a {what}, and nothing else"


def _of_the_pair(site: Site, number: int, one: Round, before: Before) -> Iterator[str]:
    """What does not hold of the floating pair when something happened to its holder, and nothing else."""
    if not site.settle(HEALED_WITHIN):
        yield f"round {number}: nobody has the floating pair for {HEALED_WITHIN:g} s after: {one.what}"
        return
    longest = max(_longest_pause(visitor, before.at, site.world.now) for visitor in site.visitors)
    # Where each write needs a replica, the holder may be the only one.
    serves = len(site.having(DATA)) - 2 >= site.minimum or not set(site.having(GATEWAY)) & set(site.having(DATA))
    if serves and longest > PAIR_MOVES_WITHIN + _excused(one):
        yield f"round {number}: the floating pair led nowhere for {longest:.2f} s: {one.what}"
    assert site.tables is not None
    moves = sum(at >= before.at for at in site.tables.moved) / len(site.tables.elsewhere(""))
    if moves > MOVES * (1 + (site.world.now - before.at) / 60):
        yield f"round {number}: each route of the floating pair moved {moves:g} times: {one.what}"


def _excused(one: Round) -> float:
    """Seconds that it may take longer until the floating pair leads somewhere."""
    if one.what == APART:
        # Who took it finds after a while that it is of no use; the other one leaves it to it until it says so.
        return APART_LASTS
    # A call may have been under way, and one is tried again after five seconds at most.
    return one.lasts + API_PATIENCE + 5 if "silent" in one.what else 0.0


def _longest_pause(writer: Writer, since: float, until: float) -> float:
    """Seconds without an answer."""
    times = [since, *(one.at for one in writer.acknowledged if one.at >= since), until]
    return max(after - at for at, after in zip(times, times[1:], strict=False))


def _of_those_gone(site: Site) -> Iterator[str]:
    """What does not hold of nodes that were taken out."""
    if not site.gone:
        return
    for writer in (*site.writers, *site.visitors, site.direct):
        writer.every = SELDOM
    leader, deadline = site.leader(), site.world.now + FORGOTTEN_WITHIN
    while not site.forgotten():
        if site.world.now > deadline:
            yield f"who was taken out is not forgotten {FORGOTTEN_WITHIN:g} s after the last fault"
            return
        site.run(0.25)
        if site.leader() != leader:
            yield "while those that were taken out are forgotten, the leader changes or is closed"
            return


def _of_the_settings(site: Site) -> Iterator[str]:
    """What a handover leaves behind for good."""
    if _left_behind(site) and not site.wait(lambda: not _left_behind(site), HEALED_WITHIN):
        yield from _left_behind(site)


def _left_behind(site: Site) -> list[str]:
    found = []
    for address in site.having(DATA).values():
        redis = site.nodes[address].redis
        if redis and redis.settings["repl-ping-replica-period"] != "1":
            found.append(f"the Redis at {address} pings its replicas no more")
        if redis and not redis.leads and redis.settings["replica-priority"] == "1":
            found.append(f"the Redis at {address} still comes before all others")
    return found


def _writers(site: Site) -> list[Writer]:
    """Of the machines that there are."""
    return [writer for writer in site.writers if writer.process.host.address in site.addresses]


def _wrote(writer: Writer, since: float) -> bool:
    return bool(writer.acknowledged) and writer.acknowledged[-1].at > since


def _of_the_writes(site: Site) -> Iterator[str]:
    """What does not hold of what was acknowledged."""
    leader = site.leader()
    redis = site.nodes[leader].redis if leader else None
    assert redis is not None
    through = (*site.writers, *site.visitors)
    acknowledged = sorted((one for writer in through for one in writer.acknowledged), key=lambda one: one.at)
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
