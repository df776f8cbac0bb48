"""What `holdfast status` says follows from the nodes' reports; a node that cannot be trusted is never shown as well."""

import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from holdfast.cli.show import status_view
from holdfast.ops.backups.store import Newest
from holdfast.ops.gate import waiting_for
from holdfast.ops.reports import (
    Backup,
    Certificate,
    Exchange,
    Killed,
    Preparation,
    Replica,
    Report,
    Restore,
    Route,
    read,
)
from holdfast.ops.status import BackupStatus, RestoreStatus, Status, work_out
from holdfast.topology import Cluster, load_environment
from holdfast.topology.certificates import DUE, LASTS

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
        "local-a1": report(
            "local-a1", A, "leader", (Replica(B, 1000, True), Replica(C, 940, True)), holds_floating=True
        ),
        "local-b1": report("local-b1", B, "replica"),
        "local-c1": report("local-c1", C, "replica"),
    }


def roles(status: Status) -> dict[str, tuple[str, int | None, bool]]:
    return {node.name: (node.role, node.lag_bytes, node.healthy) for node in status.nodes}


def test_a_redis_that_is_busy_is_not_called_lost() -> None:
    reports = healthy()
    says = "its Redis is busy with a command; a majority names 10.40.0.4"
    reports["local-b1"] = replace(reports["local-b1"], role="silent", ready=False, decision=says, silent_s=3.2)
    assert f"local-b1: silent, {says} (for 3 s)" in work_out(CLUSTER, reports).ailing


def test_a_sentinel_that_distrusts_its_clock_is_named() -> None:
    reports = healthy()
    reports["local-b1"] = replace(reports["local-b1"], tilt=True)
    assert work_out(CLUSTER, reports).ailing == [
        "local-b1: its Sentinel was held up, or its clock jumped (TILT): it replaces no leader for 3 s"
    ]


def test_what_forged_greetings_made_a_sentinel_believe_is_a_problem() -> None:
    reports = healthy()
    reports["local-b1"] = replace(reports["local-b1"], strangers=("10.9.9.9:26379",), forged_epoch=2**64 - 1)
    reports["local-c1"] = replace(reports["local-c1"], strangers=("10.9.9.8:6380", "10.9.9.9:26379"))
    status = work_out(CLUSTER, reports)
    sentences = [
        "Sentinel of local-b1 knows 10.9.9.9:26379, which is no node of this environment",
        "Sentinel of local-b1 has the epoch 18446744073709551615, which no election gave it",
        "Sentinel of local-c1 knows 10.9.9.8:6380, 10.9.9.9:26379, which are no nodes of this environment",
    ]
    assert not status.healthy
    assert status.ailing == status.as_json()["forged"] == sentences
    shown = rendered(status)
    assert "not well: none of the nodes, what Sentinels believe" in shown
    assert all(f"{sentence}\n" in shown for sentence in sentences)


def test_what_a_node_reports_of_strangers_is_read() -> None:
    sentinel = {"leader": None, "strangers": ["10.9.9.9:26379"], "forged_epoch": 2**64 - 1}
    content = {
        "node": "tiered-sentinel-a1",
        "instance_id": "i-1",
        "ready": True,
        "decision": "waits",
        "address": "10.71.0.20",
        "roles": ["sentinel"],
        "redis": None,
        "sentinel": sentinel,
        "gateway": None,
    }
    report = read(json.dumps(content).encode(), node="tiered-sentinel-a1", others={}, age=1.0)
    assert isinstance(report, Report)
    assert (report.strangers, report.forged_epoch) == (("10.9.9.9:26379",), 2**64 - 1)


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
    assert status.ailing == [f"local-c1: unknown, {status.nodes[2].says}", "2 of 3 Sentinels agree"]


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


TIERED = Cluster.of(load_environment(LOCAL.parent / "examples" / "tiered.yaml"))
DATA_A, DATA_B = "10.71.0.4", "10.71.16.4"


def tiered() -> dict[str, Report]:
    reports = {
        node.name: report(node.name, str(node.address), next(iter(node.roles)).value, named_leader=None)
        for node in TIERED.nodes
    }
    reports["tiered-gateway-a1"] = replace(reports["tiered-gateway-a1"], holds_floating=True)
    followers = (Replica(DATA_B, 1000, True),)
    reports["tiered-data-a1"] = report("tiered-data-a1", DATA_A, "leader", followers, named_leader=None)
    reports["tiered-data-b1"] = report("tiered-data-b1", DATA_B, "replica", named_leader=None)
    for letter in "abc":
        name = f"tiered-sentinel-{letter}1"
        reports[name] = replace(reports[name], named_leader=DATA_A)
    return reports


