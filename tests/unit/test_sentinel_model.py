"""The model of the simulation says what real Sentinels say, in the same order, and takes as long (traces.json)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from tests.simulation import traces
from tests.simulation.traces import Trace, Word

SEEDS = range(16)

modelled = cache(lambda fault: [traces.played(fault, seed) for seed in SEEDS])


@pytest.mark.parametrize("fault", traces.FAULTS)
def test_real_sentinels_say_nothing_that_the_model_does_not(fault: str) -> None:
    real = [one for one in traces.kept() if one.fault == fault]
    assert len(real) >= 3
    assert [difference for one in real for difference in traces.differences(one, modelled(fault))] == []


def _mute(trace: Trace, what: str) -> Trace:
    return replace(trace, words=tuple(word for word in trace.words if word.what != what))


def _late(trace: Trace, what: str, seconds: float) -> Trace:
    """That word, and all that come after it."""
    start = next(word.at for word in trace.words if word.what == what)
    return replace(trace, words=tuple(replace(word, at=word.at + seconds * (word.at >= start)) for word in trace.words))


def _also(trace: Trace, what: str) -> Trace:
    last = trace.words[-1]
    return replace(trace, words=(*trace.words, Word(last.at, last.who, what)))


def _backwards(trace: Trace) -> Trace:
    return replace(trace, words=trace.words[::-1])


@pytest.mark.parametrize(
    ("altered", "found"),
    [
        (lambda trace: _mute(trace, "+odown"), "first: no +odown, which the model always says"),
        (
            lambda trace: _also(trace, "-failover-abort-not-elected"),
            "-failover-abort-not-elected, which the model never says",
        ),
        (_backwards, "first: +elected-leader before +vote-for-leader"),
        (lambda trace: _late(trace, "+elected-leader", 2), "from +try-failover to +elected-leader: "),
    ],
    ids=["a word less", "a word more", "another order", "a step later"],
)
def test_what_the_model_would_not_say_is_found(altered: Callable[[Trace], Trace], found: str) -> None:
    fault = "Redis frozen for 5 s"
    real = next(one for one in traces.kept() if one.fault == fault)
    differences = list(traces.differences(altered(real), modelled(fault)))
    assert any(found in difference for difference in differences), differences
