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
    return dict(os.environ) | {FOLDER_VARIABLE: str(environments)}


def deploy(name: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "deploy", f"ENV={name}"], cwd=REPOSITORY, env=environ, capture_output=True, text=True, timeout=1500
    )
