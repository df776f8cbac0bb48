"""A new test stack: the environment that it is like, under a reserved name and in a network of its own, for a while."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network
from typing import Any

from holdfast import spans
from holdfast.errors import HoldfastError
from holdfast.topology import Environment, names
from holdfast.topology.spec import LABEL, NO_DOMAIN, NO_FLOATING, TEST_PREFIX, instant

POOL = IPv4Network("10.128.0.0/9")
PREFIX = 20
"""Room for every layout, 2048 times in the pool."""

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=7)

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
"""What is left of an environment's 20 characters behind the prefix."""


class UsageError(HoldfastError):
    """An argument of no use."""

    exit_code = 2


@dataclass(frozen=True)
class Wish:
    """What is asked for. All of it is decided once: it becomes the file, and so the tags."""

    name: str
    owner: str
    run: str
    decided: datetime
    lifetime: timedelta

    @property
    def expires(self) -> datetime:
        return self.decided + self.lifetime


def full_name(name: str) -> str:
    """The environment's name: `NAME` is given with the reserved prefix or without.

    Raises:
        UsageError: no environment can have it.
    """
    short = name.removeprefix(TEST_PREFIX)
    if not NAME.fullmatch(short):
        raise UsageError(f"test stack {name}: accepted: 1 to 15 of a-z, 0-9 and -, not - at an end")
    return TEST_PREFIX + short


def lifetime(text: str) -> timedelta:
    """`90m`, `4h` or `2d`.

    Raises:
        UsageError: something else, or too short, or too long.
    """
    span = spans.parse(text)
    if span is None or not SHORTEST <= span <= LONGEST:
        raise UsageError(f"--ttl {text}: accepted: from 1m to 7d, as 90m, 4h or 2d")
    return span


def label(option: str, text: str) -> str:
    """A value that fits into a tag.

    Raises:
        UsageError: it does not.
    """
    if not re.fullmatch(LABEL, text):
        raise UsageError(
            f"{option} {text!r}: accepted: 1 to 64 of letters, digits, . _ @ and -, no sign at its beginning"
        )
    return text


def content(source: Environment, wish: Wish, taken: Collection[IPv4Network]) -> dict[str, Any]:
    """The new environment's file. `taken`: networks that its own must not overlap.

    Raises:
        UsageError: the source is a test stack itself.
    """
    if source.teststack is not None:
        raise UsageError(f"--from {source.name}: found a test stack; accepted: an environment of environments/")
    made: dict[str, Any] = json.loads(
        source.model_dump_json(exclude_none=True, exclude={"review", "teststack", "backup"})
    )
    made |= {
        "name": wish.name,
        "teststack": {"source": source.name, "owner": wish.owner, "run": wish.run, "expires": instant(wish.expires)},
        "protected": False,
    }
    network = str(free_network(wish.name, [*taken, *source.network.peered]))
    # Where the source's own network is listed among clients, its own is meant; the internet is not let in.
    listed = [cidr for cidr in source.network.clients if cidr not in source.network.public_clients]
    clients = [network if cidr == source.network.cidr else str(cidr) for cidr in listed]
    made["network"] |= {"cidr": network, "clients": clients, "public": False}
    made["network"].pop("vpc", None)
    # Of its own, by its name, where the source has them.
    for key, none in (("domain", NO_DOMAIN), ("floating", NO_FLOATING)):
        if made["network"].get(key) != none:
            made["network"].pop(key, None)
    # A bucket's name is unique in the world, and not free at once when a bucket is gone.
    made["cloud"]["suffix"] = hashlib.sha256(f"{wish.name}/{wish.run}".encode()).hexdigest()[:8]
    # What bounds the source's machines lets them reach what is the source's, and nothing else.
    made["cloud"].pop("permissions_boundary", None)
    # Its own say who has it and what for.
    own = {tag.lower() for tag in names.TESTSTACK_TAGS}
    made["tags"] = {tag: value for tag, value in source.tags.items() if tag.lower() not in own}
    made["redis"]["memory"] = f"{source.redis.memory}MB"
    return made


def free_network(name: str, taken: Iterable[IPv4Network]) -> IPv4Network:
    """One of the pool that overlaps none of `taken`: the first from a place that the name chooses.

    So two machines that know nothing of each other choose different ones.

    Raises:
        HoldfastError: there is none.
    """
    size = 2 ** (32 - PREFIX)
    count = POOL.num_addresses // size
    first = int(hashlib.sha256(name.encode()).hexdigest(), 16) % count
    occupied = list(taken)
    for step in range(count):
        start = POOL.network_address + (first + step) % count * size
        network = IPv4Network((start, PREFIX))
        if not any(network.overlaps(other) for other in occupied):
            return network
    raise HoldfastError(f"{name}: every /{PREFIX} of {POOL} overlaps a network that there is; take down a test stack")
