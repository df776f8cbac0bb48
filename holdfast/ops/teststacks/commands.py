"""`holdfast teststack up|down|ls`, `holdfast reap` and `holdfast leftovers`."""

from __future__ import annotations

import argparse
import getpass
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from holdfast.arguments import with_json
from holdfast.errors import HoldfastError
from holdfast.ops.teststacks import clouds, create, files, removal, show, up
from holdfast.ops.teststacks.clouds import Cloud
from holdfast.ops.teststacks.inventory import Inventory, look
from holdfast.ops.teststacks.judge import Fate, exactly, expired_at
from holdfast.ops.teststacks.removal import Removal
from holdfast.ops.teststacks.sweep import Pace
from holdfast.plain import Terminal
from holdfast.topology import Environment, environment_files, find_environment, load_environment, names

out = Terminal()
err = Terminal(stderr=True)

PACE = Pace()


def add_parser(subparsers: Any) -> None:
    """Register the commands."""
    group = subparsers.add_parser(
        "teststack", help="environments that go away", description="Environments that go away."
    )
    commands = group.add_subparsers(required=True, metavar="COMMAND")

    made = _command(commands, "up", _up, "make one like an environment, for a while; nothing new where it is there")
    made.add_argument("name", metavar="NAME", help="its name, with or without the prefix test-")
    made.add_argument("--from", dest="source", required=True, metavar="ENV", help="the environment that it is like")
    made.add_argument("--ttl", required=True, metavar="TIME", help="when it may be reaped: 90m, 4h, 2d")
    made.add_argument("--owner", metavar="NAME", help="who answers for it (default: your login name)")
    made.add_argument(
        "--run", dest="run_id", metavar="ID", help="which run made it, as a CI's number (default: a random one)"
    )

    gone = _command(commands, "down", _down, "destroy one, and all that has exactly its tags")
    gone.add_argument("name", metavar="NAME", help="its name, with or without the prefix test-")
    _patient(gone)

    _in_clouds(
        _command(commands, "ls", _ls, "those that there are: by their files here, and by their tags in the cloud")
    )

    reap = _command(subparsers, "reap", _reap, "remove test stacks that have expired; without --yes, say what would go")
    reap.add_argument("--yes", action="store_true", help="do it")
    _in_clouds(reap)
    _patient(reap)

    _in_clouds(
        _command(subparsers, "leftovers", _leftovers, "what should have gone and is there, and why; 1 if anything")
    )


