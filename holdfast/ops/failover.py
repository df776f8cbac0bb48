"""A planned failover: an order in the environment's bucket, which the leader obeys and answers in its report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.errors import HoldfastError
from holdfast.ops import cloud, orders, reports, status
from holdfast.ops.reports import OrderAnswer, Report, Unreadable
from holdfast.topology import Cluster, Environment, names

POLL = 0.5
"""Seconds between two looks for the answer."""

PATIENCE = 30.0
"""Seconds until an order counts no more, by S3's clock: the leader looks for one every two seconds."""


class NotPossible(HoldfastError):
    """This cluster cannot fail over as asked; nothing was ordered."""


@dataclass(frozen=True)
class Plan:
    """Who leads now, and who shall: None where the Sentinels may choose among `candidates`."""

    leader: str
    to: str | None
    candidates: tuple[str, ...]


def plan(cluster: Cluster, seen: Mapping[str, Report | Unreadable], to: str | None) -> Plan:
    """What `holdfast failover` would do.

    Raises:
        NotPossible: there is no leader, no replica in sync, or `to` is none.
    """
    found = status.work_out(cluster, seen)
    name = cluster.environment.name
    if found.leader is None:
        raise NotPossible(f"{name} has no leader now: look with: holdfast status {name}")
    candidates = tuple(node.name for node in found.nodes if node.role == "replica" and node.healthy)
    if not candidates:
        raise NotPossible(f"{name}: no replica is in sync with {found.leader}; look with: holdfast status {name}")
    if to is not None and to not in candidates:
        raise NotPossible(f"--to {to}: it is no replica in sync; accepted: {', '.join(candidates)}")
    return Plan(found.leader, to, candidates)


def order(environment: Environment, planned: Plan) -> OrderAnswer:
    """Have the leader hand over, and wait for what comes of it.

    Raises:
        CloudError: the API refused, or the leader did not answer in time.
    """
    with orders.giving(environment, names.FAILOVER_ORDER_KEY, "ordering the failover") as give:
        return _answer(environment, planned.leader, give({"from": planned.leader, "to": planned.to}))


def _answer(environment: Environment, leader: str, order_id: str) -> OrderAnswer:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        report = reports.fetch(environment).get(leader)
        if isinstance(report, Report) and report.order and report.order.id == order_id:
            return report.order
        time.sleep(POLL)
    raise cloud.CloudError(
        f"{environment.name}: {leader} did not answer within {PATIENCE:.0f} s; the order is withdrawn. "
        f"Look with: holdfast status {environment.name}"
    )
