"""A planned failover is ordered only where it can be done, addressed to who leads, and its answer is waited for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from holdfast.ops import cloud, failover, reports
from holdfast.ops.reports import OrderAnswer, Report
from holdfast.topology import Cluster, Environment, find_environment, load_environment

A, B, C = "10.40.0.4", "10.40.16.4", "10.40.32.4"


@pytest.fixture
def environment() -> Environment:
    return load_environment(find_environment("local"))


def report(node: str, address: str, role: str, *, ready: bool = True) -> Report:
    return Report(
        node=node,
        instance_id="i-0",
        age=1.0,
        ready=ready,
        decision="",
        address=address,
        role=role,
        version="7.0.15",
        offset=100,
        replicas=tuple(reports.Replica(one, 100, True) for one in (B, C)) if role == "leader" else (),
        named_leader=A,
    )


SEEN = {
    "local-a1": report("local-a1", A, "leader"),
    "local-b1": report("local-b1", B, "replica"),
    "local-c1": report("local-c1", C, "replica"),
}


def test_any_replica_in_sync_may_lead_or_the_one_that_is_asked_for(environment: Environment) -> None:
    cluster = Cluster.of(environment)
    assert failover.plan(cluster, SEEN, None) == failover.Plan("local-a1", None, ("local-b1", "local-c1"))
    assert failover.plan(cluster, SEEN, "local-c1").to == "local-c1"


@pytest.mark.parametrize(
    ("changed", "to", "sentence"),
    [
        ({}, "local-a1", "--to local-a1: it is no replica in sync; accepted: local-b1, local-c1"),
        ({}, "prod-b1", "--to prod-b1: it is no replica in sync; accepted: local-b1, local-c1"),
        ({"local-b1": report("local-b1", B, "replica", ready=False)}, "local-b1", "accepted: local-c1"),
        ({"local-a1": report("local-a1", A, "waiting", ready=False)}, None, "local has no leader now"),
        (
            {
                node: report(node, address, "replica", ready=False)
                for node, address in (("local-b1", B), ("local-c1", C))
            },
            None,
            "no replica is in sync with local-a1",
        ),
    ],
    ids=["who leads already", "unknown", "not in sync", "no leader", "nobody in sync"],
)
def test_what_cannot_be_done_is_not_ordered(
    environment: Environment, changed: dict[str, Report], to: str | None, sentence: str
) -> None:
    with pytest.raises(failover.NotPossible, match=sentence):
        failover.plan(Cluster.of(environment), SEEN | changed, to)


class Bucket:
    """S3, as far as orders go."""

    def __init__(self) -> None:
        self.order: dict[str, Any] | None = None

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:
        assert (Bucket[:15], Key) == ("holdfast-local-", "orders/failover.json")
        self.order = json.loads(Body)

    def delete_object(self, *, Bucket: str, Key: str) -> None:
        self.order = None


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    bucket = Bucket()
    monkeypatch.setattr(cloud, "client", lambda *_: bucket)
    monkeypatch.setattr(failover, "POLL", 0.01)
    return bucket


def test_an_order_is_for_the_leader_and_withdrawn_once_it_is_answered(
    environment: Environment, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered: list[Any] = []

    def fetch(_: Environment) -> dict[str, Report]:
        assert bucket.order
        ordered.append(bucket.order)
        # An older answer is not this one's.
        given = OrderAnswer(bucket.order["id"] if len(ordered) > 1 else "older", True, "handed over to 10.40.16.4")
        return SEEN | {"local-a1": replace(SEEN["local-a1"], order=given)}

    monkeypatch.setattr(reports, "fetch", fetch)
    answer = failover.order(environment, failover.Plan("local-a1", "local-b1", ("local-b1",)))
    assert (answer.done, answer.says) == (True, "handed over to 10.40.16.4")
    assert (ordered[0]["from"], ordered[0]["to"], len(ordered)) == ("local-a1", "local-b1", 2)
    assert bucket.order is None


def test_a_leader_that_does_not_answer_is_an_error_and_the_order_is_withdrawn(
    environment: Environment, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "PATIENCE", 0.05)
    monkeypatch.setattr(reports, "fetch", lambda _: SEEN)
    with pytest.raises(cloud.CloudError, match="local-a1 did not answer within 0 s; the order is withdrawn"):
        failover.order(environment, failover.Plan("local-a1", None, ("local-b1",)))
    assert bucket.order is None
