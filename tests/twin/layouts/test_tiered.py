"""The layout `tiered`: each role on machines of its own holds together as the roles on one machine do."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.twin import application
from tests.twin.conftest import Cluster, Judge
from tests.twin.writers import Gateway, Writers

OUTAGE = 3.0
"""Seconds that a surviving gateway, or the floating pair, may be without an acknowledged write."""


@pytest.fixture(scope="module")
def tiered(others: dict[str, Cluster]) -> Cluster:
    return others["tiered"]


@pytest.fixture
def well(tiered: Cluster) -> Iterator[Cluster]:
    tiered.wait_healthy()
    yield tiered
    tiered.heal()
    tiered.wait_healthy()


@pytest.fixture(scope="module")
def floating(tiered: Cluster) -> Iterator[Gateway]:
    found = tiered.endpoints()
    pair = found["floating"]
    with application.running(tiered.environment) as machine:
        yield Gateway(machine, pair["leader"], pair["replica"], pair["port"], found["user"], found["password"])


def test_each_machine_has_its_role(well: Cluster) -> None:
    status = well.status()
    assert {node["name"]: node["roles"] for node in status["nodes"]} == {
        "tiered-data-a1": ["data"],
        "tiered-data-b1": ["data"],
        "tiered-gateway-a1": ["gateway"],
        "tiered-gateway-b1": ["gateway"],
        "tiered-sentinel-a1": ["sentinel"],
        "tiered-sentinel-b1": ["sentinel"],
        "tiered-sentinel-c1": ["sentinel"],
    }
    assert status["leader"] in ("tiered-data-a1", "tiered-data-b1")
    assert status["sentinels"] == {"agreeing": 3, "total": 3}
    assert status["floating"]["gateway"] in ("tiered-gateway-a1", "tiered-gateway-b1")


@pytest.mark.parametrize("kind", ["kill", "power-cut"])
def test_a_lost_leader_is_replaced(well: Cluster, floating: Gateway, judge: Judge, kind: str) -> None:
    gateways = [*well.gateways(), floating]
    with Writers(gateways) as writers:
        writers.wait_writing()
        old, struck = writers.leaders(), time.monotonic()
        well.fault(kind, "leader")
        writers.wait_leader(other_than=old)
        writers.wait_writing()
        well.heal()
        well.wait_healthy()
        verdict = judge(
            f"tiered: leader {kind}", writers, well, struck=struck, surviving=[one.node for one in gateways]
        )
    assert verdict.problems == ()
    assert len(verdict.leaders) == 2
    assert verdict.outage <= OUTAGE


def test_a_zone_without_its_gateways_and_leader_is_survived_by_the_pair(
    well: Cluster, floating: Gateway, judge: Judge
) -> None:
    """Leader, all gateways and a Sentinel of one zone go at once; the pair was there too."""
    status = well.status()
    zone = status["floating"]["gateway"].removeprefix("tiered-gateway-")[0]
    if status["leader"] != f"tiered-data-{zone}1":
        well.holdfast("failover", well.environment, "--to", f"tiered-data-{zone}1", "--yes")
        well.wait_healthy()
    with Writers([*well.gateways(), floating]) as writers:
        writers.wait_writing()
        old, struck = writers.leaders(), time.monotonic()
        well.fault("power-cut", zone)
        writers.wait_leader(other_than=old)
        writers.watch(OUTAGE)
        well.heal()
        after = well.wait_healthy()
        verdict = judge("tiered: whole zone power cut", writers, well, struck=struck, surviving=[floating.node])
    assert after["leader"] != f"tiered-data-{zone}1"
    assert verdict.problems == ()
    assert verdict.outage <= OUTAGE


def test_a_planned_failover_loses_nothing(well: Cluster, judge: Judge) -> None:
    gateways = well.gateways()
    with Writers(gateways) as writers:
        writers.wait_writing()
        struck = time.monotonic()
        well.holdfast("failover", well.environment, "--yes")
        writers.watch(1.0)
        verdict = judge(
            "tiered: planned failover", writers, well, struck=struck, surviving=[one.node for one in gateways]
        )
    assert verdict.problems == ()
    assert verdict.lost == ()
    assert len(verdict.leaders) == 2
    assert verdict.outage <= 1.0
