"""What several commands take, in the same words."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def about_environment(
    group: Any, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """A command of `group` (what `add_subparsers` gives) that is about one environment."""
    added: argparse.ArgumentParser = group.add_parser(name, help=text, description=text)
    added.set_defaults(run=run)
    return with_environment(added)


def with_environment(added: argparse.ArgumentParser) -> argparse.ArgumentParser:
    added.add_argument("environment", metavar="ENV", help="an environment's name, or the path of its file")
    return added


def with_json(added: argparse.ArgumentParser) -> argparse.ArgumentParser:
    added.add_argument("--json", action="store_true", help="print JSON instead of text")
    return added
