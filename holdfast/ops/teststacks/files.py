"""The environment files of test stacks on this machine: in no repository, found by the same loader as all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from holdfast.topology import Environment, environment_files, load_environment
from holdfast.topology.load import ENVIRONMENTS, TESTSTACKS

HEAD = "# Written by `holdfast teststack up`, once. It goes with the test stack; the expiry is that of its tags.\n"


def stored(folder: Path = ENVIRONMENTS) -> list[Environment]:
    """
    Raises:
        InvalidEnvironment: somebody edited one.
    """
    return [load_environment(file) for file in environment_files(folder / TESTSTACKS)]


def path(name: str, folder: Path = ENVIRONMENTS) -> Path:
    return folder / TESTSTACKS / f"{name}.yaml"


def write(content: dict[str, Any], folder: Path = ENVIRONMENTS) -> Environment:
    """Write a test stack's file; what it says.

    Raises:
        InvalidEnvironment: it would have problems; there is no file then.
    """
    file = path(content["name"], folder)
    file.parent.mkdir(exist_ok=True)
    unfinished = file.with_name(f".{file.stem}") / file.name
    unfinished.parent.mkdir(exist_ok=True)
    try:
        unfinished.write_text(HEAD + yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        environment = load_environment(unfinished)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
        unfinished.parent.rmdir()
    return environment


def remove(name: str, folder: Path = ENVIRONMENTS) -> None:
    path(name, folder).unlink(missing_ok=True)
