"""The order to take a backup now: obeyed by the node whose turn it is, which tells how far it is in its report."""

from __future__ import annotations

import time
from collections.abc import Callable

from holdfast.errors import HoldfastError
from holdfast.ops import cloud, orders, reports
from holdfast.ops.reports import Report
from holdfast.topology import Environment, names

PATIENCE = 30.0
"""Seconds in which a node takes the order: a node looks every 5 s."""

SILENT = 120.0
"""Seconds without a word of the node that took it, which may restart meanwhile."""

POLL = 1.0


class NoBackups(HoldfastError):
    """The environment's file has them off."""

    exit_code = 2


def take(environment: Environment, say: Callable[[str], None]) -> Report:
    """Have one taken, and wait for what comes of it: the report of the node whose `backup` says so.

    Raises:
        NoBackups: the environment has none.
        CloudError: the API refused, no node took the order, or the one that did fell silent.
    """
    name = environment.name
    if environment.backup is None:
        raise NoBackups(
            f"{name}: backup: found off; accepted: {{every: 24h}} and the like, and: make deploy ENV={name}"
        )
    with orders.giving(environment, names.BACKUP_ORDER_KEY, "ordering a backup") as give:
        return _answer(environment, give({}), say)


def _answer(environment: Environment, order: str, say: Callable[[str], None]) -> Report:
    heard, said, took = time.monotonic(), "", None
    while time.monotonic() - heard < (SILENT if took else PATIENCE):
        for report in reports.fetch(environment).values():
            if isinstance(report, Report) and report.fresh and report.backup and report.backup.order == order:
                heard, took = time.monotonic(), report.node
                if report.backup.done is not None:
                    return report
                if report.backup.says != said:
                    said = report.backup.says
                    say(f"{took}: {said}")
        time.sleep(POLL)
    who = f"{took} has said nothing for {SILENT:.0f} s" if took else f"no node took the order within {PATIENCE:.0f} s"
    raise cloud.CloudError(
        f"{environment.name}: {who}; what was begun may still come to its end. "
        f"Look with: holdfast status {environment.name}; holdfast backup list {environment.name}"
    )
