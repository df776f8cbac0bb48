"""`redis.settings` of the environment file: which settings of Redis an application may have, and what each Redis gets.

`registry` lists them, `kinds` has what each may be, `refused` says why the others are not among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from holdfast.topology.redis_settings.kinds import UNITS, Buffers, Limit, Version, size_of
from holdfast.topology.redis_settings.refused import refusal
from holdfast.topology.redis_settings.registry import (
    CLIENTS,
    DATABASES,
    FEWEST_MIB,
    IO_THREADS,
    OUTPUT,
    SETTINGS,
    Setting,
)

__all__ = [
    "CLIENTS",
    "DATABASES",
    "FEWEST_MIB",
    "IO_THREADS",
    "OUTPUT",
    "SETTINGS",
    "Checked",
    "Line",
    "Setting",
    "beyond",
    "clients_bytes",
    "lines",
    "refusal",
]

LEAST_UNREAD, LEAST_CLIENTS = 64, 128
"""MiB of answers that one client may leave unread, and that all clients' buffers may take; an eighth of the memory
where that is more. 4,000 busy sessions take 70 MiB (18 KiB each were measured, with Redis 7.0)."""


class Checked:
    """Marks a mapping of names of settings to values: pydantic checks each, and makes it the text for redis.conf."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        fields = {
            name: core_schema.typed_dict_field(
                core_schema.no_info_plain_validator_function(setting.kind.parse), required=False
            )
            for name, setting in SETTINGS.items()
        }
        checked = core_schema.typed_dict_schema(fields, extra_behavior="forbid")
        return core_schema.chain_schema([core_schema.no_info_plain_validator_function(_mapping), checked])

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        properties = {
            name: {"description": f"Accepted: {setting.kind.accepted}."} | setting.kind.schema
            for name, setting in SETTINGS.items()
        }
        return {"type": "object", "additionalProperties": False, "properties": properties}


def _mapping(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("settings by their names, as {notify-keyspace-events: Ex}")
    return value


@dataclass(frozen=True)
class Line:
    """One setting as redis.conf has it. `why` is empty where the file itself says it."""

    name: str
    value: str
    why: str


def lines(given: Mapping[str, str], memory: int, version: Version) -> Iterator[Line]:
    """What redis.conf gets, of `version` and with `memory` MiB: what is `given`, and else what is Holdfast's own.

    Without `io-threads`: rendering divides the vCPUs between Redis and HAProxy.
    """
    for name, setting in SETTINGS.items():
        if name != IO_THREADS and setting.is_in(version) and (name in given or setting.ours is not None):
            why = "" if name in given else f"{setting.about[0].upper()}{setting.about[1:]}."
            if name == OUTPUT:
                yield from _output(given.get(name, ""), memory, why)
            else:
                value = given[name] if name in given else _ours(setting, memory)
                yield Line(setting.name_in(version), value or '""', why)


def _ours(setting: Setting, memory: int) -> str:
    return f"{clients_bytes({}, memory) // UNITS['mb']}mb" if setting.name == CLIENTS else setting.ours or ""


def _output(given: str, memory: int, why: str) -> Iterator[Line]:
    """A line for each class: Redis 6.0 takes no more in one."""
    limits = {"normal": Limit(_unread_bytes(memory), 0, 0)} | Buffers().limits(given)
    yield from (Line(OUTPUT, f"{name} {limit}", why) for name, limit in limits.items())


def _unread_bytes(memory: int) -> int:
    return max(LEAST_UNREAD, memory // 8) * UNITS["mb"]


def clients_bytes(given: Mapping[str, str], memory: int) -> int:
    """What all clients' buffers together may take, by what is `given` or by default."""
    text = given.get(CLIENTS, "")
    if text.endswith("%"):
        return memory * int(text[:-1]) * UNITS["mb"] // 100
    return (size_of(text) if text else None) or max(LEAST_CLIENTS, memory // 8) * UNITS["mb"]


def beyond(given: Mapping[str, str], memory: int, version: Version) -> int:
    """MiB that clients may take beyond what they do by default: all, or one where Redis cannot limit all together."""
    if SETTINGS[CLIENTS].is_in(version):
        more = clients_bytes(given, memory) - clients_bytes({}, memory)
    else:
        hard = [limit.hard for limit in Buffers().limits(given.get(OUTPUT, "")).values()]
        more = max(hard, default=0) - _unread_bytes(memory)
    return max(0, -(-more // UNITS["mb"]))
