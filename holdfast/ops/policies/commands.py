"""The `holdfast policies` command."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from holdfast.arguments import with_environment
from holdfast.ops.policies.roles import ROLES
from holdfast.ops.policies.size import Document, length
from holdfast.plain import Terminal
from holdfast.topology import Environment, find_environment, load_environment, names

out = Terminal()


def add_parser(subparsers: Any) -> None:
    """Register `policies` with the command line."""
    text = "the policies of IAM for whoever deploys, reviews or renews, and for the boundary of the machines' roles"
    policies = subparsers.add_parser("policies", help=text, description=f"{text[0].upper()}{text[1:]}.")
    with_environment(policies)
    policies.add_argument("--role", choices=sorted(ROLES), help="of this role alone; default: of all")
    policies.add_argument(
        "--output", type=Path, metavar="FOLDER", help="write a file for each there, not all to standard output"
    )
    policies.set_defaults(run=_policies)


def managed(environment: Environment, roles: list[str]) -> dict[str, Document]:
    """Name of each managed policy → its document.

    Raises:
        NoBoundary: `cloud.permissions_boundary` is not set.
    """
    found: dict[str, Document] = {}
    for role in roles:
        documents = ROLES[role](environment)
        for number, one in enumerate(documents, start=1):
            end = f"-{number}" if len(documents) > 1 else ""
            found[f"{names.PROJECT}-{environment.name}-{role}{end}"] = one
    return found


def _policies(arguments: argparse.Namespace) -> int:
    environment = load_environment(find_environment(arguments.environment))
    made = managed(environment, [arguments.role] if arguments.role else sorted(ROLES))
    if arguments.output is None:
        print(json.dumps(made, indent=2))
        return 0
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, document in made.items():
        file = arguments.output / f"{name}.json"
        file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        out.print(f"{file}: {length(document):,} characters", markup=False)
    return 0
