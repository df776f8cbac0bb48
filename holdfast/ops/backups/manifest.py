"""The content of a backup's `manifest.json`, every field with its type and bounds: see docs/backups.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from holdfast.ops.report_body import Bytes, Word

LARGEST = 4 * 2**20
"""Bytes of a manifest: a part of 16 MiB takes 120."""

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Part(_Part):
    name: Annotated[str, Field(pattern="^[0-9]{5}$")]
    bytes: Bytes
    sha256: Hash


class Manifest(_Part):
    version: Literal[1]
    id: Word
    environment: Word
    node: Word
    redis_version: Word
    rdb_version: Annotated[int, Field(ge=1, le=9999)]
    replication_id: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None
    """Of the history of writes that it is of; None where there never was a replica."""
    offset: Bytes | None
    """How much of it was written: the position of the snapshot."""
    databases: list[Annotated[int, Field(ge=0, le=2**31)]]
    """Those with keys."""
    keys: Count
    expires: Count
    """Of the keys, those with an end."""
    used_memory: Bytes | None = None
    """Bytes that it took in memory; None in one of before this was told."""
    bytes: Bytes
    sha256: Hash
    """Of all parts, put together."""
    parts: Annotated[list[Part], Field(min_length=1, max_length=10_000)]
