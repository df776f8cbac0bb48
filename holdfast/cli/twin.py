"""The `holdfast twin` commands: start, inspect, break, heal and end the cloud on this machine."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from holdfast.cli import options
from holdfast.cli.console import err, give, out, print_json, tell
from holdfast.cli.group import Group
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.twin.faults.kind import Kind


@click.group(cls=Group)
def twin() -> None:
    """Run the cloud on this machine, and break it on purpose."""


@twin.command()
@click.option("--images", default="", metavar="NAMES", help="Images to build first, such as debian-12,debian-13-stock.")
@click.option(
    "--quota",
    "quotas",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Raise a quota of the account, such as elastic-ips=20, on a running twin too. May be repeated.",
)
@options.json_too
def up(images: str, quotas: tuple[str, ...], as_json: bool) -> int:
    """Start the twin. Idempotent."""
    from holdfast.twin import client, lifecycle

    granted = dict(_quota(given) for given in quotas)
    names = [name for name in images.split(",") if name]
    with err.status("the twin") as status:
        started = lifecycle.up(names, lambda doing: status.update(doing))
        if granted:
            client.request("grant", quotas=granted)
    api = client.request("state")["api"]
    text = f"the twin {'is up' if started else 'was up already'}: its API is at {api}"
    give(as_json, {"started": started, "api": api}, text)
    return 0


def _quota(given: str) -> tuple[str, int]:
    name, _, number = given.partition("=")
    if not number.isdecimal():
        raise HoldfastError(f"--quota {given}: accepted is NAME=NUMBER, such as elastic-ips=20")
    return name, int(number)


@twin.command()
@click.option("--images", is_flag=True, help="Remove the built images too.")
@options.json_too
def down(images: bool, as_json: bool) -> int:
    """End the twin, and remove everything but built images."""
    from holdfast.twin import images as built
    from holdfast.twin import lifecycle

    with err.status("the twin") as status:
        removed = lifecycle.down(lambda doing: status.update(doing))
        if images:
            built.drop()
    text = f"the twin is gone: removed {', '.join(removed)}" if removed else "there was no twin"
    give(as_json, {"removed": removed}, text)
    return 0


@twin.command()
@options.json_too
def ls(as_json: bool) -> int:
    """List its environments, machines, addresses and faults."""
    from holdfast.twin import client, faults

    try:
        state = client.request("state")
    except client.NotRunning:
        if not as_json:
            raise
        print_json({"running": False, "instances": [], "environments": {}, "faults": []})
        return 1
    recorded = faults.recorded()
    if as_json:
        print_json({"running": True, **state, "faults": [asdict(fault) for fault in recorded]})
        return 0
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("machine", "instance", "zone", "state", "addresses"):
        table.add_column(heading, no_wrap=heading != "addresses")
    for instance in state["instances"]:
        shown = "without power" if instance["powered_off"] else instance["state"]
        shown += ", cut off" if instance["isolated"] else ""
        cells = (instance["name"], instance["id"], instance["zone"][-1:], shown)
        table.add_row(*(cell or "–" for cell in cells), " ".join(instance["addresses"]))
    out.print(table)
    for fault in recorded:
        tell(f"fault: {fault.environment} {fault}")
    for environment, forwards in state["forwards"].items():
        ports = ", ".join(f"{kind} at {address}" for kind, address in forwards.items())
        tell(f"from this machine, {environment}: {ports}")
    return 0


@twin.command("exec", options_metavar="")
@click.argument("node", metavar="NODE", help="Name of a machine, or its instance id.")
@click.argument("command", metavar="-- CMD...", nargs=-1, required=True, help="Command with its arguments.")
def run_in(node: str, command: tuple[str, ...]) -> int:
    """Run a command in a machine.

    Example: holdfast twin exec local-a1 -- systemctl --failed
    """
    from holdfast.twin import client, machines

    for instance in client.request("state")["instances"]:
        if node in (instance["name"], instance["id"]) and instance["namespace"] is not None:
            return machines.exec(instance["id"], command, stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr)
    raise HoldfastError(f"no machine {node} is running; look with: holdfast twin ls")


class Faults(Group):
    """A command for each kind of fault. They are read when one is asked for: the twin is large."""

    heading = "Kinds"

    def list_commands(self, ctx: click.Context) -> list[str]:
        from holdfast.twin.faults.kinds import KINDS

        for name, kind in KINDS.items():
            self.add_command(_fault(name, kind))
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        self.list_commands(ctx)
        return super().get_command(ctx, cmd_name)


@twin.group(cls=Faults, subcommand_metavar="KIND [ARGS]...")
@options.deployed
def fault(environment: str) -> None:
    """Inject a fault into an environment, until heal undoes it."""


def _fault(name: str, kind: Kind) -> click.Command:
    taken: list[click.Parameter] = []
    if kind.target is not None:
        text = "Nodes or zones, separated by commas; or leader, replica or all."
        default = f"  [default: {kind.target}]" if kind.target else ""
        taken.append(
            click.Argument(["target"], metavar="TARGET", required=not kind.target, default=None, help=text + default)
        )
    taken += [
        click.Option(
            [option.flag, option.field],
            metavar=option.metavar,
            type=str if option.highest is None else float,
            default=option.default,
            show_default=True,
            help=option.help,
        )
        for option in kind.options
    ]
    return options.json_too(click.Command(name, callback=_inflict, params=taken, help=kind.help))


@click.pass_context
def _inflict(ctx: click.Context, /, target: str | None = None, *, as_json: bool, **given: Any) -> int:
    from holdfast.twin import faults

    assert ctx.parent is not None and ctx.info_name is not None
    fault = faults.inflict(ctx.parent.params["environment"], ctx.info_name, target, **given)
    text = f"{fault} ({', '.join(fault.instances)}); undo: holdfast twin heal {fault.environment}"
    give(as_json, asdict(fault), text)
    return 0


@twin.command()
@options.deployed
@options.json_too
def heal(environment: str, as_json: bool) -> int:
    """Undo every fault of an environment."""
    from holdfast.twin import faults

    healed = faults.heal(environment)
    text = f"healed: {', '.join(map(str, healed))}" if healed else "nothing was broken"
    give(as_json, {"healed": [asdict(fault) for fault in healed]}, text)
    return 0
