"""Synthesised stacks, as the JSON that Terraform reads. Always of a whole app: a stack alone hides wrong references."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cdktf import App

from holdfast.topology import Cluster, Environment, environment_files, find_environment, load_environment, pins
from holdfast.topology.invariants import problems_of
from holdfast.topology.load import ENVIRONMENTS
from holdfast.topology.pinned_types import Known
from stacks.environment import add_environment

EXAMPLES = environment_files(ENVIRONMENTS / "examples")
Stacks = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def outdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the environments of this repository are synthesised."""
    folder = tmp_path_factory.mktemp("synth")
    app = App(outdir=str(folder))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("local", "staging", "prod"):
            add_environment(app, Cluster.of(load_environment(find_environment(name))))
        # Nothing is pinned for the examples.
        patch.setattr(pins, "image_id", lambda environment, machine: "ami-0123456789abcdef0")
        for file in EXAMPLES:
            add_environment(app, Cluster.of(load_environment(file)))
    app.synth()
    return folder


@pytest.fixture(scope="session")
def stacks(outdir: Path) -> Stacks:
    """Stack name → its configuration."""
    return read(outdir)


@pytest.fixture
def synth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stacks]:
    """Synthesise an environment like `local`, with sections changed; those that are `...` are left out.

    `known`: the instance types that it may name."""
    monkeypatch.setattr(pins, "image_id", lambda environment, machine: "ami-0123456789abcdef0")

    def run(known: Known | None = None, **changes: Any) -> Stacks:
        local = load_environment(find_environment("local"))
        content = local.model_dump(mode="json") | {"redis": {"memory": "256MB"}} | changes
        environment = Environment.model_validate(
            {key: it for key, it in content.items() if it is not ...}, context=known
        )
        assert problems_of(environment) == []
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        app = App(outdir=str(folder))
        add_environment(app, Cluster.of(environment))
        app.synth()
        return read(folder)

    return run


def read(outdir: Path) -> Stacks:
    return {file.parent.name: json.loads(file.read_text()) for file in sorted(outdir.glob("stacks/*/cdk.tf.json"))}
