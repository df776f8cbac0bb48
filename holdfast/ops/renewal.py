"""Having a node take what is new in its secrets: an order to it, until its report says that it has."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from holdfast.errors import HoldfastError
from holdfast.ops import orders, reports, status
from holdfast.ops.reports import OrderAnswer, Report
from holdfast.topology import Cluster, Node, names

PATIENCE = 60.0
"""Seconds for one node to take it: it looks for an order every five."""

ORDER_COUNTS = 20.0
"""Seconds until an order is given anew: a node takes none that is older than thirty."""

POLL = 0.5


class NotTaken(HoldfastError):
    """A node did not take what it was told; the same command goes on from there."""


PASSWORD, CERTIFICATE, SESSIONS = "password", "certificate", "sessions"


def look(cluster: Cluster) -> status.Status:
    return status.work_out(cluster, reports.fetch(cluster.environment))


def wait_healthy(cluster: Cluster, what: str, patience: float = 0) -> None:
    """Before a `PASSWORD` or `CERTIFICATE` changes.

    Raises:
        NotTaken: the cluster is not healthy within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while ailing := look(cluster).ailing:
        if time.monotonic() >= deadline:
            name = cluster.environment.name
            raise NotTaken(f"{name} is not healthy, so no {what} changes now: {'; '.join(ailing)}")
        time.sleep(POLL)


def renew(cluster: Cluster, node: Node, has: Callable[[Report], bool], what: str) -> bool:
    """Where a node's report does not say that it has a new `PASSWORD` or `CERTIFICATE`: tell it to take that.

    Waits until it says so.

    Returns:
        Whether it was told.

    Raises:
        NotTaken: it did not.
        CloudError: the API refused.
    """
    if _seen(cluster, node, has):
        return False
    _order(cluster, node, {"what": what}, lambda report, _: has(report), f"take a new {what}")
    return True


def end_sessions(cluster: Cluster, node: Node, ended: Sequence[str]) -> str:
    """Have a node's Redis end all sessions of these users; what the node says of it.

    Raises:
        NotTaken: it did not.
        CloudError: the API refused.
    """
    told: list[OrderAnswer] = []

    def answered(report: Report, given: Collection[str]) -> bool:
        if report.sessions and report.sessions.id in given:
            told.append(report.sessions)
        return bool(told)

    content = {"what": SESSIONS, "users": ",".join(ended)}
    _order(cluster, node, content, answered, f"end the sessions of {', '.join(ended)}")
    if not told[0].done:
        raise NotTaken(f"{node.name}: {told[0].says}; to try again, give the same command")
    return told[0].says


def _order(
    cluster: Cluster,
    node: Node,
    content: Mapping[str, str],
    done: Callable[[Report, Collection[str]], bool],
    what: str,
) -> None:
    """Tell a node until its report says that it is `done`; that takes the ids of the orders, too."""
    environment, started, ordered = cluster.environment, time.monotonic(), float("-inf")
    given: list[str] = []
    with orders.giving(environment, names.RENEWAL_ORDER_KEY, f"ordering {node.name} to {what}") as give:
        while not _seen(cluster, node, lambda report: done(report, given)):
            now = time.monotonic()
            if now - started > PATIENCE:
                raise NotTaken(
                    f"{environment.name}: {node.name} did not {what} within {PATIENCE:.0f} s; its journal "
                    "says why. What it had counts as long as before; to go on, give the same command again"
                )
            if now - ordered > ORDER_COUNTS:
                ordered = now
                given.append(give({"node": node.name, **content}))
            time.sleep(POLL)


def _seen(cluster: Cluster, node: Node, has: Callable[[Report], bool]) -> bool:
    report = reports.fetch(cluster.environment).get(node.name)
    return isinstance(report, Report) and report.fresh and has(report)
