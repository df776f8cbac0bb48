"""The node program in simulated clusters that are broken: no real time, no sockets (tests/simulation)."""

from __future__ import annotations

import pytest

from tests.simulation.schedule import draw, play
from tests.simulation.site import Site, simulated


@pytest.mark.parametrize("seed", range(8))
def test_a_schedule(seed: int) -> None:
    """As they come; a seed that ever fails becomes a named one below."""
    _hold(seed)


def test_a_program_that_was_just_restarted_asks_for_no_second_failover() -> None:
    """It asked at the moment of the Sentinels' own election: two were promoted, and three writes lost."""
    _hold(2093)


def test_a_sentinel_that_has_just_begun_is_no_majority() -> None:
    """It knew nobody yet: a leader that was cut off just then stayed open at its own gateway."""
    _hold(38)


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_command_ends_nobodys_session(seed: int) -> None:
    with simulated(seed, 3, minimum=1, persists=True) as site:
        leader = _settled(site)
        before = _ended(site)
        site.freeze(leader, "redis", seconds=0.5)
        site.run(5)
        assert (site.leader(), _ended(site)) == (leader, before)
        assert _longest_pause(site, since=site.world.now - 5) < 1.0


@pytest.mark.parametrize("seed", range(5))
def test_busy_replicas_do_not_stop_writes(seed: int) -> None:
    """All of them, for ten seconds, though the leader takes no writes without a replica that follows it."""
    with simulated(seed, 3, minimum=1, persists=True) as site:
        leader = _settled(site)
        for address in site.addresses:
            if address != leader:
                site.freeze(address, "redis", seconds=10)
        site.run(12)
        assert site.leader() == leader
        assert _longest_pause(site, since=site.world.now - 12) < 1.0


@pytest.mark.parametrize("seed", range(5))
def test_a_leader_that_is_cut_off_refuses_the_writes_of_those_who_come_to_it_directly(seed: int) -> None:
    with simulated(seed, 3, minimum=1, persists=True) as site:
        leader = _settled(site)
        redis = site.nodes[leader].redis
        assert redis is not None
        assert redis.max_lag == 30
        site.isolate(leader, seconds=60)
        site.run(3.5)
        assert redis.good_replicas() == 0


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


def _hold(seed: int) -> None:
    played = play(draw(seed))
    story = "\n".join(f"{when:8.3f}  {who:22} {what}" for when, who, what in played.story)
    assert played.problems == (), f"seed {seed}:\n{story}"
