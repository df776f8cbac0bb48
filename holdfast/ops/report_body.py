"""The JSON of a node's report, as far as operators use it (see node/README.md): every field with its type and bounds.

Whoever owns a node writes what it likes there. Unknown fields are ignored, all else is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from holdfast.plain import plain

TEXT = 1000
"""Characters of a sentence; what is longer is cut."""

MOST = 2**63 - 1
"""Redis' own limit for bytes and offsets."""


def _ends(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time without its zone")
    return text


Text = Annotated[str, AfterValidator(lambda text: plain(text[:TEXT]))]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._+~:/-]{1,200}$")]
"""An id, a version, a file, the name of a user: nothing that Markdown, HTML or a table would read as its own."""
Address = Annotated[str, AfterValidator(lambda text: str(IPv4Address(text)))]
Bytes = Annotated[int, Field(ge=0, le=MOST)]
Offset = Annotated[int, Field(ge=-1, le=MOST)]
"""-1: a replica that has had nothing of its leader yet."""
Seconds = Annotated[float, Field(ge=0, le=2**32, allow_inf_nan=False)]


class Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Replica(Part):
    address: Address
    offset: Offset
    state: Text


class Aside(Part):
    file: Word
    bytes: Bytes
    at: Seconds


class Killed(Part):
    at: Seconds
    limit_mib: Bytes


class Refusal(Part):
    user: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]{1,100}|\?)$")]
    what: Annotated[str, Field(pattern="^[a-z]{1,20}$")]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.|{}?:*-]{0,60}( [A-Za-z0-9_.|?-]{1,60})?$")]
    """Of a command, with its subcommand; the beginning of a key, as a pattern; nothing."""
    count: Bytes
    at: Seconds


class Redis(Part):
    role: Literal["leader", "replica", "waiting", "down", "silent"]
    version: Word | None = None
    offset: Offset | None = None
    replicas: Annotated[tuple[Replica, ...], Field(max_length=100)] = ()
    silent_s: Seconds | None = None
    aside: Aside | None = None
    killed: Killed | None = None
    refused: Annotated[tuple[Refusal, ...], Field(max_length=100)] = ()


class Sentinel(Part):
    leader: Address | None = None
    tilt: bool | None = None
    strangers: Annotated[tuple[Word, ...], Field(max_length=100)] = ()
    forged_epoch: Annotated[int, Field(ge=0, le=2**64 - 1)] | None = None


class Route(Part):
    table: Word
    destination: Word
    interface: Word
    instance: Word | None = None


class Gateway(Part):
    floating: bool = False
    routes: Annotated[tuple[Route, ...], Field(max_length=100)] = ()


class Order(Part):
    id: Word
    done: bool
    says: Text


class Certificate(Part):
    version: Word
    ends: Annotated[Word, AfterValidator(_ends)]


class Software(Part):
    kernel: Word
    image: Word | None = None
    packages: Annotated[Mapping[Word, Word], Field(max_length=100)]


class Backup(Part):
    turn: bool
    says: Text
    done: bool | None = None
    id: Word | None = None
    order: Word | None = None


class Preparation(Part):
    order: Word | None = None
    says: Text
    done: bool | None = None
    backup: Word | None = None


class Exchange(Part):
    id: Word | None = None
    says: Text
    done: bool | None = None
    away: Seconds | None = None


class Restore(Part):
    generation: Word
    kept_until: Seconds | None = None
    preparation: Preparation
    exchange: Exchange


class Body(Part):
    node: Word
    program: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    instance_id: Word
    address: Address
    decision: Text
    ready: bool
    roles: tuple[Literal["data", "gateway", "sentinel"], ...] = ()
    redis: Redis | None
    sentinel: Sentinel
    gateway: Gateway | None = None
    order: Order | None = None
    sessions: Order | None = None
    secrets: Annotated[Mapping[Word, Annotated[list[Word], Field(max_length=10)]], Field(max_length=200)] = {}
    certificate: Certificate | None = None
    software: Software | None = None
    backup: Backup | None = None
    restore: Restore | None = None
