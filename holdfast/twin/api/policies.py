"""IAM policies, evaluated as AWS does: nothing is allowed that no statement allows, and one that denies wins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import HoldfastError

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Need:
    """One permission that a call takes. `context`: condition key → value, of those that the call has."""

    action: str
    """As `s3:GetObject`."""
    resource: str
    """An ARN; `*` where the action knows none."""
    context: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


@dataclass(frozen=True, order=True)
class Grant:
    """By which words of which statement something is allowed."""

    sid: str
    action: str
    resource: str


def grant(policies: Iterable[Policy], need: Need) -> Grant | None:
    """What allows `need`; None when nothing does, or something denies it.

    Raises:
        HoldfastError: a policy has a condition that is not known here.
    """
    found: Grant | None = None
    for effect, granted in _matching(policies, need):
        if effect == "Deny":
            return None
        found = found or granted
    return found


def denied_by(policy: Policy, need: Need) -> str | None:
    """The Sid of the statement of a bucket's policy that denies `need` to its caller, whose ARN is in the context.

    None where none does. One without a Sid is called `Deny`.

    Raises:
        HoldfastError: a statement has a condition that is not known here.
    """
    for statement in _statements([policy]):
        if (
            statement["Effect"] == "Deny"
            and _is_about(statement["Principal"], need.context.get(CALLER, ""))
            and _takes_action(statement, need.action)
            and _first_like(statement["Resource"], need.resource)
            and _holds(statement.get("Condition", {}), need.context)
        ):
            return str(statement.get("Sid", "Deny"))
    return None


CALLER = "aws:PrincipalArn"


def _is_about(principal: Any, caller: str) -> bool:
    """`*`, or ARNs of accounts' users and roles. Those of services never call here."""
    named = principal if isinstance(principal, str) else principal.get("AWS", [])
    return any(one in ("*", caller) for one in _list(named))


def _takes_action(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return _first_like(statement["NotAction"], action) is None
    return _first_like(statement["Action"], action) is not None


def grants(policies: Iterable[Policy]) -> set[Grant]:
    """All that policies allow, word by word."""
    return {
        Grant(statement["Sid"], action, resource)
        for statement in _statements(policies)
        if statement["Effect"] == "Allow"
        for action in _list(statement["Action"])
        for resource in _list(statement["Resource"])
    }


def _matching(policies: Iterable[Policy], need: Need) -> Iterator[tuple[str, Grant]]:
    for statement in _statements(policies):
        action = _first_like(statement["Action"], need.action)
        resource = _first_like(statement["Resource"], need.resource)
        if action and resource and _holds(statement.get("Condition", {}), need.context):
            yield statement["Effect"], Grant(statement["Sid"], action, resource)


def _statements(policies: Iterable[Policy]) -> Iterator[Mapping[str, Any]]:
    for policy in policies:
        yield from _list(policy["Statement"])


def _list(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def _first_like(patterns: Any, text: str) -> str | None:
    return next((pattern for pattern in _list(patterns) if _like(pattern, text)), None)


def _like(pattern: str, text: str) -> bool:
    """`*` is any text, `?` any character."""
    plain = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(plain, text, re.DOTALL) is not None


def _equal(wanted: str, found: str) -> bool:
    return wanted == found


NULL = "Null"
"""Asks whether the call has no such key: `true` or `false`."""

OF_ALL = "ForAllValues:StringLike"
"""Of a key that may have several values: a `Need` has one of them. It holds where there is none."""

OPERATORS = {"StringEquals": _equal, "Bool": _equal, "StringLike": _like, "ArnLike": _like, OF_ALL: _like}


def _holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    """All of it. But for `Null` and `OF_ALL`, a key that the call does not have holds for nothing."""
    for operator, keys in condition.items():
        if operator != NULL and operator not in OPERATORS:
            raise HoldfastError(f"the twin knows no condition {operator}; known: {', '.join([*OPERATORS, NULL])}")
        for key, values in keys.items():
            if not any(_meets(operator, value, context.get(key)) for value in _list(values)):
                return False
    return True


def _meets(operator: str, wanted: str, found: str | None) -> bool:
    if operator == NULL:
        return wanted == ("true" if found is None else "false")
    if found is None:
        return operator == OF_ALL
    return OPERATORS[operator](wanted, found)
