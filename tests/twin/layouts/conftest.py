"""The other layouts, deployed side by side on the twin, beside `local`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from holdfast.topology.load import ENVIRONMENTS
from tests.twin.conftest import Cluster
from tests.twin.deploy import deploy, destroy, only

NAMES = ("single", "tiered")


@pytest.fixture(scope="session")
def others(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Cluster]]:
    """`environments/examples`, on the cloud and the images of `local`, with as little memory; by name."""
    folder = tmp_path_factory.mktemp("examples")
    local: dict[str, Any] = yaml.safe_load((ENVIRONMENTS / "local.yaml").read_text())
    for name in NAMES:
        content = yaml.safe_load((ENVIRONMENTS / "examples" / f"{name}.yaml").read_text())
        content |= {key: local[key] for key in ("images", "cloud", "protected")}
        content["network"]["domain"] = local["network"]["domain"]
        content["redis"]["memory"] = local["redis"]["memory"]
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    pins = json.loads((ENVIRONMENTS / "images.lock.json").read_text())
    (folder / "images.lock.json").write_text(json.dumps(dict.fromkeys(NAMES, pins["local"])))
    done = deploy(only(folder), *NAMES)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield {name: Cluster(name, folder / f"{name}.yaml") for name in NAMES}
    finally:
        gone = destroy(only(folder), *NAMES)
    assert gone.returncode == 0, gone.stdout + gone.stderr
