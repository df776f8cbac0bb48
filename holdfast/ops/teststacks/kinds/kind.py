"""A kind of resource: how to find all that bear our tags, and how to remove one. Nothing here decides what may go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from holdfast.topology import names

Client = Any
"""Of boto3, which makes its classes at run time."""


class Stage(StrEnum):
    THERE = "there"
    GOING = "going"
    """The cloud is removing it: it needs time, and nothing else."""
    WAITING = "waiting"
    """In a waiting period that nobody can shorten; it costs nothing."""


@dataclass(frozen=True)
class Thing:
    """One resource, as its service tells of it."""

    id: str
    tags: Mapping[str, str]
    stage: Stage = Stage.THERE
    note: str = ""
    holders: tuple[str, ...] = ()
    """What it is attached to: when one of these stays, it stays too."""
    rides: bool = False
    """It cannot be removed by itself: it goes with what it is a part of."""


@dataclass(frozen=True)
class Kind:
    name: str
    service: str
    find: Callable[[Client], Iterator[Thing]]
    """Everything of the kind that has our project's tag, and perhaps more; what is gone for good is left out."""
    remove: Callable[[Client, Thing], None]
    """Raises `ClientError`, or `NotRemoved`. What needs time is asked for, not waited for."""
    prepare: Callable[[Client, Sequence[Thing]], None] | None = None
    """Before the first of several that hold one another is removed."""
    held_by: Callable[[Client, str], list[str]] | None = None
    """Ids of what is in it or uses it, to tell why it could not be removed."""
    everywhere: bool = field(default=False, kw_only=True)
    """One name space for all regions."""


class NotRemoved(Exception):
    """The service answered that all is well, and that it did not do it."""


OURS = [{"Name": "tag:Project", "Values": [names.PROJECT]}]
"""A filter of EC2."""


def pages(client: Client, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    """The items of every page of an answer."""
    if not client.can_paginate(operation):
        yield from getattr(client, operation)(**arguments)[key]
        return
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key, ())


def tags_of(listed: Sequence[Mapping[str, str]], key: str = "Key", value: str = "Value") -> dict[str, str]:
    return {tag[key]: tag[value] for tag in listed}


def batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def unless_gone(tags: Callable[[Client, str], Mapping[str, str]], client: Client, id: str) -> Mapping[str, str]:
    """A resource's tags; none where it went between being listed and being asked about."""
    try:
        return tags(client, id)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code.startswith("NoSuch") or "NotFound" in code:
            return {}
        raise


def check_done(answer: Mapping[str, Any]) -> None:
    """EC2 says of several things at once which were not removed, in an answer that is no error."""
    for one in answer.get("Unsuccessful", ()):
        raise NotRemoved(f"{one['Error']['Code']}: {one['Error']['Message']}")
