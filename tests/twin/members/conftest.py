"""An environment of three nodes that becomes one of five, and of three again: by itself, since that takes minutes."""

from __future__ import annotations

import pytest

from holdfast.drill.cluster import Cluster
from tests.twin import environments


@pytest.fixture(scope="session")
def growing(twin: None) -> environments.Others:
    return environments.others(["growing"])


@pytest.fixture(scope="session")
def cluster(growing: environments.Others) -> Cluster:
    return growing.clusters["growing"]
