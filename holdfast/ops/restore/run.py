"""Doing a restore: one node prepares, it takes the lead, and then all change over to the new generation at once."""

from __future__ import annotations

import json
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud, failover, reports, status
from holdfast.ops.backups.store import Progress
from holdfast.ops.reports import Report
from holdfast.ops.restore.copies import copied
from holdfast.ops.restore.plan import KEPT_DAYS, Plan
from holdfast.topology import Cluster, Environment, names

BEAT, LOST = 10.0, 30.0
"""Seconds between two words that the command still runs, and without one, after which it does not."""

POLL = 0.5

SILENT = 120.0
"""Seconds without a word of the node that prepares, which may restart meanwhile."""

STUCK = 45.0
"""Seconds for the node that brings the data to begin with it, once all were told; then the change is taken back."""

TAKES = 900.0
"""Seconds to load and sync."""

THERE = "PreconditionFailed"


class Busy(HoldfastError):
    """Somebody else restores just now."""


class Failed(HoldfastError):
    """The data is that of before."""


@dataclass(frozen=True)
class Done:
    environment: str
    generation: str
    node: str
    backup: str | None
    away: float | None
    """Seconds without writes, as the node measured it that brought the data."""
    kept_until: str
    """In ISO 8601."""


def generation(environment: Environment) -> tuple[str, str]:
    """In which generation all data has to be, and which node brought it."""
    found = _read(environment)
    return str(found["id"]), str(found.get("node"))


def restore(
    environment: Environment, source: Environment, planned: Plan, say: Callable[[str], None], progress: Progress
) -> Done:
    """Do what was planned, and wait for the end.

    Raises:
        Busy: another command does.
        Failed: it could not be done, and nothing has changed.
        CloudError: the API refused. What was begun with the last step goes on by itself.
    """
    with _alone(environment, planned.node) as (order, write):
        if planned.backup is not None:
            with copied(environment, source, planned.backup, progress) as prefix:
                write({"from": prefix})
                prepared: str | None = _prepared(environment, planned.node, order, say)
        else:
            prepared = None
        if planned.hands_over:
            say(f"{planned.leader} hands over to {planned.node}")
            answer = failover.order(environment, failover.Plan(str(planned.leader), planned.node, ()))
            if not answer.done:
                raise Failed(f"{planned.node} could not take the lead: {answer.says}; nothing was changed")
            _wait_until_it_leads(environment, planned.node)
        before = _read(environment)
        made = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        say(f"all nodes change over to generation {made}")
        wanted = {"id": made, "node": planned.node, "backup": prepared, "undo": planned.undo}
        size = planned.backup.manifest.bytes if planned.backup and planned.backup.manifest else None
        _write(environment, {**wanted, "bytes": size and str(size)})
        away = _changed_over(environment, planned.node, made, before, say)
    until = datetime.now(UTC).timestamp() + KEPT_DAYS * 86400
    return Done(
        environment=environment.name,
        generation=made,
        node=planned.node,
        backup=planned.backup.id if planned.backup else None,
        away=away,
        kept_until=f"{datetime.fromtimestamp(until, UTC):%Y-%m-%d}",
    )


@contextmanager
def _alone(environment: Environment, node: str) -> Iterator[tuple[str, Callable[[dict[str, str]], None]]]:
    """The order's id, and what adds to it; said again and again, so that nodes look often, and nobody else begins."""
    s3, bucket, key = cloud.client(environment, "s3"), names.bucket(environment), names.RESTORE_ORDER_KEY
    order, ended = str(uuid.uuid4()), threading.Event()
    content = {"id": order, "node": node}

    def put(**how: str) -> None:
        s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(content).encode(), **how)

    def write(more: dict[str, str]) -> None:
        content.update(more)
        put()

    def beat() -> None:
        while not ended.wait(BEAT):
            try:
                put()
            except (BotoCoreError, ClientError):
                # The next one may arrive.
                continue

    with _explained(environment, "beginning the restore"):
        _require_nobody(environment, s3)
        try:
            put(IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] == THERE:
                raise Busy(f"{environment.name}: another restore has just begun; wait for its end") from None
            raise
    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    interrupted = False
    try:
        with _explained(environment, "restoring"):
            yield order, write
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        ended.set()
        beating.join(LOST)
        # While one counts nodes look often, and so end soon what was begun.
        if not interrupted:
            with _explained(environment, "ending the restore"):
                s3.delete_object(Bucket=bucket, Key=key)


