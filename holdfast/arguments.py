"""What several commands take, in the same words."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from holdfast import spans

GRACE, LONGEST_GRACE = timedelta(minutes=10), timedelta(days=7)
"""For applications and people to take what is new; somebody waits for its end."""


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


def with_grace(added: argparse.ArgumentParser, text: str) -> argparse.ArgumentParser:
    """`text` says what it is given for."""
    added.add_argument(
        "--grace", type=_grace, default=GRACE, metavar="SPAN", help=f"{text}, as 30s, 10m or 4h (default: 10m)"
    )
    return added


def _grace(text: str) -> timedelta:
    span = spans.parse(text)
    if span is None or span > LONGEST_GRACE:
        raise argparse.ArgumentTypeError(f"{text!r}: accepted: from 0s to {LONGEST_GRACE.days}d, as 30s, 10m or 4h")
    return span
