"""User-data as a person reads it: unpacked, its files compared as files, and settings of Redis by their names."""

from __future__ import annotations

import base64
import binascii
import difflib
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from holdfast.topology import presets, redis_settings
from holdfast.topology.spec import Role

REDIS_CONF, HAPROXY_CFG = "/etc/holdfast/redis.conf", "/etc/holdfast/haproxy.cfg"

SETTINGS = {
    REDIS_CONF: "Redis",
    "/etc/holdfast/sentinel.conf": "Sentinel",
    HAPROXY_CFG: "HAProxy",
}
"""Files whose directives are told by name."""

BY_NAME = frozenset({REDIS_CONF, "/etc/holdfast/sentinel.conf"})
"""One directive a line; haproxy.cfg has sections, of which a line alone says too little."""

USERS_ACL = "/etc/holdfast/users.acl"

IDENTITY, PACKAGES = "/etc/holdfast/node.json", "/etc/holdfast/packages.json"

REST = "cloud-config"
"""What is in user-data beside the files that it writes: its first comment, and the commands of the first boot."""


@dataclass(frozen=True)
class FileChange:
    """One file of a machine; `before` is empty for a new one, `after` for one that goes."""

    path: str
    before: str
    after: str

    @property
    def program(self) -> str:
        """Whose settings these are; empty for other files."""
        return SETTINGS.get(self.path, "")

    def unified(self) -> str:
        lines = difflib.unified_diff(
            self.before.splitlines(), self.after.splitlines(), "before", "after", lineterm="", n=1
        )
        return "\n".join(list(lines)[2:])

    def settings(self) -> list[Setting]:
        """Directives that differ, by name; empty for a file that has none."""
        if self.path not in BY_NAME:
            return []
        before, after = _directives(self.before), _directives(self.after)
        return [
            Setting(self.program, name, before.get(name, ""), after.get(name, ""))
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ]

    def rights(self) -> Iterator[str]:
        """What each user of Redis gains and loses; empty for another file, and for one that comes or goes."""
        if self.path != USERS_ACL or not (self.before and self.after):
            return
        before, after = _users(self.before), _users(self.after)
        for user in sorted({*before, *after}):
            was, becomes = before.get(user, []), after.get(user, [])
            gained = [rule for rule in becomes if rule not in was]
            lost = [rule for rule in was if rule not in becomes]
            for verb, rules in (("gets", gained), ("loses", lost)):
                if rules:
                    yield f"User `{user}` of Redis {verb} `{' '.join(rules)}`"
            for preset, offer in presets.OFFERS.items():
                if preset in map(presets.of, gained):
                    yield f"User `{user}` may call `{offer.command}` ({preset}): {offer.gives}"


@dataclass(frozen=True)
class Setting:
    """One directive. Empty where it was, or will be, absent: Redis' own default counts then."""

    program: str
    name: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.program} `{self.name}`: {self.before or self._absent} → {self.after or self._absent}"

    @property
    def _absent(self) -> str:
        known = redis_settings.SETTINGS.get(self.name)
        return f"{known.redis} (Redis' own)" if known and known.redis else "(absent)"


def compare(before: Any, after: Any) -> tuple[FileChange, ...]:
    """What differs between two values of `user_data_base64`; nothing where one of them is not known."""
    if not (isinstance(before, str) and isinstance(after, str)) or before == after:
        return ()
    old, new = files(before), files(after)
    return tuple(
        FileChange(path, old.get(path, ""), new.get(path, ""))
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    )


def roles(encoded: Any) -> tuple[Role, ...]:
    """What a machine runs. One whose user-data does not say it, or is not known, is taken for one that runs all."""
    identity = files(encoded).get(IDENTITY) if isinstance(encoded, str) else None
    return (
        tuple(role for role in Role if role in json.loads(identity).get("roles", tuple(Role)))
        if identity
        else tuple(Role)
    )


def packages(encoded: Any) -> Mapping[str, str | None]:
    """What a machine installs at first boot, and in which version (None: the newest); empty where that is not known."""
    found = files(encoded).get(PACKAGES) if isinstance(encoded, str) else None
    wanted: dict[str, str | None] = json.loads(found) if found else {}
    return wanted


def replicas_for_writes(encoded: Any) -> int:
    """How many replicas a leader must have to take writes; 0 where that is not known."""
    redis = files(encoded).get(REDIS_CONF, "") if isinstance(encoded, str) else ""
    return int(_directives(redis).get("min-replicas-to-write", "0"))


@lru_cache(maxsize=128)  # Every rule asks for every node of both sides.
def files(encoded: str) -> Mapping[str, str]:
    """Path on the machine → content, and the rest of the cloud-config as `REST`. What is no cloud-config: one text."""
    text = _decode(encoded)
    try:
        content = yaml.safe_load(text) if text.startswith("#cloud-config") else None
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict):
        return {REST: text}
    written = {str(entry["path"]): str(entry.get("content", "")) for entry in content.pop("write_files", ())}
    comment = "".join(f"{line}\n" for line in text.splitlines()[1:] if line.startswith("# "))
    return written | {REST: comment + yaml.safe_dump(content, sort_keys=True)}


def _decode(encoded: str) -> str:
    try:
        raw = base64.b64decode(encoded)
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (binascii.Error, gzip.BadGzipFile, EOFError, zlib.error):
        return encoded
    return raw.decode(errors="replace")


def _users(text: str) -> dict[str, list[str]]:
    """User → its rules, of an ACL file; a selector is one rule."""
    lines = [line.split(maxsplit=4) for line in text.splitlines() if line.startswith("user ")]
    return {words[1]: re.findall(r"\([^)]*\)|\S+", words[4]) for words in lines if len(words) > 4}


def _directives(text: str) -> dict[str, str]:
    """Name → value of a Redis or Sentinel file. Sentinel's `sentinel OPTION MASTER VALUE` goes by its option, and the
    limit of a class of clients by that class."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = line.split()
        length = 2 if words[0] in ("sentinel", redis_settings.OUTPUT) else 1
        found[" ".join(words[:length])] = " ".join(words[length:])
    return found
