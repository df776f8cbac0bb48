"""What a test that is `timed` may say of its figures: beside the other lane, an outage can be the busy host's own.

Such a test is run once more, and what it measures then counts. It is so too where too many nodes led one after the
other, and where a slow command ended sessions: a node program that gets no time sees a longer silence. Nothing else is:
a lost write, or two leaders at once, fails at the first time. Tails are measured with nothing beside (`make soak`).
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.drill.checker import Verdict


class Disturbed(AssertionError):
    """It did the right thing, and took longer, or did it oftener, than it may."""


def in_time(verdict: Verdict, limit: float, *, leaders: int | None = None) -> None:
    """`limit`: seconds of outage. `leaders`: how many acknowledged writes, one after the other.

    Raises:
        Disturbed: one of them is exceeded.
    """
    if verdict.outage > limit:
        raise Disturbed(f"{verdict.outage:.2f} s without an acknowledged write; accepted: {limit:g} s")
    if leaders is not None and len(verdict.leaders) != leaders:
        raise Disturbed(f"{len(verdict.leaders)} acknowledged writes, one after the other; accepted: {leaders}")


def nothing(objections: Sequence[str]) -> None:
    """
    Raises:
        Disturbed: there is one.
    """
    if objections:
        raise Disturbed("; ".join(objections))
