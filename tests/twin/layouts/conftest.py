"""The other layouts, side by side on the twin beside `local`: with TLS, as `local` is without.

`tiered` is on the internet too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from subprocess import CompletedProcess

import pytest

from holdfast.drill import application
from holdfast.drill.cluster import Cluster
from holdfast.drill.deploy import destroy
from holdfast.drill.writers import Gateway
from tests.twin import environments
from tests.twin.conftest import address_switches
from tests.twin.environments import Others
from tests.twin.turns import prolonged


@pytest.fixture(scope="package")
def others(twin: None) -> Others:
    return environments.others(["single", "guest", "tiered"])


class Departure:
    """`guest` is destroyed, beside whatever is tested meanwhile."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._pool = ThreadPoolExecutor(1)
        self._destroying: Future[CompletedProcess[str]] | None = None

    def begin(self) -> Future[CompletedProcess[str]]:
        """Within a test's turn. It goes on already where it was begun before."""
        if self._destroying is None:
            held = ExitStack()
            held.enter_context(prolonged())
            self._destroying = self._pool.submit(destroy, self._environ, "guest")
            self._destroying.add_done_callback(lambda _: held.close())
        return self._destroying


@pytest.fixture(scope="package")
def departure(others: Others) -> Departure:
    return Departure(others.environ)


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
