"""The floating pair follows a gateway that lives, whatever becomes of the one that held it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.drill.writers import Gateway, Writers
from tests.twin import pair
from tests.twin.conftest import Judge
from tests.twin.measured import in_time

pytestmark = pytest.mark.timed

LIMIT = 4.0
"""Seconds that the pair may be without an acknowledged write; bench/ has the goals."""

AFTER_AN_OUTAGE = 15.0
"""The same, after the API has come back: a call that waits for it takes up to ten seconds to give up."""

APART_LIMIT = 15.0
"""The same, where two gateways do not hear each other: four seconds until one knows that it is of no use, five until
the other one has seen that the pair was taken, two between its looks whether it still is; and some for the API."""

HEALTHY_WITHIN = 60

Strike = Callable[[Cluster, str], object]
"""What is done to the cluster and the node that holds the pair."""


def fault(kind: str, *words: str) -> Strike:
    return lambda cluster, holder: cluster.fault(kind, holder, *words)


def end_haproxy(cluster: Cluster, holder: str) -> None:
    cluster.exec(holder, "systemctl", "kill", "-s", "KILL", "holdfast-haproxy")


def stop_the_node_program(cluster: Cluster, holder: str) -> None:
    """It is still there, and does nothing."""
    cluster.exec(holder, "systemctl", "kill", "-s", "STOP", "holdfast-node")


LOSSES: dict[str, Strike] = {
    "power cut": fault("power-cut"),
    "powered off in order": fault("power-off"),
    "isolated": fault("isolate"),
    "HAProxy frozen": fault("freeze", "--process", "haproxy"),
    "HAProxy killed": end_haproxy,
    "node program hangs": stop_the_node_program,
}
"""What is lost of the gateway that holds the pair."""


def holder_of(cluster: Cluster) -> str:
    holder: str | None = cluster.wait_healthy()["floating"]["gateway"]
    assert holder is not None
    return holder


@pytest.mark.parametrize("loss", LOSSES)
def test_the_pair_moves_to_a_gateway_that_lives(healthy: Cluster, floating: Gateway, judge: Judge, loss: str) -> None:
    with Writers([floating]) as writers:
        writers.wait_writing()
        holder = holder_of(healthy)
        struck = time.monotonic()
        LOSSES[loss](healthy, holder)
        writers.watch(LIMIT)
        writers.wait_writing()
        healthy.wait("another holder", lambda seen: seen["floating"]["gateway"] not in (None, holder))
        healthy.heal()
        healthy.wait_healthy(HEALTHY_WITHIN)
        writers.wait_writing()
        verdict = judge(f"floating pair: its gateway {loss}", writers, struck=struck, surviving={floating.node})
    assert verdict.problems == ()
    in_time(verdict, LIMIT)


def test_leader_and_holder_are_lost_together(healthy: Cluster, floating: Gateway, judge: Judge) -> None:
    holder = pair.leading_holder(healthy)
    with Writers([floating]) as writers:
        writers.wait_writing()
        struck = time.monotonic()
        healthy.fault("power-cut", holder)
        writers.watch(LIMIT)
        writers.wait_writing()
        healthy.heal()
        healthy.wait_healthy(HEALTHY_WITHIN)
        verdict = judge(
            "floating pair: its gateway and leader power cut", writers, struck=struck, surviving=[floating.node]
        )
    assert verdict.problems == ()
    in_time(verdict, LIMIT, leaders=2)


def test_of_two_gateways_that_do_not_hear_each_other_the_one_without_the_leader_gives_the_pair_back(
    healthy: Cluster, floating: Gateway, judge: Judge
) -> None:
    """Both are elected, by a majority of Sentinels that both hear, and the second one takes the pair."""
    holder = pair.leading_holder(healthy)
    with Writers([floating]) as writers:
        writers.wait_writing()
        struck = time.monotonic()
        pair.part_from_another(healthy, holder)
        healthy.wait("the first one to hold it again", lambda seen: seen["floating"]["gateway"] == holder, lasting=10)
        writers.wait_writing()
        healthy.heal()
        healthy.wait_healthy(HEALTHY_WITHIN)
        writers.wait_writing()
        verdict = judge("floating pair: gateways apart", writers, struck=struck, surviving=[floating.node])
    assert verdict.problems == ()
    in_time(verdict, APART_LIMIT, leaders=1)


@pytest.mark.alone
def test_while_the_api_is_away_nothing_moves_and_afterwards_it_does(
    healthy: Cluster, floating: Gateway, judge: Judge
) -> None:
    gateways = healthy.gateways()
    with Writers([*gateways, floating]) as writers:
        writers.wait_writing()
        holder = holder_of(healthy)
        healthy.fault("api-outage")
        healthy.fault("freeze", holder, "--process", "haproxy")
        struck = time.monotonic()
        writers.watch(8)
        others = {gateway.node for gateway in gateways} - {holder}
        silent = {ack.gateway for ack in list(writers.acknowledged) if ack.sent > struck + LIMIT}
        assert silent == others
        healthy.heal()
        came_back = time.monotonic()
        writers.wait_writing(seconds=AFTER_AN_OUTAGE)
        healthy.wait_healthy(HEALTHY_WITHIN)
        verdict = judge("floating pair: moved when the API is back", writers, struck=came_back, surviving=others)
    assert verdict.problems == ()
