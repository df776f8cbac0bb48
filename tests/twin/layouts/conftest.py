"""The other layouts, side by side on the twin beside `local`: with TLS, as `local` is without.

`tiered` is on the internet too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from holdfast.drill import application
from holdfast.drill.cluster import Cluster
from holdfast.drill.writers import Gateway
from tests.twin import environments
from tests.twin.conftest import address_switches
from tests.twin.environments import Others


@pytest.fixture(scope="package")
def others(twin: None) -> Others:
    return environments.others(["single", "guest", "tiered"])


@pytest.fixture(scope="package")
def cluster(tiered: Cluster) -> Cluster:
    return tiered


@pytest.fixture(scope="package")
def tiered(others: Others) -> Cluster:
    return others.clusters["tiered"]


@pytest.fixture(scope="package")
def single(others: Others) -> Cluster:
    return others.clusters["single"]


@pytest.fixture
def well(tiered: Cluster) -> Iterator[Cluster]:
    tiered.wait_healthy()
    began = time.time()
    yield tiered
    tiered.heal()
    tiered.wait_healthy()
    assert address_switches(tiered, began) == []


@pytest.fixture(scope="package")
def floating(tiered: Cluster) -> Iterator[Gateway]:
    with application.running(tiered.environment) as machine:
        yield tiered.pair(machine)
