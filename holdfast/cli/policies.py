"""`holdfast policies`: what each role may do, as IAM takes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from holdfast.cli import options
from holdfast.cli.console import print_json, tell, write
from holdfast.cli.options import OneOf, load


def _roles() -> Iterable[str]:
    from holdfast.ops.policies.roles import ROLES

    return sorted(ROLES)


@click.command()
@options.environment
@click.option(
    "--role",
    type=OneOf("role", _roles),
    metavar="ROLE",
    help="One role: bake, boundary, deploy, reap, renew or review.  [default: all]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write a file for each policy to FOLDER instead of standard output.",
)
def policies(environment: str, role: str | None, output: Path | None) -> int:
    """Print the IAM policies of an environment.

    There are policies to deploy, to review, to renew certificates, to reap test stacks and to bake images, and one that
    bounds the roles of the machines.
    """
    from holdfast.ops.policies.roles import managed
    from holdfast.ops.policies.size import length

    made = managed(load(environment), [role] if role else list(_roles()))
    if output is None:
        print_json(made)
        return 0
    for name, document in made.items():
        file = output / f"{name}.json"
        write(file, json.dumps(document, indent=2) + "\n")
        tell(f"{file}: {length(document):,} characters")
    return 0
