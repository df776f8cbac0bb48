"""Restores as operators order them: what is refused, the order of the steps, and what stays when one fails."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from holdfast import cli
from holdfast.ops import cloud, failover, reports
from holdfast.ops.reports import Exchange, Preparation, Report, Restore
from holdfast.ops.restore import copies, plan, run
from holdfast.ops.restore.plan import NotPossible
from holdfast.topology import Cluster, Environment, load_environment, names
from tests.unit.conftest import ENVIRONMENTS
from tests.unit.test_backups import ID, PARTS, Bucket

FIRST = names.FIRST_GENERATION
G, LATER = "20261130T120000Z-0a1b", 1_797_000_000.0
SHA = "ab" * 32
IDLE = Restore(FIRST, None, Preparation(None, "has not begun", None, None), Exchange(None, "has not begun", None, None))


def says(cluster: Cluster, leader: str = "prod-a1") -> dict[str, Report]:
    """The reports of three healthy nodes."""
    addresses = {node.name: str(node.address) for node in cluster.nodes}
    return {
        name: Report(
            node=name,
            instance_id="i-0",
            age=1.0,
            ready=True,
            decision="",
            address=address,
            role="leader" if name == leader else "replica",
            version="7.0.15",
            offset=100,
            replicas=tuple(reports.Replica(one, 100, True) for one in addresses.values() if one != address)
            if name == leader
            else (),
            named_leader=addresses[leader],
            restore=IDLE,
        )
        for name, address in addresses.items()
    }


@pytest.fixture
def bucket(prod: Environment) -> Iterator[Bucket]:
    made = Bucket(prod)
    made.s3.create_bucket(Bucket=names.bucket(prod), CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield made


@pytest.fixture
def cluster(prod: Environment) -> Cluster:
    return Cluster.of(prod)


def test_the_last_replica_by_name_prepares_it(bucket: Bucket, cluster: Cluster) -> None:
    bucket.add()
    planned = plan.of_backup(cluster, says(cluster), FIRST, bucket.environment, None)
    assert (planned.leader, planned.node, planned.hands_over) == ("prod-a1", "prod-c1", True)
    assert planned.backup is not None
    assert (planned.backup.id, planned.silent, planned.engine) == (ID, (), "7.0.15")


def test_a_larger_one_takes_longer(bucket: Bucket, cluster: Cluster) -> None:
    """250 MB about 6.5 s, by what was measured."""
    part = [{"name": "00001", "bytes": 49, "sha256": "a" * 64}]
    bucket.add(bytes=250_000_000, parts=part)
    planned = plan.of_backup(cluster, says(cluster), FIRST, bucket.environment, None)
    assert planned.away == pytest.approx(6.5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rdb_version": 12, "redis_version": "8.0.2"}, "it is RDB 12, of Redis 8.0.2; accepted by Redis 7.0.15 of"),
        ({"used_memory": 5 * 2**30}, "it took 5,120 MiB of memory; accepted by prod: 4,096 MiB"),
        ({"parts": [{"name": "00009", "bytes": 1, "sha256": "a" * 64}]}, "1 of 1 parts are gone; accepted: one that"),
    ],
)
def test_a_backup_that_cannot_be_loaded_is_refused_beforehand(
    bucket: Bucket, cluster: Cluster, changes: dict[str, Any], sentence: str
) -> None:
    bucket.add(**changes)
    with pytest.raises(NotPossible, match=sentence):
        plan.of_backup(cluster, says(cluster), FIRST, bucket.environment, None)


def test_the_oldest_redis_of_all_decides(bucket: Bucket, cluster: Cluster) -> None:
    bucket.add(rdb_version=12, redis_version="8.0.2")
    seen = {name: replace(one, version="8.0.2") for name, one in says(cluster).items()}
    assert plan.of_backup(cluster, seen, FIRST, bucket.environment, None).engine == "8.0.2"
    seen["prod-b1"] = replace(seen["prod-b1"], version="7.0.15")
    with pytest.raises(NotPossible, match=r"Redis 7\.0\.15"):
        plan.of_backup(cluster, seen, FIRST, bucket.environment, None)


Change = Callable[[dict[str, Report]], dict[str, Report]]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda seen: seen | {"prod-a1": replace(seen["prod-a1"], role="waiting")}, "nobody leads"),
        (
            lambda seen: seen | {name: replace(seen[name], ready=False) for name in ("prod-b1", "prod-c1")},
            "no replica is in sync, which could prepare it",
        ),
        (
            lambda seen: seen | {"prod-b1": replace(seen["prod-b1"], restore=replace(IDLE, generation=G))},
            f"a restore is not over: prod-b1 is not in generation {FIRST}",
        ),
        (lambda seen: seen | {"prod-b1": replace(seen["prod-b1"], restore=None)}, "prod-b1 knows no restores; deploy"),
    ],
)
def test_a_cluster_that_is_not_in_order_is_refused(
    bucket: Bucket, cluster: Cluster, change: Change, sentence: str
) -> None:
    bucket.add()
    with pytest.raises(NotPossible, match=sentence):
        plan.of_backup(cluster, change(says(cluster)), FIRST, bucket.environment, None)


def test_a_node_that_is_off_is_told_and_stops_nothing(bucket: Bucket, cluster: Cluster) -> None:
    bucket.add()
    seen = says(cluster)
    seen["prod-c1"] = replace(seen["prod-c1"], age=600.0)
    planned = plan.of_backup(cluster, seen, FIRST, bucket.environment, None)
    assert (planned.node, planned.silent) == ("prod-b1", ("prod-c1",))


def test_an_undo_is_by_who_has_the_data_of_before_the_leader_first(cluster: Cluster) -> None:
    seen = says(cluster)
    with pytest.raises(NotPossible, match="nothing was restored into it"):
        plan.of_undo(cluster, seen, FIRST)
    with pytest.raises(NotPossible, match=f"no node that reports has the data of before {G} any more"):
        plan.of_undo(cluster, seen, G)
    kept = replace(IDLE, generation=G, kept_until=LATER)
    seen = {name: replace(one, restore=kept) for name, one in seen.items()}
    planned = plan.of_undo(cluster, seen, G)
    assert (planned.node, planned.hands_over, planned.undo, planned.undo_until) == ("prod-a1", False, G, LATER)
    # A machine that was replaced since has none.
    seen["prod-a1"] = replace(seen["prod-a1"], restore=replace(IDLE, generation=G))
    planned = plan.of_undo(cluster, seen, G)
    assert (planned.node, planned.hands_over) == ("prod-c1", True)


def test_who_brought_the_present_data_puts_that_of_before_back(cluster: Cluster) -> None:
    """It led at the time: the others may lack what was written last."""
    kept = replace(IDLE, generation=G, kept_until=LATER)
    seen = {name: replace(one, restore=kept) for name, one in says(cluster).items()}
    assert plan.of_undo(cluster, seen, G, "prod-b1").node == "prod-b1"
    seen["prod-b1"] = replace(seen["prod-b1"], ready=False)
    assert plan.of_undo(cluster, seen, G, "prod-b1").node == "prod-a1", "it is not in sync"
    seen = {name: replace(one, role="waiting", ready=False) for name, one in seen.items()}
    assert plan.of_undo(cluster, seen, G, "prod-b1").node == "prod-b1", "where nobody leads it is the best one"


def test_an_undo_is_possible_where_nobody_leads(cluster: Cluster) -> None:
    """As where the node was lost that had the data of the restore."""
    kept = replace(IDLE, generation=G, kept_until=LATER)
    seen = {name: replace(one, restore=kept, role="waiting", ready=False) for name, one in says(cluster).items()}
    planned = plan.of_undo(cluster, seen, G)
    assert (planned.leader, planned.node) == (None, "prod-c1")


@dataclass
class Nodes:
    """Three nodes that do what the bucket tells them."""

    bucket: Bucket
    cluster: Cluster
    leader: str = "prod-a1"
    prepares: tuple[str, bool] = ("prepared", True)
    exchanges: bool = True
    hands_over: bool = True

    def __post_init__(self) -> None:
        self.did: list[str] = []
        self.copied: list[str] = []

    def read(self, key: str) -> dict[str, Any] | None:
        try:
            found = self.bucket.s3.get_object(Bucket=names.bucket(self.bucket.environment), Key=key)
        except ClientError:
            return None
        content: dict[str, Any] = json.load(found["Body"])
        return content

    def keys(self) -> list[str]:
        listed = self.bucket.s3.list_objects_v2(Bucket=names.bucket(self.bucket.environment))
        return [one["Key"] for one in listed.get("Contents", ())]

    def fetch(self, _: Environment) -> dict[str, Report]:
        seen, order, generation = says(self.cluster, self.leader), self.read("restore/order.json"), None
        if order and order.get("from"):
            self.copied = [key for key in self.keys() if key.startswith(order["from"])] or self.copied
            says_, done = self.prepares
            prepared = Preparation(order["id"], says_, done, SHA if done else None)
            node = order["node"]
            seen[node] = replace(seen[node], restore=replace(IDLE, preparation=prepared))
        if (found := self.read("restore/generation.json")) and found["node"] != "none":
            generation, node = found["id"], found["node"]
            before = seen[node].restore
            assert before is not None
            away = (
                Exchange(generation, "is in it", True, 4.2)
                if self.exchanges
                else Exchange(generation, "b1 runs", False, None)
            )
            seen[node] = replace(
                seen[node],
                restore=replace(before, generation=generation if self.exchanges else FIRST, exchange=away),
            )
        return seen

    def failover(self, _: Environment, planned: failover.Plan) -> reports.OrderAnswer:
        assert self.read("restore/generation.json") is None
        self.did.append(f"{planned.leader} to {planned.to}")
        if self.hands_over:
            self.leader = str(planned.to)
        return reports.OrderAnswer("1", self.hands_over, "no handover: b1 did not catch up")


@pytest.fixture
def nodes(bucket: Bucket, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    bucket.add()
    nodes, clock = Nodes(bucket, cluster), itertools.count()
    monkeypatch.setattr(reports, "fetch", nodes.fetch)
    monkeypatch.setattr(failover, "order", nodes.failover)
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None))
    return nodes


def restore(nodes: Nodes) -> run.Done:
    environment = nodes.bucket.environment
    planned = plan.of_backup(
        nodes.cluster, reports.fetch(environment), run.generation(environment)[0], environment, None
    )
    return run.restore(environment, environment, planned, print, lambda done, parts: None)


def test_one_prepares_then_it_leads_and_then_all_change_over(nodes: Nodes) -> None:
    done = restore(nodes)
    assert nodes.did == ["prod-a1 to prod-c1"]
    assert nodes.copied == [f"restore/copies/{ID}/{name}" for name in ("00001", "00002", "manifest.json")]
    assert (done.node, done.backup, done.away) == ("prod-c1", ID, 4.2)
    assert nodes.read("restore/generation.json") == {
        "id": done.generation,
        "node": "prod-c1",
        "backup": SHA,
        "undo": None,
        "bytes": "53",
    }
    assert nodes.keys() == ["restore/generation.json"], "what was copied goes, and the order"


def test_an_undo_fetches_nothing(nodes: Nodes) -> None:
    first = restore(nodes)
    kept = replace(IDLE, generation=first.generation, kept_until=LATER)
    seen = {name: replace(one, restore=kept) for name, one in says(nodes.cluster, "prod-c1").items()}
    planned = plan.of_undo(nodes.cluster, seen, first.generation)
    nodes.copied.clear()
    environment = nodes.bucket.environment
    done = run.restore(environment, environment, planned, print, lambda done, parts: None)
    assert nodes.read("restore/generation.json") == {
        "id": done.generation, "node": "prod-c1", "backup": None, "undo": first.generation, "bytes": None
    }  # fmt: skip
    assert nodes.copied == []


def test_what_cannot_be_prepared_changes_nothing(nodes: Nodes) -> None:
    nodes.prepares = ("64 MiB are free on the data volume", False)
    with pytest.raises(run.Failed, match="^prod-c1: 64 MiB are free on the data volume; nothing was changed$"):
        restore(nodes)
    assert (nodes.keys(), nodes.did) == ([], [])


def test_without_the_lead_nothing_is_changed(nodes: Nodes) -> None:
    nodes.hands_over = False
    with pytest.raises(run.Failed, match="could not take the lead: no handover"):
        restore(nodes)
    assert nodes.keys() == []


def test_where_another_node_does_not_stop_the_change_is_taken_back(nodes: Nodes) -> None:
    nodes.exchanges = False
    with pytest.raises(run.Failed, match="could not begin with the data within 45 s: b1 runs; the change was taken"):
        restore(nodes)
    assert nodes.read("restore/generation.json") == {"id": FIRST, "node": "none"}


def test_a_second_one_is_refused_while_the_first_one_runs(nodes: Nodes) -> None:
    environment = nodes.bucket.environment
    with (
        run._alone(environment, "prod-c1"),
        pytest.raises(run.Busy, match="another restore runs, heard of"),
        run._alone(environment, "prod-b1"),
    ):
        pass
    assert nodes.keys() == []


def test_one_that_was_interrupted_keeps_nobody_off_for_long(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its order stays for a while, so that nodes end soon what was begun."""
    environment = nodes.bucket.environment
    with pytest.raises(KeyboardInterrupt), run._alone(environment, "prod-c1"):
        raise KeyboardInterrupt
    assert nodes.keys() == ["restore/order.json"]
    with pytest.raises(run.Busy):
        restore(nodes)
    monkeypatch.setattr(run, "LOST", -1.0)
    with run._alone(environment, "prod-b1") as (order, _):
        assert nodes.read("restore/order.json") == {"id": order, "node": "prod-b1"}


