"""The health gate at the end of every zone's deploy: holds until the zone's new nodes are back in sync, or fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from holdfast.errors import HoldfastError
from holdfast.ops import reports, status
from holdfast.ops.cloud import CloudError
from holdfast.ops.reports import Report, Unreadable
from holdfast.topology import Cluster, Environment

POLL = 1.0
"""Seconds between two looks."""


class GateClosed(HoldfastError):
    """The nodes did not get ready in time. Terraform stops here: the zones after this one are untouched."""


def waiting_for(expected: Mapping[str, str], seen: Mapping[str, Report | Unreadable]) -> list[str]:
    """Why the gate must still hold, one sentence for each node of `expected` (name → instance id); none: it opens."""
    sentences = []
    for node, instance_id in expected.items():
        report = seen.get(node)
        if report is None:
            sentences.append(f"{node} ({instance_id}) has not reported yet")
        elif isinstance(report, Unreadable):
            sentences.append(f"{node} ({instance_id}): {report.says}")
        elif report.instance_id != instance_id:
            sentences.append(f"{node}: the last report is by {report.instance_id}, {instance_id} has not reported yet")
        elif not report.fresh:
            sentences.append(f"{node} ({instance_id}) last reported {report.age:.0f} s ago: {report.decision}")
        elif not report.ready:
            sentences.append(f"{node} ({instance_id}) is not ready: {report.decision}")
    return sentences


def hold(environment: Environment, expected: Mapping[str, str], timeout: float, say: Callable[[str], None]) -> None:
    """Wait until every node of `expected` is ready as that instance.

    Raises:
        GateClosed: after `timeout` seconds, with what was last seen.
    """
    _hold(environment, lambda seen: waiting_for(expected, seen), timeout, say)


def hold_whole(environment: Environment, timeout: float, say: Callable[[str], None]) -> None:
    """Wait until the whole cluster is healthy: leader, replicas, Sentinels and floating pair.

    Raises:
        GateClosed: after `timeout` seconds, with what was last seen.
    """
    cluster = Cluster.of(environment)
    _hold(environment, lambda seen: status.work_out(cluster, seen).ailing, timeout, say)


def _hold(
    environment: Environment,
    reasons: Callable[[Mapping[str, Report | Unreadable]], list[str]],
    timeout: float,
    say: Callable[[str], None],
) -> None:
    deadline = time.monotonic() + timeout
    said: list[str] = []
    while True:
        try:
            left = reasons(reports.fetch(environment))
        except CloudError as error:
            left = [str(error)]
        if not left:
            return
        if left != said:
            said = left
            say("waiting: " + "; ".join(left))
        if time.monotonic() > deadline:
            lines = "".join(f"\n  {reason}" for reason in left)
            raise GateClosed(
                f"{environment.name}: the gate stayed closed for {timeout:.0f} s, the deploy stops here, later zones "
                f"are untouched; last seen:{lines}\n  look with: holdfast status {environment.name}"
            )
        time.sleep(POLL)
