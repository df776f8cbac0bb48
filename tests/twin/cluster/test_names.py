"""Who connects by name finds another gateway when one is lost, and the new leader when that one is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.drill.named import Named
from holdfast.topology import dns
from tests.twin.measured import nothing

pytestmark = pytest.mark.timed

AWAY_FOR = 3.5
"""Seconds: a failover's limit, and one attempt at an address where nobody answers."""


@pytest.fixture
def healed(healthy: Cluster) -> Iterator[Cluster]:
    yield healthy
    healthy.heal()
    healthy.wait_healthy()


def test_every_machine_finds_every_name(healthy: Cluster) -> None:
    status, domain = healthy.status(), healthy.read().domain
    gateways = healthy.gateways()
    for node in status["nodes"]:
        for label, expected in (
            (dns.LEADER, {gateway.leader for gateway in gateways}),
            (dns.REPLICA, {gateway.replica for gateway in gateways}),
            (node["name"], {node["address"]}),
        ):
            found = healthy.exec(node["name"], "getent", "ahostsv4", f"{label}.{domain}")
            assert {line.split()[0] for line in found.splitlines()} == expected


def test_the_name_leads_to_a_leader_again_soon(healed: Cluster) -> None:
    """Also where the first address that it gives is that of the machine that is lost."""
    before = healed.status()["leader"]
    application = next(gateway for gateway in healed.gateways() if gateway.node != before)
    with Named(healed, application) as named:
        healed.wait("it has begun", lambda _: len(named.acknowledged) > 20)
        healed.fault("power-cut", "leader")
        healed.wait("another one leads", lambda seen: seen["leader"] not in (None, before))
        written = len(named.acknowledged)
        healed.wait("it goes on", lambda _: len(named.acknowledged) > written + 20)
    pause = named.longest_pause()
    nothing([f"{pause:.2f} s without a write by name; accepted: {AWAY_FOR:g}"] if pause > AWAY_FOR else [])
    assert named.addresses <= {gateway.leader for gateway in healed.gateways()}
