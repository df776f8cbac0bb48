"""The same sources under CDKTF and under its successor give the same Terraform: docs/successor.md.

Each is run by its own command, in a copy of the repository that differs in its imports, its bindings and its packages.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from holdfast.mirror import tool_environment
from holdfast.topology import Cluster, environment_files, load_environment, pins
from holdfast.topology.pins import Pin
from scripts import successor

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = Path(__file__).parent / "node_modules"
"""Of the successor. On linux-x64 there is a Node that it accepts among them."""

Files = dict[str, Any]
"""Path below the output's folder → content: that of JSON parsed, that of anything else as bytes."""


def copy_repository(folder: Path, *, python: Path, node_modules: Path) -> Path:
    """The repository with the packages of others, and with the examples among its environments."""
    for file in successor.files():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / file, folder / file)
    (folder / ".venv").symlink_to(python)
    (folder / "node_modules").symlink_to(node_modules)
    environments = folder / "environments"
    for example in environment_files(environments / "examples"):
        environment = load_environment(example)
        keys = {pins.key(environment, node.machine) for node in Cluster.of(environment).nodes}
        pins.write(environment, {key: Pin("ami-0123456789abcdef0", "any", "this test") for key in keys}, environments)
        example.rename(environments / example.name)
    return folder


def run(command: Sequence[str], folder: Path) -> None:
    """With the copy's own packages first, as scripts/env.sh would have them."""
    environ = tool_environment()
    environ["PATH"] = os.pathsep.join([f"{folder}/.venv/bin", f"{folder}/node_modules/.bin", environ["PATH"]])
    chosen = {name: it for name, it in environ.items() if not name.startswith("HOLDFAST_") and name != "CDKTF_OUTDIR"}
    done = subprocess.run(
        command, cwd=folder, env=chosen, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, done.stdout


def output(folder: Path) -> Files:
    outdir = folder / "cdktf.out"
    return {
        str(file.relative_to(outdir)): json.loads(file.read_text()) if file.suffix == ".json" else file.read_bytes()
        for file in sorted(outdir.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="session")
def of_cdktf(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = copy_repository(
        tmp_path_factory.mktemp("cdktf"), python=REPOSITORY / ".venv", node_modules=REPOSITORY / "node_modules"
    )
    (folder / "stacks" / "bindings" / "aws").symlink_to(REPOSITORY / "stacks" / "bindings" / "aws")
    run(["cdktf", "synth"], folder)
    return output(folder)


@pytest.fixture(scope="session")
def of_cdktn(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """After the steps of docs/successor.md."""
    assert PACKAGES.is_dir(), "cdktn is not installed here; what installs it and runs this: make test PART=successor"
    folder = copy_repository(tmp_path_factory.mktemp("cdktn"), python=REPOSITORY / ".venv-cdktn", node_modules=PACKAGES)
    for file in folder.rglob("*.py"):
        file.write_text(successor.translated(file.read_text()))
    run(["scripts/bindings.sh", "cdktn"], folder)
    run(["cdktn", "synth"], folder)
    return output(folder)


def stacks(files: Files) -> Files:
    return {name: it for name, it in files.items() if name.endswith("/cdk.tf.json")}


def without_version(name: str, content: Any) -> Any:
    """The library's version stands in the metadata of each stack, and once in the manifest."""
    if name == "manifest.json":
        return {key: it for key, it in content.items() if key != "version"}
    if not name.endswith("/cdk.tf.json"):
        return content
    about = content["//"]
    metadata = {key: it for key, it in about["metadata"].items() if key != "version"}
    return content | {"//": about | {"metadata": metadata}}


def versions(files: Files) -> set[str]:
    return {it["//"]["metadata"]["version"] for it in stacks(files).values()}


def test_each_ran_under_its_own_library(of_cdktf: Files, of_cdktn: Files) -> None:
    assert (versions(of_cdktf), versions(of_cdktn)) == ({"0.21.0"}, {"0.24.0"})


def test_every_environment_and_every_example_is_compared(of_cdktf: Files) -> None:
    environments = REPOSITORY / "environments"
    named = {file.stem for file in [*environment_files(environments), *environment_files(environments / "examples")]}
    assert {"local", "staging", "prod", "single", "tiered"} <= named
    zones = {name.split("/")[1].rpartition("-zone-")[0] for name in stacks(of_cdktf) if "-zone-" in name}
    assert zones == named


def test_the_output_differs_in_the_version_alone(of_cdktf: Files, of_cdktn: Files) -> None:
    assert sorted(of_cdktf) == sorted(of_cdktn)
    for name, content in of_cdktf.items():
        assert without_version(name, of_cdktn[name]) == without_version(name, content), name