def _command(group: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = group.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    added.set_defaults(run=run)
    return with_json(added)


def _in_clouds(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--cloud",
        action="append",
        default=[],
        metavar="ENV",
        help="look only where this environment is (its API and region); may be repeated (default: where any one is)",
    )


def _patient(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--patience",
        type=float,
        default=Removal.patience,
        metavar="SECONDS",
        help="for Terraform to destroy a stack, before the sweep goes on (default: %(default).0f)",
    )


def _say(sentence: str) -> None:
    err.print(sentence, markup=False)


def _up(arguments: argparse.Namespace) -> int:
    wish = create.Wish(
        name=create.full_name(arguments.name),
        owner=create.label("--owner", arguments.owner or getpass.getuser()),
        run=create.label("--run", arguments.run_id or secrets.token_hex(4)),
        decided=datetime.now(UTC).replace(microsecond=0),
        lifetime=create.lifetime(arguments.ttl),
    )
    environment, there = up.prepare(load_environment(find_environment(arguments.source)), wish)
    test = environment.teststack
    assert test is not None
    told = f"{environment.name}: like {test.source}, of {test.owner}, run {test.run}, in {environment.network.cidr}"
    if there:
        _say(f"{told}: there already, as it was decided then; it expires at {test.expires_text} as before")
    else:
        _say(f"{told}: may be reaped from {test.expires_text} on ({files.path(environment.name)})")
    up.deploy(environment, _say)
    if arguments.json:
        _print_json({"name": environment.name, "cidr": str(environment.network.cidr), "tags": names.tags(environment)})
    else:
        out.print(f"{environment.name} is up; look with: holdfast status {environment.name}", markup=False)
    return 0


def _down(arguments: argparse.Namespace) -> int:
    name = create.full_name(arguments.name)
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
    judge = exactly(names.tags(environment))
    removing = Removal(cloud, judge, files.stored, _say, patience=arguments.patience, pace=PACE)
    before = _look(removing.look, cloud)
    told = _carry_out(removing, before, account, quiet=arguments.json)
    if arguments.json:
        _print_json(told)
    return 1 if told["survivors"] or told["refused"] else 0


def _reap(arguments: argparse.Namespace) -> int:
    judge = expired_at(datetime.now(UTC))

    def one(cloud: Cloud, stored: Sequence[Environment]) -> dict[str, Any]:
        account = clouds.require_listed(cloud)
        removing = Removal(cloud, judge, files.stored, _say, arguments.patience, lock=False, pace=PACE)
        before = _look(removing.look, cloud)
        if arguments.yes:
            return _carry_out(removing, before, account, quiet=arguments.json)
        if not arguments.json:
            out.print("\n".join([f"{cloud}, account {account}:", *show.plan_text(before)]), markup=False)
            if before.ending:
                out.print("nothing was done; to do it: holdfast reap --yes")
        return {"account": account, "goes": show.going_json(before), "removed": [], **show.as_json(before, [])}

    told = _each(arguments.cloud, one)
    if arguments.json:
        _print_json({"yes": arguments.yes, "clouds": told})
    return 1 if any(it.get("error") or it.get("survivors") for it in told) else 0


def _carry_out(removing: Removal, before: Inventory, account: str, *, quiet: bool) -> dict[str, Any]:
    _say("\n".join([f"{removing.cloud}, account {account}:", *show.plan_text(before)]))
    after, left = removing.carry_out(before)
    still = {it.key for it in after.going}
    removed = [it for it in before.going if it.key not in still]
    if not quiet:
        out.print(
            "\n".join(show.survivors_text(left)) or f"removed: {', '.join(before.ending) or 'nothing'}", markup=False
        )
    return {
        "account": account,
        "goes": show.going_json(before),
        "removed": [f"{it}" for it in removed],
        **show.as_json(after, left),
    }


def _leftovers(arguments: argparse.Namespace) -> int:
    judge = expired_at(datetime.now(UTC))

    def one(cloud: Cloud, stored: Sequence[Environment]) -> dict[str, Any]:
        seen = _look(lambda: look(cloud, judge, stored), cloud)
        left = removal.survivors(cloud, seen, (Fate.GOES, Fate.REFUSED))
        if not arguments.json:
            lines = show.survivors_text(left) or [f"{cloud}: nothing is left over"]
            lines += [f"waiting: {it.environment}: {it}: {it.thing.note}" for it in seen.waiting]
            out.print("\n".join(lines), markup=False)
        return show.as_json(seen, left)

    told = _each(arguments.cloud, one)
    if arguments.json:
        _print_json({"clouds": told})
    return 1 if any(it.get("error") or it.get("survivors") for it in told) else 0


def _ls(arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)

    def one(cloud: Cloud, stored: Sequence[Environment]) -> dict[str, Any]:
        return {"teststacks": show.rows(_look(lambda: look(cloud, expired_at(now), stored), cloud), now)}

    told = _each(arguments.cloud, one)
    if arguments.json:
        _print_json({"clouds": told})
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
        out.print("no test stacks")
    return 1 if any(it.get("error") for it in told) else 0


def _each(named: Sequence[str], one: Callable[[Cloud, Sequence[Environment]], dict[str, Any]]) -> list[dict[str, Any]]:
    """What `one` tells of each cloud. One that fails is told of, and holds up no other."""
    stored = files.stored()
    if named:
        environments = [load_environment(find_environment(name)) for name in named]
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
                _say(f"{cloud} does not answer, and no test stack here says to be there: left out")
        except HoldfastError as error:
            err.print(str(error), style="red", markup=False)
            told.append({"cloud": str(cloud), "error": str(error)})
    return told


def _look(look: Callable[[], Inventory], cloud: Cloud) -> Inventory:
    with err.status(f"looking at {cloud}"):
        return look()


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2))
