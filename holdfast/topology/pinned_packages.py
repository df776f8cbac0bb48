"""Which versions of packages a machine has after its first boot: pinned in a file, moved forward only by a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from holdfast.topology import lock

FILE = "packages.lock.json"
"""Beside the environment files: {environment: {key: {versions, source}}}.

A key is `debian-12/amd64` for what a stock image gets, and `debian-12/baked/amd64` for what the pinned baked image has.
"""


def baked_key(distribution: str, arch: str) -> str:
    return f"{distribution}/baked/{arch}"


Version = Annotated[str, Field(pattern=r"^[0-9][A-Za-z0-9.+~:-]*$")]
"""As dpkg has it: `5:7.0.15-1~deb12u6`."""


@dataclass(frozen=True)
class Packages:
    """Those of one distribution, for one architecture."""

    versions: Mapping[str, Version]
    """Package → version."""
    source: str
    """Where they come from."""

    @property
    def says(self) -> str:
        return ", ".join(f"{name} {version}" for name, version in self.versions.items()) + f" ({self.source})"


_CONTENT = TypeAdapter(dict[str, dict[str, Packages]])
WHAT = "versions of packages"


def read(folder: Path) -> dict[str, dict[str, Packages]]:
    """Every pin: environment name → `debian-12/amd64` → its packages. Empty when there is no file.

    Raises:
        HoldfastError: the file is not what `write` writes.
    """
    return lock.read(folder / FILE, _CONTENT, WHAT)


def write(name: str, pins: Mapping[str, Packages], folder: Path) -> None:
    """Replace the named pins of one environment."""
    lock.write(folder / FILE, _CONTENT, WHAT, name, pins)
