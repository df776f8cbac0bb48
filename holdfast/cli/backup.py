"""The `holdfast backup` commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from holdfast.cli import options
from holdfast.cli.console import err, give, out, print_json, say
from holdfast.cli.group import Group
from holdfast.cli.options import load

if TYPE_CHECKING:
    from holdfast.ops.backups.store import Backup, Progress


@click.group(cls=Group)
def backup() -> None:
    """List, take, check or download backups."""


@backup.command("list")
@options.environment
@options.json_too
def show(environment: str, as_json: bool) -> int:
    """List the backups, the newest one first.

    It works after the environment is gone too.
    """
    from holdfast.ops.backups.store import Store

    found = Store(load(environment)).all()
    if as_json:
        print_json([one.as_json() for one in found])
        return 0
    table = Table(box=None, pad_edge=False)
    for column in ("id", "kept", "keys", "size", "Redis", "state"):
        table.add_column(column, overflow="fold")
    for one in found:
        facts, columns = one.manifest, ("–", "–", "–")
        if facts:
            columns = (f"{facts.keys:,}", size(facts.bytes), facts.redis_version)
        table.add_row(one.id, one.tier, *columns, one.problem or "complete")
    out.print(table if found else "no backup yet")
    return 0


@backup.command()
@options.environment
@options.json_too
def take(environment: str, as_json: bool) -> int:
    """Take a backup now, beside the schedule.

    The exit code is 1 where it failed.
    """
    from dataclasses import asdict

    from holdfast.ops.backups.take import take as order

    report = order(load(environment), say)
    made = report.backup
    assert made is not None
    give(as_json, {"node": report.node, **asdict(made)}, f"{made.id or 'no backup'}: {made.says}, by {report.node}")
    return 0 if made.done else 1


@backup.command()
@options.environment
@click.argument("id", required=False, help="Id of a backup.  [default: the newest one]")
@options.json_too
def check(environment: str, id: str | None, as_json: bool) -> int:
    """Read a whole backup and compare it with its hashes: that of ID, or the newest one.

    The exit code is 1 where it differs.
    """
    from holdfast.ops.backups.store import Store

    store = Store(load(environment))
    chosen = store.find(id)
    with showing(f"checking {chosen.id}") as progress:
        store.check(chosen, progress)
    give(as_json, chosen.as_json(), f"{chosen.id}: {_facts(chosen)}; every part is what was saved")
    return 0


@backup.command()
@options.environment
@click.argument("id", help="Id of a backup.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), help="Path of the file to write.")
@options.json_too
def download(environment: str, id: str, file: Path, as_json: bool) -> int:
    """Write the backup ID to FILE, an RDB that Redis loads.

    There is no file where the backup differs from its hashes.
    """
    from holdfast.ops.backups.store import Store

    store = Store(load(environment))
    chosen = store.find(id)
    with showing(f"downloading {chosen.id}") as progress:
        store.download(chosen, file, progress)
    give(as_json, {"file": str(file), **chosen.as_json()}, f"{file}: {_facts(chosen)}")
    return 0


@contextmanager
def showing(doing: str) -> Iterator[Progress]:
    """What shows how far something is that goes by parts."""
    with err.status(doing) as shown:
        yield lambda done, parts: shown.update(f"{doing}: part {done + 1} of {parts}")


def _facts(chosen: Backup) -> str:
    facts = chosen.manifest
    return f"{facts.keys:,} keys, {size(facts.bytes)}, of Redis {facts.redis_version}" if facts else ""


def size(count: int) -> str:
    """Bytes, for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024  # type: ignore[assignment]
    return f"{count:.4g} GiB"
