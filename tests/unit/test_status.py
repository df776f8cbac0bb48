"""What `holdfast status` says follows from the nodes' reports; a node that cannot be trusted is never shown as well."""

from dataclasses import replace
from pathlib import Path

from holdfast.ops.gate import waiting_for
from holdfast.ops.reports import Replica, Report
from holdfast.ops.status import Status, work_out
from holdfast.topology import Cluster, load_environment

LOCAL = Path(__file__).parents[2] / "environments" / "local.yaml"
CLUSTER = Cluster.of(load_environment(LOCAL))
A, B, C = "10.40.0.4", "10.40.16.4", "10.40.32.4"


def report(node: str, address: str, role: str, replicas: tuple[Replica, ...] = (), **changes: object) -> Report:
    base = Report(
        node=node,
        instance_id=f"i-{node}",
        age=1.0,
        ready=True,
        decision="a majority names local-a1",
        address=address,
        role=role,
        version="7.0.15",
        offset=1000 if role == "leader" else 900,
        replicas=replicas,
        named_leader=A,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def healthy() -> dict[str, Report]:
    return {
        "local-a1": report("local-a1", A, "leader", (Replica(B, 1000, True), Replica(C, 940, True))),
        "local-b1": report("local-b1", B, "replica"),
        "local-c1": report("local-c1", C, "replica"),
    }


def roles(status: Status) -> dict[str, tuple[str, int | None, bool]]:
    return {node.name: (node.role, node.lag_bytes, node.healthy) for node in status.nodes}


def test_a_healthy_cluster() -> None:
    status = work_out(CLUSTER, healthy())
    assert status.healthy
    assert status.leader == "local-a1"
    assert roles(status) == {
        "local-a1": ("leader", 0, True),
        "local-b1": ("replica", 0, True),
        "local-c1": ("replica", 60, True),
    }
    assert (status.sentinels.agreeing, status.sentinels.total) == (3, 3)


def test_json_has_what_scripts_rely_on() -> None:
    content = work_out(CLUSTER, healthy()).as_json()
    assert content["leader"] == "local-a1"
    assert content["sentinels"] == {"agreeing": 3, "total": 3}
    assert {"name", "zone", "role", "address", "lag_bytes", "healthy"} <= set(content["nodes"][0])


def test_a_node_that_stopped_reporting_is_unknown_and_the_cluster_not_healthy() -> None:
    reports = healthy()
    reports["local-c1"] = replace(reports["local-c1"], age=60.0)
    status = work_out(CLUSTER, reports)
    assert not status.healthy
    assert roles(status)["local-c1"] == ("unknown", None, False)
    assert "60 s ago" in status.nodes[2].says


def test_a_replica_that_its_leader_does_not_list_is_not_healthy() -> None:
    reports = healthy()
    reports["local-a1"] = replace(reports["local-a1"], replicas=(Replica(B, 1000, True),))
    assert roles(work_out(CLUSTER, reports))["local-c1"] == ("replica", None, False)


def test_an_old_leader_that_still_believes_is_not_shown_as_leader() -> None:
    reports = healthy()
    reports["local-b1"] = report("local-b1", B, "leader", (Replica(C, 1000, True),), named_leader=B)
    reports["local-c1"] = replace(reports["local-c1"], named_leader=B)
    status = work_out(CLUSTER, reports)
    assert status.leader == "local-b1"
    assert roles(status)["local-a1"] == ("waiting", None, False)


def test_nobody_leads_without_a_majority_of_sentinels() -> None:
    reports = {name: replace(one, named_leader=None) for name, one in healthy().items()}
    assert work_out(CLUSTER, reports).leader is None


def test_nothing_reported_yet() -> None:
    status = work_out(CLUSTER, {})
    assert (status.leader, status.healthy) == (None, False)
    assert {node.role for node in status.nodes} == {"unknown"}


def test_the_gate_opens_for_the_new_instance_only() -> None:
    expected = {"local-a1": "i-local-a1"}
    assert waiting_for(expected, healthy()) == []
    assert waiting_for({"local-a1": "i-new"}, healthy()) == [
        "local-a1: the last report is by i-local-a1, i-new has not reported yet"
    ]
    assert waiting_for(expected, {}) == ["local-a1 (i-local-a1) has not reported yet"]


def test_the_gate_holds_while_a_node_is_not_ready_or_silent() -> None:
    expected = {"local-b1": "i-local-b1"}
    reports = healthy()
    reports["local-b1"] = replace(reports["local-b1"], ready=False, decision="waits: no majority reachable")
    assert waiting_for(expected, reports) == ["local-b1 (i-local-b1) is not ready: waits: no majority reachable"]
    reports["local-b1"] = replace(reports["local-b1"], age=30.0)
    assert waiting_for(expected, reports) == [
        "local-b1 (i-local-b1) last reported 30 s ago: waits: no majority reachable"
    ]
