"""The node program in simulated clusters that are broken: no real time, no sockets (tests/simulation)."""

from __future__ import annotations

import pytest

from tests.simulation.schedule import draw, play


@pytest.mark.parametrize("seed", range(8))
def test_a_schedule(seed: int) -> None:
    """As they come; a seed that ever fails becomes a named one below."""
    _hold(seed)


def test_a_program_that_was_just_restarted_asks_for_no_second_failover() -> None:
    """It asked at the moment of the Sentinels' own election: two were promoted, and three writes lost."""
    _hold(2093)


def _hold(seed: int) -> None:
    played = play(draw(seed))
    story = "\n".join(f"{when:8.3f}  {who:22} {what}" for when, who, what in played.story)
    assert played.problems == (), f"seed {seed}:\n{story}"
