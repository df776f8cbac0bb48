"""The other layouts, deployed side by side on the twin beside `local`: each holds together as `compact` does.

`tiered`: each role on machines of its own. `single`: one node, the endpoints that it keeps later, and nobody who would
replace it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from holdfast.ops import cloud
from holdfast.topology import Cluster as Topology
from holdfast.topology import Role, load_environment, ports
from holdfast.topology.load import ENVIRONMENTS
from tests.twin import application, permissions, reach
from tests.twin.conftest import KEEPS, Cluster, Judge
from tests.twin.deploy import deploy, destroy, only
from tests.twin.writers import Gateway, Writers

NAMES = ("single", "tiered")


@pytest.fixture(scope="module")
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
    # With a state of its own, which goes with the folder: what is deployed goes with the twin.
    environ = only(folder) | {"HOLDFAST_STATE_DIR": str(folder / "state")}
    done = deploy(environ, *NAMES)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield {name: Cluster(name, folder / f"{name}.yaml") for name in NAMES}
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
        assert reach.reached(source.name, addresses, tried) == expected, role


def test_each_role_is_allowed_what_its_machines_have_used_by_now_and_nothing_more(well: Cluster) -> None:
    found = permissions.unused(load_environment(Path(well.environment)))
    # A Sentinel that looked for the record of who began when there was one already has never missed it.
    missing = [one for one in found["sentinel"] if one[0] != "TellMissingFromForbidden"]
    assert found | {"sentinel": missing} == {"data": [], "gateway": [], "sentinel": []}


def test_one_node_serves_every_endpoint_and_comes_back_with_its_data(others: dict[str, Cluster]) -> None:
    single = others["single"]
    status = single.wait_healthy()
    assert (status["leader"], status["sentinels"]) == ("single-a1", {"agreeing": 1, "total": 1})
    assert status["floating"]["gateway"] == "single-a1"
    with single.client() as client:
        client.set("kept", "by the volume")
        first = client.info("server")["run_id"]
    single.fault("kill", "leader")
    wait_restarted(single, first)
    found = single.endpoints()
    with application.running(single.environment) as machine:
        pair = found["floating"]
        for address in (pair["leader"], pair["replica"]):
            with Gateway(machine, address, address, pair["port"], found["user"], found["password"]).connect(
                address
            ) as client:
                assert client.get("kept") == "by the volume"
    single.fault("power-cut", "leader")
    single.heal()
    single.wait_healthy()
    with single.client("replica") as client:
        assert client.get("kept") == "by the volume"


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
