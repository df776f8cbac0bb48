"""The `holdfast twin` commands: the cloud on this machine, brought up, looked at, broken, healed and taken down."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from rich.table import Table

from holdfast.arguments import with_json
from holdfast.errors import HoldfastError
from holdfast.plain import Terminal
from holdfast.twin import faults
from holdfast.twin.faults.kinds import KINDS

out = Terminal()
err = Terminal(stderr=True)


def add_parser(subparsers: Any) -> None:
    """Register `twin …` with the command line. The twin itself is imported when a command runs: it is large."""
    twin = subparsers.add_parser("twin", help="the cloud on this machine", description="The cloud on this machine.")
    commands = twin.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start the twin; nothing happens where it runs")
    up.add_argument("--images", default="", metavar="NAMES", help="images to build first, as debian-12,debian-13-stock")
    up.add_argument(
        "--quota",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="grant the account more than AWS does at first, as elastic-ips=20 (may be repeated; also where it runs)",
    )
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="end it, and leave nothing of it but built images")
    down.add_argument("--images", action="store_true", help="remove the built images too")
    down.set_defaults(run=_down)

    listed = commands.add_parser("ls", help="its environments, machines, addresses and faults")
    listed.set_defaults(run=_ls)

    run_in = commands.add_parser("exec", help="run a command in a machine", usage="holdfast twin exec NODE -- CMD …")
    run_in.add_argument("node", metavar="NODE")
    run_in.add_argument("command", nargs="+", metavar="CMD")
    run_in.set_defaults(run=_exec)

    _add_faults(commands.add_parser("fault", help="break something; `heal` mends it"))

    heal = commands.add_parser("heal", help="undo every fault of an environment")
    heal.add_argument("environment", metavar="ENV")
    heal.set_defaults(run=_heal)

    for command in (up, down, listed, heal):
        with_json(command)


def _add_faults(fault: argparse.ArgumentParser) -> None:
    fault.add_argument("environment", metavar="ENV")
    kinds = fault.add_subparsers(required=True, dest="kind", metavar="KIND")
    for name, kind in KINDS.items():
        parser = kinds.add_parser(name, help=kind.help, description=f"{kind.help[0].upper()}{kind.help[1:]}.")
        if kind.target is not None:
            default = f" (default: {kind.target})" if kind.target else ""
            parser.add_argument(
                "target",
                metavar="TARGET",
                nargs="?" if kind.target else None,
                help=f"nodes or zones, separated by commas; or leader, replica, all{default}",
            )
        for option in kind.options:
            parser.add_argument(
                option.flag,
                dest=option.field,
                metavar=option.metavar,
                type=str if option.highest is None else float,
                default=option.default,
                help=option.help,
            )
        with_json(parser)
        parser.set_defaults(run=_fault, options=[option.field for option in kind.options])


def _up(arguments: argparse.Namespace) -> int:
    from holdfast.twin import client, lifecycle

    names = [name for name in arguments.images.split(",") if name]
    quotas = dict(_quota(given) for given in arguments.quota)
    with err.status("the twin") as status:
        started = lifecycle.up(names, lambda doing: status.update(doing))
        if quotas:
            client.request("grant", quotas=quotas)
    api = client.request("state")["api"]
    if arguments.json:
        _print_json({"started": started, "api": api})
    else:
        out.print(f"the twin {'is up' if started else 'was up already'}: its API is at {api}")
    return 0


def _quota(given: str) -> tuple[str, int]:
    name, _, number = given.partition("=")
    if not number.isdecimal():
        raise HoldfastError(f"--quota {given}: accepted is NAME=NUMBER, such as elastic-ips=20")
    return name, int(number)


def _down(arguments: argparse.Namespace) -> int:
    from holdfast.twin import images, lifecycle

    with err.status("the twin") as status:
        removed = lifecycle.down(lambda doing: status.update(doing))
        if arguments.images:
            images.drop()
    if arguments.json:
        _print_json({"removed": removed})
    else:
        out.print(f"the twin is gone: removed {', '.join(removed)}" if removed else "there was no twin", markup=False)
    return 0


def _ls(arguments: argparse.Namespace) -> int:
    from holdfast.twin import client

    try:
        state = client.request("state")
    except client.NotRunning:
        if not arguments.json:
            raise
        _print_json({"running": False, "instances": [], "environments": {}, "faults": []})
        return 1
    recorded = faults.recorded()
    if arguments.json:
        _print_json({"running": True, **state, "faults": [asdict(fault) for fault in recorded]})
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
        out.print(f"fault: {fault.environment} {fault}", markup=False)
    for environment, forwards in state["forwards"].items():
        ports = ", ".join(f"{kind} at {address}" for kind, address in forwards.items())
        out.print(f"from this machine, {environment}: {ports}", markup=False)
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    from holdfast.twin import client, machines

    for instance in client.request("state")["instances"]:
        if arguments.node in (instance["name"], instance["id"]) and instance["namespace"] is not None:
            return machines.exec(
                instance["id"], arguments.command, stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr
            )
    raise HoldfastError(f"no machine {arguments.node} is running; look with: holdfast twin ls")


def _fault(arguments: argparse.Namespace) -> int:
    given = {field: getattr(arguments, field) for field in arguments.options}
    fault = faults.inflict(arguments.environment, arguments.kind, getattr(arguments, "target", None), **given)
    if arguments.json:
        _print_json(asdict(fault))
    else:
        out.print(f"{fault} ({', '.join(fault.instances)}); undo: holdfast twin heal {fault.environment}", markup=False)
    return 0


def _heal(arguments: argparse.Namespace) -> int:
    healed = faults.heal(arguments.environment)
    if arguments.json:
        _print_json({"healed": [asdict(fault) for fault in healed]})
    else:
        out.print(f"healed: {', '.join(map(str, healed))}" if healed else "nothing was broken", markup=False)
    return 0


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2))
