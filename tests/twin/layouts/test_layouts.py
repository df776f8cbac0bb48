"""The other layouts hold together as `compact` does, and with TLS as without.

`tiered`: each role on machines of its own. `single`: one node, the endpoints that it keeps later, and nobody who would
replace it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import redis

from holdfast.drill import application, reach
from holdfast.drill.checker import Verdict
from holdfast.drill.cluster import Cluster
from holdfast.drill.waiting import wait_until
from holdfast.drill.writers import Gateway, Writers
from holdfast.topology import Cluster as Topology
from holdfast.topology import Role, load_environment, ports
from holdfast.twin import client
from tests.twin import pair, permissions
from tests.twin.conftest import Judge
from tests.twin.measured import in_time
from tests.twin.passwords import password

KEYS = 5000

GIVEN_UP_WITHIN = 50
"""Seconds until a leader gives up a replica that says nothing any more: `repl-timeout`, and a moment."""

OUTAGE = 3.0
"""Seconds that a surviving gateway, or the floating pair, may be without an acknowledged write."""


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


def lose_leader(well: Cluster, judge: Judge, who: str, kind: str, gateways: list[Gateway]) -> Verdict:
    """What it cost those who write through these gateways."""
    with Writers(gateways) as writers:
        writers.wait_writing()
        old, struck = writers.leaders(), time.monotonic()
        well.fault(kind, "leader")
        writers.wait_leader(other_than=old)
        writers.wait_writing()
        well.heal()
        well.wait_healthy()
        surviving = [one.node for one in gateways]
        return judge(f"{who}: leader {kind}", writers, well, struck=struck, surviving=surviving)


@pytest.mark.timed
@pytest.mark.parametrize("kind", ["kill", "power-cut"])
def test_a_lost_leader_is_replaced(well: Cluster, floating: Gateway, judge: Judge, kind: str) -> None:
    verdict = lose_leader(well, judge, "tiered", kind, [*well.gateways(), floating])
    assert verdict.problems == ()
    in_time(verdict, OUTAGE, leaders=2)


@pytest.mark.timed
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
    in_time(verdict, OUTAGE)


@pytest.mark.timed
def test_a_replica_that_is_being_fed_replaces_no_leader_that_has_everything(well: Cluster) -> None:
    """Of two: it was away while the leader took writes. Its link has never been up, of which Sentinel makes nothing."""
    leader = well.status()["leader"]
    replica = next(node["name"] for node in well.status()["nodes"] if node["role"] == "replica")
    well.fault("power-cut", replica)
    with well.client(single_connection_client=True, socket_timeout=20) as admin:
        admin.execute_command("AUTH", "admin", password(well.read(), "admin"))
        wait_until(lambda: admin.info("replication")["connected_slaves"] == 0, GIVEN_UP_WITHIN, lambda: "it follows")
        # Both stand for gigabytes of data: more was written than it can catch up with, and being fed takes a while.
        admin.config_set("repl-backlog-size", 1 << 20)
        admin.config_set("rdb-key-save-delay", 2000)
        with admin.pipeline(transaction=False) as pipeline:
            for number in range(KEYS):
                pipeline.set(f"alone:{number}", "x" * 2000)
            pipeline.execute()
        well.heal()
        wait_until(
            lambda: admin.info("replication").get("slave0", {}).get("state") in ("wait_bgsave", "send_bulk"),
            90,
            lambda: f"the replica is not being fed: {admin.info('replication')}",
        )
    well.fault("kill", "leader")
    after = well.wait_healthy()
    assert after["leader"] == leader
    with well.client(socket_timeout=20) as client:
        assert client.exists(*(f"alone:{number}" for number in range(KEYS))) == KEYS


@pytest.mark.timed
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
    in_time(verdict, 1.0, leaders=2)


def test_each_role_reaches_of_the_others_what_it_uses(well: Cluster) -> None:
    nodes = Topology.of(load_environment(Path(well.environment))).nodes
    tried = reach.listening(well)
    for role in Role:
        source = next(node for node in nodes if node.roles == {role})
        others = [node for node in nodes if node is not source]
        expected = {str(node.address): {ports.REDIS} for node in others if node.roles == {Role.DATA}}
        expected |= {str(node.address): {ports.SENTINEL} for node in others if node.roles == {Role.SENTINEL}}
        if role is Role.GATEWAY:
            expected |= {str(node.address): {ports.STATS} for node in others if node.roles == {Role.GATEWAY}}
        addresses = [str(address) for node in others for address in node.addresses]
        assert reach.reached(partial(client.connect_from_node, source.name), addresses, tried) == expected, role


def test_each_role_is_allowed_what_its_machines_have_used_by_now_and_nothing_more(well: Cluster) -> None:
    """A gateway reads what others report where the pair is contested: so it is."""
    holder = well.wait_healthy()["floating"]["gateway"]
    pair.part_from_another(well, holder)
    well.wait("it to hold the pair again", lambda seen: seen["floating"]["gateway"] == holder)
    well.heal()
    well.wait_healthy()
    found = permissions.unused(load_environment(Path(well.environment)))
    # A Sentinel that looked for the record of who began when there was one already has never missed it, and only one
    # that was told of a forged leader reads who led last.
    rare = ("TellMissingFromForbidden", "/holders.json")
    missing = [one for one in found["sentinel"] if one[0] != rare[0] and not one[2].endswith(rare[1])]
    assert found | {"sentinel": missing} == {"data": [], "gateway": [], "sentinel": []}


def test_one_node_serves_every_endpoint_and_comes_back_with_its_data(single: Cluster) -> None:
    status = single.wait_healthy()
    assert (status["leader"], status["sentinels"]) == ("single-a1", {"agreeing": 1, "total": 1})
    assert status["floating"]["gateway"] == "single-a1"
    with single.client() as client:
        client.set("kept", "by the volume")
        first = client.info("server")["run_id"]
    single.fault("kill", "leader")
    wait_restarted(single, first)
    plaintext = single.endpoints()["tls"]["plaintext_port"]
    with application.running(single.environment) as machine:
        pair = single.pair(machine)
        for gateway in (pair, replace(pair, port=plaintext, tls=None)):
            for address in (gateway.leader, gateway.replica):
                with gateway.connect(address) as client:
                    assert client.get("kept") == "by the volume"
    single.fault("power-cut", "leader")
    single.heal()
    single.wait_healthy()
    with single.client("replica") as client:
        assert client.get("kept") == "by the volume"
    single.fault("wipe", "leader")
    single.heal()
    single.wait_healthy()
    with single.client() as client:
        assert client.dbsize() == 0


def wait_restarted(single: Cluster, before: str) -> None:
    """Wait until another process than the one of that run id answers."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with single.client() as client:
                if client.info("server")["run_id"] != before:
                    return
        except redis.RedisError:
            pass
        assert time.monotonic() < deadline, "nobody answers at the leader endpoint"
        time.sleep(0.1)