def test_machines_without_redis_show_what_else_they_are() -> None:
    status = work_out(TIERED, tiered())
    assert status.healthy
    assert roles(status) == {
        "tiered-data-a1": ("leader", 0, True),
        "tiered-data-b1": ("replica", 0, True),
        "tiered-gateway-a1": ("gateway", None, True),
        "tiered-gateway-b1": ("gateway", None, True),
        "tiered-sentinel-a1": ("sentinel", None, True),
        "tiered-sentinel-b1": ("sentinel", None, True),
        "tiered-sentinel-c1": ("sentinel", None, True),
    }
    assert {node.name: node.roles for node in status.nodes}["tiered-gateway-a1"] == ("gateway",)
    assert (status.sentinels.agreeing, status.sentinels.total) == (3, 3)
    assert status.endpoints["leader"] == ["10.71.0.11:6390", "10.71.16.11:6390"]


def test_only_sentinels_make_a_majority() -> None:
    reports = tiered()
    for letter in "ab":
        name = f"tiered-sentinel-{letter}1"
        reports[name] = replace(reports[name], named_leader=None)
    status = work_out(TIERED, reports)
    assert (status.leader, status.healthy) == (None, False)


def test_a_gateway_that_is_not_ready_is_not_healthy() -> None:
    reports = tiered()
    reports["tiered-gateway-b1"] = replace(reports["tiered-gateway-b1"], ready=False)
    status = work_out(TIERED, reports)
    assert [node.name for node in status.nodes if not node.healthy] == ["tiered-gateway-b1"]
    assert not status.healthy


def test_a_report_without_redis_has_the_role_of_its_machine() -> None:
    content = {
        "node": "tiered-gateway-a1",
        "instance_id": "i-1",
        "ready": True,
        "decision": "a majority names 10.71.0.4",
        "address": "10.71.0.10",
        "roles": ["gateway", "sentinel"],
        "redis": None,
        "sentinel": {"leader": "10.71.0.4"},
        "gateway": {"proven_leader": "10.71.0.4", "haproxy": True, "floating": True},
    }
    assert roles_of(content) == ("gateway", True)
    assert roles_of(content | {"roles": ["sentinel"], "gateway": None}) == ("sentinel", False)


def roles_of(content: dict[str, Any]) -> tuple[str, bool]:
    """The role that such a report has, and whether it holds the floating pair."""
    found = read(json.dumps(content).encode(), node="tiered-gateway-a1", others={}, age=1.0)
    assert isinstance(found, Report)
    return found.role, found.holds_floating


@pytest.mark.parametrize(
    ("holders", "gateway"), [(("local-b1",), "local-b1"), ((), None), (("local-a1", "local-b1"), None)]
)
def test_the_floating_pair_is_well_when_exactly_one_node_holds_it(
    holders: tuple[str, ...], gateway: str | None
) -> None:
    reports = {name: replace(report, holds_floating=name in holders) for name, report in healthy().items()}
    status = work_out(CLUSTER, reports)
    assert status.as_json()["floating"] == {
        "leader": "100.127.185.236:6379",
        "replica": "100.127.185.237:6379",
        "gateway": gateway,
    }
    assert status.healthy is (gateway is not None)
    held = [] if gateway else ["no gateway, or more than one, holds the floating pair 100.127.185.236:6379"]
    assert status.ailing == held


def test_what_is_no_longer_reported_holds_nothing() -> None:
    reports = healthy()
    reports["local-a1"] = replace(reports["local-a1"], age=16.0)
    floating = work_out(CLUSTER, reports).floating
    assert floating is not None
    assert floating.gateway is None


def test_passwords_of_which_two_are_accepted_are_changing() -> None:
    found = healthy()
    assert work_out(CLUSTER, found).changing == ()
    found["local-b1"] = replace(found["local-b1"], secrets={"app": ["v2", "v1"], "node": ["v1"]})
    status = work_out(CLUSTER, found)
    assert status.changing == ("app",)
    assert status.healthy
    console = Console(width=120, file=StringIO())
    console.print(status_view(status))
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert "passwords of app are changing; to go on: holdfast secrets rotate local --user app\n" in shown


def certified(**ends: timedelta) -> Status:
    """The status of a healthy cluster whose certificates end so much from now."""
    reports = {
        node: replace(
            report, certificate=Certificate("v1", (datetime.now(UTC) + ends.get(node[-2:], LASTS)).isoformat())
        )
        for node, report in healthy().items()
    }
    return work_out(CLUSTER, reports)


