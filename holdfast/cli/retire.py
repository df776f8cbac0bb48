"""The `holdfast retire` command: says what will be gone, has the environment's name typed, and then destroys."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from holdfast.cli import options
from holdfast.cli.console import err, give, say
from holdfast.cli.options import load
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.ops.retire.plan import Retirement


class NotConfirmed(HoldfastError):
    """Nobody typed the environment's name; nothing was done."""


class WrongName(NotConfirmed):
    """Somebody typed another one."""

    exit_code = 2


@click.command()
@options.environment
@click.option("--yes-really", metavar="NAME", help="Confirm without a prompt: the name of the environment again.")
@options.json_too
def retire(environment: str, yes_really: str | None, as_json: bool) -> int:
    """Destroy an environment and its data for good, even a protected one.

    It lists what will be destroyed, and asks for the name of the environment.
    """
    from holdfast.ops.retire import run
    from holdfast.ops.retire.plan import plan
    from holdfast.ops.review import states

    loaded = load(environment)
    planned = plan(loaded, states.read(loaded), datetime.now(UTC).date())
    if planned.stacks:
        say("\n".join(announcement(planned)))
        confirm(loaded.name, yes_really)
        with err.status(f"retiring {loaded.name}"):
            run.retire(loaded, planned, say)
    give(as_json, asdict(planned), *_farewell(planned))
    return 0


def announcement(planned: Retirement) -> Iterator[str]:
    """What will be done, line by line."""
    from holdfast.ops.retire.plan import NO_BACKUP

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