def test_where_s3_may_not_copy_it_goes_through_this_machine(
    nodes: Nodes, prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the key is another account's."""
    made = cloud.client(prod, "s3")

    def denied(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "CopyObject")

    monkeypatch.setattr(made, "copy_object", denied)
    monkeypatch.setattr(copies.cloud, "client", lambda *_: made)
    planned = plan.of_backup(nodes.cluster, reports.fetch(prod), FIRST, prod, None)
    assert planned.backup is not None
    with copies.copied(prod, prod, planned.backup, lambda done, parts: None) as prefix:
        found = made.get_object(Bucket=names.bucket(prod), Key=f"{prefix}00001")["Body"].read()
        assert found == PARTS[0]
    assert nodes.keys() == []


def test_a_backup_of_another_environment_goes_into_this_ones_bucket(nodes: Nodes, bucket: Bucket) -> None:
    staging = load_environment(ENVIRONMENTS / "staging.yaml")
    other = Bucket(staging)
    other.add("2026-11-30T03-00-07Z-staging-b1")
    environment = bucket.environment
    planned = plan.of_backup(nodes.cluster, reports.fetch(environment), FIRST, staging, None)
    done = run.restore(environment, staging, planned, print, lambda done, parts: None)
    assert done.backup == "2026-11-30T03-00-07Z-staging-b1"
    assert nodes.copied[0] == "restore/copies/2026-11-30T03-00-07Z-staging-b1/00001"


def test_it_says_what_it_will_do_and_does_it_for_the_name_alone(
    nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["restore", "prod", "--yes-really", "staging"]) == 2
    assert nodes.keys() == []
    said = " ".join(capsys.readouterr().err.split())
    for sentence in (
        f"by {ID}: ",
        "812,334 keys, 53 B",
        "RDB 10, by Redis 7.0.15; Redis 7.0.15 loads it",
        "prod-c1 prepares it while traffic goes on; prod-a1 hands over to it",
        "writes and reads for about 3 s",
        "is kept on the nodes for 14 days",
        "holdfast restore prod --undo",
    ):
        assert sentence in said, said
    assert cli.main(["restore", "prod", "latest", "--yes-really", "prod"]) == 0
    said = capsys.readouterr().out
    assert f"prod is as {ID} has it; prod-c1 leads" in said
    assert "writes were away for 4.2 s; before: kept until 20" in said


@pytest.mark.parametrize("arguments", [("--undo", ID), ("--undo", "--from", "staging")])
def test_an_undo_takes_no_backup(arguments: tuple[str, ...]) -> None:
    assert cli.main(["restore", "prod", *arguments]) == 2


def test_a_generation_without_sense_is_told(nodes: Nodes) -> None:
    nodes.bucket.s3.put_object(Bucket=names.bucket(nodes.bucket.environment), Key="restore/generation.json", Body=b"[]")
    assert cli.main(["restore", "prod", "--undo"]) == 1


def test_the_day_until_which_it_is_kept_is_told(nodes: Nodes) -> None:
    days = datetime.fromisoformat(restore(nodes).kept_until).replace(tzinfo=UTC) - datetime.now(UTC)
    assert 12 < days.total_seconds() / 86400 <= 14
