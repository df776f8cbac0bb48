"""What IAM takes of one managed policy, and how statements are put into as few of these as hold them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from holdfast.errors import HoldfastError

Document = dict[str, Any]
Statement = dict[str, Any]

LIMIT = 6144
"""Characters of a managed policy, whitespace aside: IAM user guide, "IAM and AWS STS quotas"."""

ATTACHED = 10
"""Managed policies that a role may have, until AWS grants more."""


def allow(sid: str, actions: list[str], resource: list[str], condition: Statement | None = None) -> Statement:
    made = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
    return made if condition is None else {**made, "Condition": condition}


def document(*statements: Statement) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def length(policy: Document) -> int:
    """As IAM counts: no value of ours has a blank."""
    return len(json.dumps(policy, separators=(",", ":")))


def pack(statements: Iterable[Statement]) -> list[Document]:
    """In their order of size, each into the first policy with room.

    Raises:
        HoldfastError: a statement alone is too long, or there are more policies than a role may have.
    """
    packed: list[list[Statement]] = []
    for statement in sorted(statements, key=lambda it: -length(it)):
        if length(document(statement)) > LIMIT:
            raise HoldfastError(
                f"the statement {statement['Sid']} has {length(document(statement)):,} characters; accepted: {LIMIT:,}"
            )
        room = (policy for policy in packed if length(document(*policy, statement)) <= LIMIT)
        fitting = next(room, None)
        if fitting is None:
            packed.append([statement])
        else:
            fitting.append(statement)
    if len(packed) > ATTACHED:
        raise HoldfastError(f"{len(packed)} policies; accepted: {ATTACHED} of a role")
    return [document(*policy) for policy in packed]
