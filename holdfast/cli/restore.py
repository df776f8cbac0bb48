"""The `holdfast restore` command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from holdfast.cli import options
from holdfast.cli.backup import showing, size
from holdfast.cli.console import give, say
from holdfast.cli.options import EnvironmentName, load
from holdfast.cli.retire import confirm

if TYPE_CHECKING:
    from holdfast.ops.restore.plan import Plan

LATEST = "latest"


@click.command()
@options.environment
@click.argument("id", required=False, help="Id of a backup, or `latest`.  [default: the newest one]")
@click.option(
    "--from", "source", type=EnvironmentName(), metavar="OTHER", help="Restore a backup of another environment."
)
@click.option("--undo", is_flag=True, help="Put back the data of before the last restore.")
@click.option("--yes-really", metavar="NAME", help="Confirm without a prompt: the name of the environment again.")
@options.json_too
def restore(
    environment: str, id: str | None, source: str | None, undo: bool, yes_really: str | None, as_json: bool
) -> int:
    """Replace all data of an environment by that of a backup.

    It prints what it will do, and asks for the name of the environment.
    The data of now is kept on the nodes for 14 days, and --undo puts it back.
    """
    from holdfast.ops import reports
    from holdfast.ops.restore import plan, run
    from holdfast.topology import Cluster

    if undo and (id or source):
        raise click.UsageError("--undo goes with neither ID nor --from.")
    loaded = load(environment)
    origin = load(source) if source else loaded
    cluster, seen, (generation, brought_by) = Cluster.of(loaded), reports.fetch(loaded), run.generation(loaded)
    if undo:
        planned = plan.of_undo(cluster, seen, generation, brought_by)
    else:
        planned = plan.of_backup(cluster, seen, generation, origin, None if id == LATEST else id)
    say("\n".join(announcement(planned)))
    confirm(loaded.name, yes_really)
    with showing(f"copying {planned.backup.id}" if planned.backup else "restoring") as progress:
        done = run.restore(loaded, origin, planned, say, progress)
    what = f"is as {done.backup} has it" if done.backup else f"has the data of before {planned.undo}"
    away = "" if done.away is None else f"writes were away for {done.away:.1f} s; "
    give(
        as_json,
        asdict(done),
        f"{done.environment} {what}; {done.node} leads",
        f"{away}before: kept until {done.kept_until}; back: holdfast restore {done.environment} --undo",
    )
    return 0


def announcement(planned: Plan) -> Iterator[str]:
    """What will be done, line by line."""
    from holdfast.ops.restore.plan import KEPT_DAYS, age

    yield f"All data of {planned.environment} will be replaced:"
    yield ""
    if planned.backup is not None and planned.backup.manifest is not None:
        facts, of = planned.backup.manifest, f" of {planned.source}" * (planned.source != planned.environment)
        old = _ago(age(planned.backup))
        yield f"  by         {planned.backup.id}{of}: {old} old, {facts.keys:,} keys, {size(facts.bytes)}"
        yield f"  format     RDB {facts.rdb_version}, by Redis {facts.redis_version}; Redis {planned.engine} loads it"
    elif planned.undo_until is not None:
        yield f"  by         that of before generation {planned.undo}, kept until {_day(planned.undo_until)}"
    leads = f"; {planned.leader} hands over to it" if planned.hands_over else ""
    has = "prepares it while traffic goes on" if planned.backup else "has it"
    yield f"  by whom    {planned.node} {has}{leads}"
    if planned.away is not None:
        yield f"  without    writes and reads for about {planned.away:.0f} s, while all Redis restart"
    else:
        yield "  without    writes and reads while all Redis restart, load and sync"
    yield f"  data now   is kept on the nodes for {KEPT_DAYS} days; writes until the restart are in it"
    yield f"  back       holdfast restore {planned.environment} --undo"
    for node in planned.silent:
        yield f"  {node} does not report: where its machine is off, it takes the data when it is back"
    yield ""


def _ago(seconds: float) -> str:
    for unit, span in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * span:
            return f"{seconds / span:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
