"""The `holdfast preflight` command."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from holdfast.arguments import about_environment, with_json
from holdfast.ops.preflight import run
from holdfast.ops.preflight.check import Check, Verdict
from holdfast.plain import Terminal
from holdfast.topology import find_environment, load_environment

out = Terminal()
err = Terminal(stderr=True)


def add_parser(subparsers: Any) -> None:
    """Register `preflight` with the command line."""
    text = "whether the account is ready for a deploy: quotas, images, names, permissions; writes nothing"
    with_json(about_environment(subparsers, "preflight", _preflight, text))


def _preflight(arguments: argparse.Namespace) -> int:
    environment = load_environment(find_environment(arguments.environment))
    with err.status(f"asking about {environment.name}"):
        checks = run.look(environment)
    if arguments.json:
        print(json.dumps({"checks": as_json(checks)}, indent=2))
    else:
        show(checks)
    return 0 if all(check.verdict is Verdict.RIGHT for check in checks) else 1


def show(checks: Iterable[Check]) -> None:
    """A line for each."""
    width = max(len(verdict) for verdict in Verdict)
    for check in checks:
        out.print(f"{check.verdict:{width}}  {check}", markup=False)


def as_json(checks: Iterable[Check]) -> list[dict[str, str]]:
    return [asdict(check) for check in checks]
