"""The `holdfast retire` command: says what will be gone, has the environment's name typed, and then destroys."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from holdfast.arguments import with_environment, with_json
from holdfast.errors import HoldfastError
from holdfast.ops.retire import run
from holdfast.ops.retire.plan import NO_BACKUP, Retirement, plan
from holdfast.ops.review import states
from holdfast.plain import Terminal
from holdfast.topology import find_environment, load_environment

out = Terminal()
err = Terminal(stderr=True)


class NotConfirmed(HoldfastError):
    """Nobody typed the environment's name; nothing was done."""


class WrongName(NotConfirmed):
    """Somebody typed another one."""

    exit_code = 2


def add_parser(subparsers: Any) -> None:
    """Register `retire` with the command line."""
    text = "destroy an environment for good, a protected one too: says what will be gone, and asks for its name"
    retire = subparsers.add_parser("retire", help=text, description=f"{text[0].upper()}{text[1:]}.")
    with_environment(retire)
    retire.add_argument("--yes-really", metavar="NAME", help="without asking: the name of the environment again")
    with_json(retire)
    retire.set_defaults(run=_retire)


def _retire(arguments: argparse.Namespace) -> int:
    environment = load_environment(find_environment(arguments.environment))
    planned = plan(environment, states.read(environment), datetime.now(UTC).date())
    if planned.stacks:
        err.print("\n".join(announcement(planned)), markup=False)
        confirm(environment.name, arguments.yes_really)
        with err.status(f"retiring {environment.name}"):
            run.retire(environment, planned, lambda sentence: err.print(sentence, markup=False))
    if arguments.json:
        print(json.dumps(asdict(planned), indent=2))
    else:
        out.print("\n".join(_farewell(planned)), markup=False)
    return 0


def announcement(planned: Retirement) -> Iterator[str]:
    """What will be done, line by line."""
    yield f"{planned.environment} will be destroyed for good, in this order:"
    yield ""
    width = max(len(stack.name) for stack in planned.stacks)
    for stack in planned.stacks:
        losses = f", with {', '.join(stack.losses)}" if stack.losses else ""
        yield f"  {stack.name:{width}}  {stack.resources} resource{'s' * (stack.resources != 1)}{losses}"
    yield ""
    yield NO_BACKUP
    yield ""


def confirm(name: str, given: str | None) -> None:
    """Have the environment's name typed, unless it was given.

    Raises:
        NotConfirmed: nobody can be asked.
        WrongName: it is another one.
    """
    if given is None:
        if not sys.stdin.isatty():
            raise NotConfirmed(f"not a terminal, so nobody can be asked; nothing was done. Say: --yes-really {name}")
        err.print(f"To go on, type the environment's name ({name}): ", end="", markup=False)
        given = sys.stdin.readline().strip()
    if given != name:
        raise WrongName(f"found {given!r}; accepted: {name}. Nothing was done")


def _farewell(planned: Retirement) -> Iterator[str]:
    if not planned.stacks:
        yield f"{planned.environment}: no stack has anything in its state; there is nothing to retire"
        return
    yield f"{planned.environment} is gone. What is left:"
    yield from (f"- {sentence}" for sentence in planned.left)
