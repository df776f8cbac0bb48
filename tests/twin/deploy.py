"""Deploys of an edited environment, as a team makes them: the file changes, then `cdktf deploy`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from holdfast.topology.load import ENVIRONMENTS, FOLDER_VARIABLE

REPOSITORY = Path(__file__).resolve().parents[2]


def edited(folder: Path, name: str, *edits: tuple[str, str]) -> dict[str, str]:
    """The variables with which commands find, in `folder`, all environments with that one edited."""
    environments = folder / "environments"
    shutil.copytree(ENVIRONMENTS, environments)
    file = environments / f"{name}.yaml"
    text = file.read_text()
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    file.write_text(text)
    return only(environments)


def own(folder: Path, contents: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The variables with which commands find environments of these contents, by name, with `local`'s images pinned."""
    for name, content in contents.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(dict(content)))
    pins = json.loads((ENVIRONMENTS / "images.lock.json").read_text())
    (folder / "images.lock.json").write_text(json.dumps(dict.fromkeys(contents, pins["local"])))
    return only(folder)


def only(folder: Path) -> dict[str, str]:
    """The variables with which commands find the environments in `folder`, and no others."""
    return dict(os.environ) | {FOLDER_VARIABLE: str(folder)}


def deploy(environ: Mapping[str, str], *names: str) -> subprocess.CompletedProcess[str]:
    """Several of them side by side."""
    return _cdktf("deploy", environ, names)


def destroy(environ: Mapping[str, str], *names: str) -> subprocess.CompletedProcess[str]:
    return _cdktf("destroy", environ, names)


def _cdktf(verb: str, environ: Mapping[str, str], names: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    stacks = " ".join(f"'{name}-*'" for name in names)
    command = f"source scripts/env.sh; cdktf {verb} {stacks} --auto-approve"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=REPOSITORY,
        env={**environ, "HOLDFAST_ENVIRONMENTS": ",".join(names), "CI": "true"},
        capture_output=True,
        text=True,
        timeout=1500,
    )
