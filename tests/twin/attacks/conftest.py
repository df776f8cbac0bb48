"""Where attackers stand, beside the nodes themselves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from holdfast.drill import application, reach
from holdfast.drill.cluster import Cluster
from holdfast.drill.waiting import wait_until
from holdfast.topology import ports
from holdfast.twin import client


@pytest.fixture(scope="module")
def host(cluster: Cluster) -> Iterator[str]:
    """A machine in the environment's network that is no node of it, and whose owner has no password."""
    endpoint = cluster.endpoints()["leader"]["addresses"][0]
    with application.running(cluster.name) as machine:

        def booted() -> bool:
            try:
                return reach.reached(partial(client.connect_from_node, machine), [endpoint], {ports.ENDPOINT}) != {}
            except client.NotRunning:
                return False

        wait_until(booted, 60, lambda: f"{machine} does not reach {endpoint}")
        yield machine
