"""Overrides of a review's findings, as an environment file has them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from holdfast.topology.problems import Problem
from holdfast.topology.spec import Environment


def expired_overrides(environment: Environment, today: date) -> Iterator[Problem]:
    """Overrides that no longer count. No invariant: a file must not become unusable overnight, in an incident."""
    for index, override in enumerate(environment.review.overrides):
        if override.expires < today:
            yield Problem(
                f"review.overrides[{index}].expires",
                f"{override.expires}, which is past, for {override.rule}",
                "no such override, or a later date after looking again",
            )
