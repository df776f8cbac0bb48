"""Deploys of an edited environment, as a team makes them: the file changes, then `cdktf deploy`."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from holdfast.mirror import REPOSITORY
from holdfast.topology.load import ENVIRONMENTS, FOLDER_VARIABLE


def edited(folder: Path, name: str, *edits: tuple[str, str], source: Path = ENVIRONMENTS) -> dict[str, str]:
    """The variables with which commands find, in `folder`, all environments of `source` with that one edited."""
    environments = folder / "environments"
    environments.mkdir()
    for file in [*source.glob("*.yaml"), *source.glob("*.lock.json")]:
        shutil.copy(file, environments)
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
    file = folder / "images.lock.json"
    pins = json.loads(file.read_text()) if file.exists() else {}
    local = json.loads((ENVIRONMENTS / "images.lock.json").read_text())["local"]
    file.write_text(json.dumps(pins | dict.fromkeys(contents, local)))
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
    """What is synthesised stays beside the files, for these names alone: other commands may run at the same time."""
    stacks = " ".join(f"'{name}-*'" for name in names)
    folder, output = environ.get(FOLDER_VARIABLE), ""
    if folder:
        out = Path(folder) / "out" / "+".join(names)
        # cdktf makes the last folder alone.
        out.parent.mkdir(exist_ok=True)
        output = f"--output {shlex.quote(os.path.relpath(out, REPOSITORY))}"
    command = f"source scripts/env.sh; cdktf {verb} {stacks} --auto-approve {output}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=REPOSITORY,
        env={**environ, "HOLDFAST_ENVIRONMENTS": ",".join(names), "CI": "true"},
        capture_output=True,
        text=True,
        timeout=1500,
    )
