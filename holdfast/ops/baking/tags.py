"""What is written on an image, and on all that was made for it, by which it is found again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from holdfast.topology import Environment, names

BAKE = f"{names.RUN_TIME_TAGS}bake"
"""On everything: which bake made it."""
UNTIL = f"{names.RUN_TIME_TAGS}until"
"""On what is not to stay: the time from which nobody can be using it any more. A finished image loses it."""
PAST = "2000-01-01T00:00:00Z"
BASE = f"{names.RUN_TIME_TAGS}base"
PROGRAM = f"{names.RUN_TIME_TAGS}version"
PACKAGE = f"{names.RUN_TIME_TAGS}package:"
"""With a package's name behind; the value is its version, with `_` for `~`, which a tag cannot have and a version has
not otherwise."""


def temporary(environment: Environment, bake: str, until: datetime) -> dict[str, str]:
    """Of all that a bake makes. The team's own come with them; the environment's name does not."""
    name = f"{names.PROJECT}-bake-{bake}"
    own = {"Project": names.PROJECT, "Name": name, BAKE: bake, UNTIL: f"{until:%Y-%m-%dT%H:%M:%SZ}"}
    return dict(environment.tags) | own


def of_image(base: str, packages: Mapping[str, str], version: str) -> dict[str, str]:
    """Of an image beside those."""
    listed = {f"{PACKAGE}{name}": found.replace("~", "_") for name, found in packages.items()}
    return {BASE: base, PROGRAM: version, **listed}


def packages(tags: Mapping[str, str]) -> dict[str, str]:
    """What an image with these tags has: package → version."""
    return {
        name.removeprefix(PACKAGE): value.replace("_", "~") for name, value in tags.items() if name.startswith(PACKAGE)
    }


def over(tags: Mapping[str, str], now: datetime) -> bool:
    """Whether what has these tags is temporary, and of no use to anybody any more."""
    try:
        until = datetime.strptime(tags[UNTIL], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return False
    return until < now


def read(described: Mapping[str, Any]) -> dict[str, str]:
    """Of what EC2 describes."""
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}


def listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def specified(tags: Mapping[str, str], *kinds: str) -> list[dict[str, Any]]:
    """As calls take them that make something of these kinds."""
    return [{"ResourceType": kind, "Tags": listed(tags)} for kind in kinds]


OURS = [{"Name": "tag-key", "Values": [BAKE]}]
"""A filter of EC2."""
