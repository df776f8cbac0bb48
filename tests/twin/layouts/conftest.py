"""The other layouts, deployed side by side on the twin beside `local`: with TLS, as `local` is without.

`tiered` is on the internet too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.ops import cloud
from holdfast.topology import load_environment
from holdfast.topology.load import ENVIRONMENTS
from tests.twin import application
from tests.twin.conftest import KEEPS, Cluster
from tests.twin.deploy import deploy, destroy, own
from tests.twin.writers import Gateway

TLS: dict[str, Any] = {"single": "optional", "tiered": {"mode": "required", "mutual": True}}
"""By the layout's, and environment's, name."""

NAMES = tuple(TLS)


OFFICE = "203.0.113.16/28"
"""Who may come to the public addresses of `tiered`."""


@dataclass(frozen=True)
class Others:
    clusters: dict[str, Cluster]
    """By name."""
    environ: dict[str, str]
    """The variables with which commands find them."""


@pytest.fixture(scope="package")
def deployed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Others]:
    """`environments/examples`, on the cloud and the images of `local`, with as little memory; by name."""
    folder = tmp_path_factory.mktemp("examples")
    local: dict[str, Any] = yaml.safe_load((ENVIRONMENTS / "local.yaml").read_text())
    contents = {}
    for name in NAMES:
        content = yaml.safe_load((ENVIRONMENTS / "examples" / f"{name}.yaml").read_text())
        content |= {key: local[key] for key in ("images", "cloud", "protected")}
        content["network"]["domain"] = local["network"]["domain"]
        content["tls"] = TLS[name]
        content["redis"]["memory"] = local["redis"]["memory"]
        if name == "tiered":
            content["network"] |= {"public": True, "clients": [content["network"]["cidr"], OFFICE]}
        contents[name] = content
    # With a state of its own, which goes with the folder: what is deployed goes with the twin.
    environ = own(folder, contents) | {"HOLDFAST_STATE_DIR": str(folder / "state")}
    done = deploy(environ, *NAMES)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield Others({name: Cluster(name, folder / f"{name}.yaml") for name in NAMES}, environ)
    finally:
        if KEEPS:
            destroy(environ, *NAMES)
        else:
            _terminate(folder / f"{NAMES[0]}.yaml")


def _terminate(file: Path) -> None:
    """What comes later shall have the machine for itself."""
    ec2 = cloud.client(load_environment(file), "ec2")
    found = ec2.describe_instances(Filters=[{"Name": "tag:Environment", "Values": list(NAMES)}])["Reservations"]
    ec2.terminate_instances(InstanceIds=[one["InstanceId"] for group in found for one in group["Instances"]])


@pytest.fixture(scope="package")
def others(deployed: Others) -> dict[str, Cluster]:
    return deployed.clusters


@pytest.fixture(scope="package")
def tiered(others: dict[str, Cluster]) -> Cluster:
    return others["tiered"]


@pytest.fixture
def well(tiered: Cluster) -> Iterator[Cluster]:
    tiered.wait_healthy()
    yield tiered
    tiered.heal()
    tiered.wait_healthy()


@pytest.fixture(scope="package")
def floating(tiered: Cluster) -> Iterator[Gateway]:
    with application.running(tiered.environment) as machine:
        yield tiered.pair(machine)
