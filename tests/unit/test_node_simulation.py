"""The node program in simulated clusters that are broken: no real time, no sockets (tests/simulation)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.simulation.faults import APART
from tests.simulation.redis_model import QUICK_RESYNC
from tests.simulation.schedule import Round, Schedule, draw, dumps, loads, play, regressions
from tests.simulation.site import Site, simulated
from tests.simulation.undone import FIXES, PROGRAM, Fix, undone


@pytest.mark.parametrize("seed", range(8))
def test_a_schedule(seed: int) -> None:
    """As they come; one that ever fails is kept, with a name."""
    _hold(draw(seed))


@pytest.mark.parametrize("schedule", [pytest.param(kept, id=name) for name, kept in regressions().items()])
def test_what_failed_once_holds(schedule: Schedule) -> None:
    _hold(schedule)


@pytest.mark.parametrize("fix", FIXES, ids=lambda fix: fix.name)
def test_what_can_be_undone_is_there(fix: Fix, tmp_path: Path) -> None:
    """`python -m tests.simulation.undone` undoes it, to see whether the simulation notices."""
    without = undone(fix, tmp_path) / "holdfast_node"
    for module in fix.modules:
        text = (without / module).read_text()
        compile(text, module, "exec")
        assert text != (PROGRAM / module).read_text()


def test_a_schedule_is_kept_as_it_is() -> None:
    assert loads(json.loads(dumps(draw(3)))) == draw(3)


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_command_ends_nobodys_session(seed: int) -> None:
    with simulated(seed, "compact", minimum=1, persists=True) as site:
        leader = _settled(site)
        before = _ended(site)
        site.freeze(leader, "redis", seconds=0.5)
        site.run(5)
        assert (site.leader(), _ended(site)) == (leader, before)
        assert _longest_pause(site, since=site.world.now - 5) < 1.0


@pytest.mark.parametrize("seed", range(5))
def test_busy_replicas_do_not_stop_writes(seed: int) -> None:
    """All of them, for ten seconds, though the leader takes no writes without a replica that follows it."""
    with simulated(seed, "compact", minimum=1, persists=True) as site:
        leader = _settled(site)
        for address in site.addresses:
            if address != leader:
                site.freeze(address, "redis", seconds=10)
        site.run(12)
        assert site.leader() == leader
        assert _longest_pause(site, since=site.world.now - 12) < 1.0


@pytest.mark.parametrize("seed", range(5))
def test_a_leader_that_is_cut_off_refuses_the_writes_of_those_who_come_to_it_directly(seed: int) -> None:
    with simulated(seed, "compact", minimum=1, persists=True) as site:
        leader = _settled(site)
        redis = site.nodes[leader].redis
        assert redis is not None
        assert redis.max_lag == 30
        site.isolate(leader, seconds=60)
        site.run(3.5)
        assert redis.good_replicas() == 0


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("layout", ["compact", "tiered", "data and gateways"])
def test_gateways_that_do_not_hear_each_other_leave_the_floating_pair_to_one_that_can_write(
    layout: str, seed: int
) -> None:
    """Both are elected for a minute; the schedule's own invariants say how long it may lead nowhere, how often move."""
    apart = Round(1.0, False, APART, "holder", 0.1, 6.0, ())
    _hold(Schedule(seed, layout, 0, True, QUICK_RESYNC, (apart,), floating=True))


def _settled(site: Site) -> str:
    assert site.settle(60)
    site.run(2)
    leader = site.leader()
    assert leader is not None
    return leader


def _ended(site: Site) -> int:
    return sum(node.haproxy.shut_down for node in site.nodes.values() if node.haproxy)


def _longest_pause(site: Site, since: float) -> float:
    """Seconds in which none of the writers got an answer."""
    times = sorted(one.at for writer in site.writers for one in writer.acknowledged if one.at >= since)
    return max(after - before for before, after in zip([since, *times], [*times, site.world.now], strict=True))


def _hold(schedule: Schedule) -> None:
    played = play(schedule)
    story = "\n".join(f"{when:8.3f}  {who:22} {what}" for when, who, what in played.story)
    assert played.problems == (), f"{dumps(schedule)}:\n{story}"