def _require_nobody(environment: Environment, s3: Any) -> None:
    """One that was interrupted has left its order, which counts no more."""
    bucket, key = names.bucket(environment), names.RESTORE_ORDER_KEY
    try:
        found = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return
        raise
    age = (datetime.now(UTC) - found["LastModified"]).total_seconds()
    if age <= LOST:
        raise Busy(
            f"{environment.name}: another restore runs, heard of {max(age, 0):.0f} s ago; wait for its end, "
            f"or {LOST:.0f} s where it was interrupted"
        )
    s3.delete_object(Bucket=bucket, Key=key)


def _prepared(environment: Environment, node: str, order: str, say: Callable[[str], None]) -> str:
    """Wait until that node has the data ready. Returns the SHA-256 of it."""
    heard, said = time.monotonic(), ""
    while time.monotonic() - heard < SILENT:
        report = reports.fetch(environment).get(node)
        if isinstance(report, Report) and report.fresh and report.restore:
            found = report.restore.preparation
            if found.order == order:
                heard = time.monotonic()
                if found.done and found.backup:
                    return found.backup
                if found.done is False:
                    raise Failed(f"{node}: {found.says}; nothing was changed")
                if found.says != said:
                    said = found.says
                    say(f"{node}: {said}")
        time.sleep(POLL)
    raise Failed(f"{node} has said nothing of it for {SILENT:.0f} s; nothing was changed")


def _wait_until_it_leads(environment: Environment, node: str) -> None:
    """By the reports: the next step counts on it."""
    cluster, deadline, leader = Cluster.of(environment), time.monotonic() + LOST, None
    while time.monotonic() < deadline:
        found = status.work_out(cluster, reports.fetch(environment))
        leader = found.leader
        if leader == node:
            return
        time.sleep(POLL)
    raise Failed(
        f"{node} does not lead {LOST:.0f} s after the handover ({leader or 'nobody'} does); nothing was changed"
    )


def _changed_over(
    environment: Environment, node: str, made: str, before: dict[str, Any], say: Callable[[str], None]
) -> float | None:
    """Wait until that node leads with the data. Takes the change back where it cannot begin with it."""
    cluster, begun, said, last = Cluster.of(environment), time.monotonic(), "", "it has said nothing yet"
    while time.monotonic() - begun < TAKES:
        seen = reports.fetch(environment)
        report = seen.get(node)
        found = report.restore if isinstance(report, Report) and report.restore else None
        if found and found.exchange.id == made:
            last = found.exchange.says
            if found.exchange.done and found.generation == made:
                return found.exchange.away
            if last != said:
                said = last
                say(f"{node}: {said}")
        elif found and found.generation == made and status.work_out(cluster, seen).leader == node:
            # Its machine has restarted in the middle.
            return None
        if time.monotonic() - begun > STUCK and found and found.generation != made:
            _write(environment, before)
            raise Failed(
                f"{node} could not begin with the data within {STUCK:.0f} s: {last}; the change was taken back"
            )
        time.sleep(POLL)
    raise cloud.CloudError(
        f"{environment.name}: {node} does not lead with the data after {TAKES:.0f} s: {last}; it goes on by itself. "
        f"Look with: holdfast status {environment.name}; or: holdfast restore {environment.name} --undo"
    )


def _read(environment: Environment) -> dict[str, Any]:
    s3 = cloud.client(environment, "s3")
    with _explained(environment, "reading the generation"):
        try:
            content = s3.get_object(Bucket=names.bucket(environment), Key=names.GENERATION_KEY)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return {"id": names.FIRST_GENERATION, "node": "none"}
            raise
    try:
        found: dict[str, Any] = json.loads(content)
        if not isinstance(found.get("id"), str):
            raise ValueError(f"id: {found.get('id')!r}")
        return found
    except (ValueError, AttributeError) as error:
        raise HoldfastError(f"{environment.name}: {names.GENERATION_KEY} cannot be read: {error}") from None


def _write(environment: Environment, content: dict[str, Any]) -> None:
    s3 = cloud.client(environment, "s3")
    with _explained(environment, "writing the generation"):
        s3.put_object(Bucket=names.bucket(environment), Key=names.GENERATION_KEY, Body=json.dumps(content).encode())


@contextmanager
def _explained(environment: Environment, doing: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, doing, error) from None
