"""What a rule is: one small function over the facts, with a name, a severity and a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from holdfast.ops.review.facts import Facts
from holdfast.topology.risks import Risk


class Severity(StrEnum):
    BLOCKING = "blocking"
    """Stops the change, unless the environment file overrides it."""
    CAUTION = "caution"
    """A reviewer should know it."""


@dataclass(frozen=True)
class Hit:
    """One place where a rule holds. `where` is a construct path, or empty for the environment as a whole."""

    where: str
    sentence: str


Check = Callable[[Facts], Iterator[Hit]]


@dataclass(frozen=True)
class Rule:
    name: str
    severity: Severity
    reason: str
    """Why it matters, in one sentence."""
    check: Check


def blocking(risk: Risk, reason: str) -> Callable[[Check], Rule]:
    return lambda check: Rule(risk.value, Severity.BLOCKING, reason, check)


def caution(name: str, reason: str) -> Callable[[Check], Rule]:
    return lambda check: Rule(name, Severity.CAUTION, reason, check)
