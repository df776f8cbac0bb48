"""`holdfast teststack up|down|ls`, `holdfast reap` and `holdfast leftovers`."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from holdfast.cli import options
from holdfast.cli.console import err, give, out, print_json, say, tell
from holdfast.cli.group import Group
from holdfast.cli.options import EnvironmentName, load
from holdfast.errors import HoldfastError
from holdfast.ops.teststacks import TERRAFORM_TIMEOUT
from holdfast.plain import Terminal

if TYPE_CHECKING:
    from holdfast.ops.teststacks.clouds import Cloud
    from holdfast.ops.teststacks.inventory import Inventory
    from holdfast.ops.teststacks.removal import Removal
    from holdfast.topology import Environment


@click.group(cls=Group)
def teststack() -> None:
    """Create, list or destroy short-lived environments."""


stack_name = click.argument("name", metavar="NAME", help="Name of the test stack, with or without the prefix test-.")
in_clouds = click.option(
    "--cloud",
    "named",
    type=EnvironmentName(),
    multiple=True,
    metavar="ENV",
    help="Look only at the API and region of this environment. May be repeated.  [default: those of every environment]",
)


def timeout(command: Callable[..., int]) -> Callable[..., int]:
    """`--timeout`, and its former name."""
    command = click.option("--patience", "timeout", type=float, hidden=True)(command)
    return click.option(
        "--timeout",
        type=float,
        default=TERRAFORM_TIMEOUT,
        show_default=True,
        metavar="SECONDS",
        help="How long Terraform may take to destroy a stack, before what is left is deleted without it.",
    )(command)


@teststack.command()
@stack_name
@click.option("--from", "source", required=True, type=EnvironmentName(), metavar="ENV", help="Environment to copy.")
@click.option("--ttl", required=True, metavar="TIME", help="Lifetime, such as 90m, 4h or 2d.")
@click.option("--owner", metavar="NAME", help="Who is responsible for it.  [default: your login name]")
@click.option(
    "--run", "run_id", metavar="ID", help="Id of the run that creates it, such as a CI run.  [default: a random id]"
)
@options.json_too
def up(name: str, source: str, ttl: str, owner: str | None, run_id: str | None, as_json: bool) -> int:
    """Create and deploy a short-lived copy of an environment.

    Repeat it to go on after a failed deploy: an existing test stack keeps its lifetime.
    """
    from holdfast.ops.teststacks import create, files, up
    from holdfast.topology import names

    wish = create.Wish(
        name=create.full_name(name),
        owner=create.label("--owner", owner or getpass.getuser()),
        run=create.label("--run", run_id or secrets.token_hex(4)),
        decided=datetime.now(UTC).replace(microsecond=0),
        lifetime=create.lifetime(ttl),
    )
    environment, there = up.prepare(load(source), wish)
    test = environment.teststack
    assert test is not None
    told = f"{environment.name}: like {test.source}, of {test.owner}, run {test.run}, in {environment.network.cidr}"
    if there:
        say(f"{told}: there already, as it was decided then; it expires at {test.expires_text} as before")
    else:
        say(f"{told}: may be reaped from {test.expires_text} on ({files.path(environment.name)})")
    up.deploy(environment, say)
    content = {"name": environment.name, "cidr": str(environment.network.cidr), "tags": names.tags(environment)}
    give(as_json, content, f"{environment.name} is up; look with: holdfast status {environment.name}")
    return 0


@teststack.command()
@stack_name
@timeout
@options.json_too
def down(name: str, timeout: float, as_json: bool) -> int:
    """Destroy a test stack, and every resource with exactly its tags."""
    from holdfast.ops.teststacks import clouds, create, files
    from holdfast.ops.teststacks.judge import exactly
    from holdfast.ops.teststacks.removal import Removal
    from holdfast.topology import names

    name = create.full_name(name)
    stored = files.stored()
    environment = next((it for it in stored if it.name == name), None)
    if environment is None:
        known = ", ".join(it.name for it in stored) or "none"
        raise create.UsageError(
            f"{name}: found no file {files.path(name)}; there are: {known}. One that was made elsewhere is taken down "
            "there, or reaped when it has expired: holdfast reap"
        )
    (cloud,) = clouds.clouds_of([environment])
    account = clouds.require_listed(cloud)
    removing = Removal(cloud, exactly(names.tags(environment)), files.stored, say, patience=timeout)
    before = _look(removing.look, cloud)
    told = _carry_out(removing, before, account, quiet=as_json)
    if as_json:
        print_json(told)
    return 1 if told["survivors"] or told["refused"] else 0


@click.command()
@click.option("--yes", is_flag=True, help="Remove them, instead of listing them only.")
@in_clouds
@timeout
@options.json_too
def reap(yes: bool, named: tuple[str, ...], timeout: float, as_json: bool) -> int:
    """Remove expired test stacks.

    Without --yes it lists what it would remove, and changes nothing.
    """
    from holdfast.cli import show_teststacks as show
    from holdfast.ops.teststacks import clouds, files
    from holdfast.ops.teststacks.judge import expired_at
    from holdfast.ops.teststacks.removal import Removal

    judge = expired_at(datetime.now(UTC))

    def one(cloud: Cloud, stored: Sequence[Environment]) -> dict[str, Any]:
        account = clouds.require_listed(cloud)
        removing = Removal(cloud, judge, files.stored, say, timeout, lock=False)
        before = _look(removing.look, cloud)
        if yes:
            return _carry_out(removing, before, account, quiet=as_json)
        if not as_json:
            tell(f"{cloud}, account {account}:", *show.plan_text(before))
            if before.ending:
                tell("nothing was done; to do it: holdfast reap --yes")
        return {"account": account, "goes": show.going_json(before), "removed": [], **show.as_json(before, [])}

    told = _each(named, one)
    if as_json:
        print_json({"yes": yes, "clouds": told})
    return 1 if any(it.get("error") or it.get("survivors") for it in told) else 0


def _carry_out(removing: Removal, before: Inventory, account: str, *, quiet: bool) -> dict[str, Any]:
    from holdfast.cli import show_teststacks as show

    say("\n".join([f"{removing.cloud}, account {account}:", *show.plan_text(before)]))
    after, left = removing.carry_out(before)
    still = {it.key for it in after.going}
    removed = [it for it in before.going if it.key not in still]
    if not quiet:
        tell(*show.survivors_text(left) or [f"removed: {', '.join(before.ending) or 'nothing'}"])
    return {
        "account": account,
        "goes": show.going_json(before),
        "removed": [f"{it}" for it in removed],
        **show.as_json(after, left),
    }


@click.command()
@in_clouds
@options.json_too
def leftovers(named: tuple[str, ...], as_json: bool) -> int:
    """List what should be gone but still exists, and why.

    The exit code is 1 if there is anything.
    """
    from holdfast.cli import show_teststacks as show
    from holdfast.ops.teststacks import removal
    from holdfast.ops.teststacks.inventory import look
    from holdfast.ops.teststacks.judge import Fate, expired_at

    judge = expired_at(datetime.now(UTC))

    def one(cloud: Cloud, stored: Sequence[Environment]) -> dict[str, Any]:
        seen = _look(lambda: look(cloud, judge, stored), cloud)
        left = removal.survivors(cloud, seen, (Fate.GOES, Fate.REFUSED))
        if not as_json:
            lines = show.survivors_text(left) or [f"{cloud}: nothing is left over"]
            tell(*lines, *[f"waiting: {it.environment}: {it}: {it.thing.note}" for it in seen.waiting])
        return show.as_json(seen, left)

    told = _each(named, one)
    if as_json:
        print_json({"clouds": told})
    return 1 if any(it.get("error") or it.get("survivors") for it in told) else 0


@teststack.command()
@in_clouds
@options.json_too
def ls(named: tuple[str, ...], as_json: bool) -> int:
    """List test stacks, by their files here and by their tags in the cloud."""
    from holdfast.cli import show_teststacks as show
    from holdfast.ops.teststacks.inventory import look
    from holdfast.ops.teststacks.judge import expired_at

    now = datetime.now(UTC)

    def one(cloud: Cloud, stored: Sequence[Environment]) -> dict[str, Any]:
        return {"teststacks": show.rows(_look(lambda: look(cloud, expired_at(now), stored), cloud), now)}

    told = _each(named, one)
    if as_json:
        print_json({"clouds": told})
        return 1 if any(it.get("error") for it in told) else 0
    rows = [row for it in told for row in it.get("teststacks", ())]
    table = Table(box=None, pad_edge=False, header_style="dim")
    columns = ("name", "from", "owner", "run", "when", "resources", "recorded", "refused", "file")
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        cells = [row[column] for column in columns[:-1]] + ["here" if row["file"] else "–"]
        table.add_row(*(Text("–" if cell is None else str(cell)) for cell in cells))
    if rows:
        Terminal(soft_wrap=False, width=max(out.width, 140)).print(table)
    else:
        tell("no test stacks")
    return 1 if any(it.get("error") for it in told) else 0


def _each(named: Sequence[str], one: Callable[[Cloud, Sequence[Environment]], dict[str, Any]]) -> list[dict[str, Any]]:
    """What `one` tells of each cloud. One that fails is told of, and holds up no other."""
    from holdfast.ops.teststacks import clouds, files
    from holdfast.topology import environment_files, load_environment

    stored = files.stored()
    if named:
        environments = [load(name) for name in named]
    else:
        environments = [*(load_environment(file) for file in environment_files()), *stored]
    told: list[dict[str, Any]] = []
    for cloud in clouds.clouds_of(environments):
        expected = any(environment.api_endpoint == cloud.endpoint for environment in stored)
        try:
            if cloud.answers():
                told.append({"cloud": str(cloud), "error": None, **one(cloud, stored)})
            elif named or expected:
                raise HoldfastError(f"{cloud} does not answer; is the twin up? `holdfast twin up`")
            else:
                # An emulation that does not run holds nothing.
                say(f"{cloud} does not answer, and no test stack here says to be there: left out")
        except HoldfastError as error:
            err.print(str(error), style="red", markup=False)
            told.append({"cloud": str(cloud), "error": str(error)})
    return told


def _look(look: Callable[[], Inventory], cloud: Cloud) -> Inventory:
    with err.status(f"looking at {cloud}"):
        return look()
