"""Deploys of an edited environment, as a team makes them: the file changes, then `make deploy`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

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


def deploy(name: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "deploy", f"ENV={name}", "YES=1"],
        cwd=REPOSITORY,
        env=environ,
        capture_output=True,
        text=True,
        timeout=1500,
    )


def only(folder: Path) -> dict[str, str]:
    """The variables with which commands find the environments in `folder`, and no others."""
    return dict(os.environ) | {FOLDER_VARIABLE: str(folder)}


def destroy(name: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = f"source scripts/env.sh; HOLDFAST_ENVIRONMENTS={name} cdktf destroy '{name}-*' --auto-approve"
    return subprocess.run(
        ["bash", "-c", command], cwd=REPOSITORY, env=environ, capture_output=True, text=True, timeout=900
    )