def test_a_certificate_is_shown_when_it_is_time_to_renew_it() -> None:
    status = certified(b1=DUE - timedelta(days=1))
    assert status.healthy
    assert [node.certificate.due for node in status.nodes if node.certificate] == [False, True, False]
    shown = rendered(status)
    assert re.search("local-b1: its certificate ends at .*; renew it: holdfast certs rotate local --due", shown)
    assert "certificates: the first one ends at " in shown


def test_a_cluster_with_a_certificate_that_has_ended_is_not_healthy_though_nothing_ails_yet() -> None:
    status = certified(c1=-timedelta(hours=1))
    assert (status.ailing, status.ended, status.healthy) == ([], ["local-c1"], False)
    assert "local is not healthy: local-a1 leads, not well: local-c1, 3 of 3 Sentinels agree" in rendered(status)


def test_news_of_a_status_are_the_worst_first() -> None:
    status = certified(b1=timedelta(days=5), c1=-timedelta(hours=1))
    first, second = status.news
    assert first.startswith("local-c1: its certificate ended at ")
    assert second.startswith("local-b1: its certificate ends at ")
    assert certified().news == []


def test_a_route_that_leads_to_a_machine_is_shown_with_its_node_and_lets_passwords_change() -> None:
    reports = healthy()
    taken = Route("rtb-a", "10.40.0.0/16", "eni-c", "i-local-c1")
    for name in ("local-a1", "local-b1"):
        reports[name] = replace(reports[name], routes=(taken,))
    status = work_out(CLUSTER, reports)
    sentence = "route 10.40.0.0/16 of rtb-a leads to eni-c of local-c1, where no deploy had it lead"
    assert status.redirected == (f"{sentence} (says local-a1, local-b1)",)
    assert (status.ailing, status.healthy) == ([], False)
    assert sentence in rendered(status)
    assert "not well: none of the nodes, the routes" in rendered(status)


def restored(generation: str, kept_until: float | None, *, says: str = "", done: bool | None = True) -> Restore:
    return Restore(
        generation, kept_until, Preparation("1", says, done, None), Exchange(generation, "waits", done, None)
    )


def test_a_restore_that_is_under_way_and_an_undo_that_is_possible_are_told() -> None:
    reports = healthy()
    assert work_out(CLUSTER, reports).restore is None
    for name in reports:
        reports[name] = replace(reports[name], restore=restored("19700101T000000Z-0000", None))
    assert work_out(CLUSTER, reports).restore == RestoreStatus((), None)
    preparing = restored("19700101T000000Z-0000", None, says="fetches part 2 of 9", done=None)
    reports["local-c1"] = replace(reports["local-c1"], restore=preparing)
    status = work_out(CLUSTER, reports)
    assert status.healthy
    assert "a restore is under way: local-c1: fetches part 2 of 9" in rendered(status)
    new = "20261130T120000Z-0a1b"
    for name in ("local-a1", "local-c1"):
        reports[name] = replace(reports[name], restore=restored(new, 1_797_180_448.0))
    status = work_out(CLUSTER, reports)
    assert status.restore == RestoreStatus(("local-b1: waits",), "2026-12-13T16:47:28Z")
    assert "the last restore can be undone until 2026-12-13T16:47:28Z: holdfast restore local --undo" in rendered(
        status
    )


def test_a_late_backup_is_not_healthy_and_keeps_nothing_else_from_being_done() -> None:
    turn = Backup(turn=True, says="complete", done=True, id="2026-11-29T03-00-07Z-local-c1", order=None)
    reports = healthy()
    reports["local-c1"] = replace(reports["local-c1"], backup=turn)
    status = work_out(CLUSTER, reports, Newest("2026-11-29T03:00:07Z", False, "the last one is of today"))
    assert status.backup == BackupStatus(
        "2026-11-29T03:00:07Z", False, "the last one is of today", "local-c1", "complete"
    )
    assert status.healthy
    assert "backups: the last one is of today; local-c1: complete" in rendered(status)
    late = work_out(CLUSTER, reports, Newest(None, True, "none within 28.8 hours"))
    assert (late.ailing, late.healthy) == ([], False)
    assert "not well: none of the nodes, the backups" in rendered(late)


def rendered(status: Status) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(status_view(status))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("seconds", "ago"),
    [(20, "less than a minute ago"), (185, "3 min ago"), (2 * 3600 + 60, "2 h ago"), (86_000, "24 h ago")],
)
def test_a_redis_that_was_killed_for_memory_is_told_and_makes_nobody_unwell(seconds: int, ago: str) -> None:
    reports = healthy()
    reports["local-b1"] = replace(reports["local-b1"], killed=Killed(time.time() - seconds, 1229))
    status = work_out(CLUSTER, reports)
    assert f"local-b1: Redis was killed for memory {ago}, limit 1.2 GiB\n" in rendered(status)
    assert status.healthy
