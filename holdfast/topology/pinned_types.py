"""What EC2 said of the instance types of each environment: pinned in a file, and asked again only by a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from holdfast.topology import lock, pinned_packages
from holdfast.topology.instances import BUILT_IN, InstanceType
from holdfast.topology.pinned_packages import Packages

FILE = "types.lock.json"
"""Beside the environment files: {environment: {type: {memory, vcpus, …, source}}}."""


@dataclass(frozen=True, kw_only=True)
class PinnedType(InstanceType):
    """One type's facts."""

    source: str
    """Where they come from."""

    @classmethod
    def of(cls, facts: InstanceType, source: str) -> PinnedType:
        return cls(**asdict(facts), source=source)

    @property
    def says(self) -> str:
        return f"{self.facts.says} ({self.source})"

    @property
    def facts(self) -> InstanceType:
        """Without where they come from."""
        content = asdict(self)
        del content["source"]
        return InstanceType(**content)


@dataclass(frozen=True)
class Known:
    """What is known beside an environment's file: the types that it may name, pinned or built in, and its packages."""

    owner: str
    """Under which name the pins are."""
    types: Mapping[str, InstanceType]
    packages: Mapping[str, Packages] = field(default_factory=dict)
    """By distribution and architecture: `debian-12/amd64`."""


def owner(content: Mapping[str, Any]) -> str:
    """Under which environment's name the pins for the content of a file are: as in `pins.owner`."""
    teststack = content.get("teststack")
    source = teststack.get("source") if isinstance(teststack, dict) else None
    return str(source or content.get("name") or "ENV")


def known(name: str, folder: Path) -> Known:
    """Of the environment whose pins are under that name.

    Raises:
        HoldfastError: a file is not what `write` writes.
    """
    types = {type: pin.facts for type, pin in read(folder).get(name, {}).items()}
    return Known(name, {**BUILT_IN, **types}, pinned_packages.read(folder).get(name, {}))


_CONTENT = TypeAdapter(dict[str, dict[str, PinnedType]])
WHAT = "facts of instance types"


def read(folder: Path) -> dict[str, dict[str, PinnedType]]:
    """Every pin: environment name → type → its facts. Empty when there is no file.

    Raises:
        HoldfastError: the file is not what `write` writes.
    """
    return lock.read(folder / FILE, _CONTENT, WHAT)


def write(name: str, pins: Mapping[str, PinnedType], folder: Path) -> None:
    """Replace the facts of these types of one environment."""
    lock.write(folder / FILE, _CONTENT, WHAT, name, pins)
