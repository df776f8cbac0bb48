"""What several commands take, in the same words, and the types of those values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from holdfast import spans

if TYPE_CHECKING:
    from holdfast.topology import Environment

LONGEST_GRACE = timedelta(days=7)
"""A command waits for the end of the grace period."""


def load(name: str) -> Environment:
    """The environment of an ENV argument."""
    from holdfast.topology import find_environment, load_environment

    return load_environment(find_environment(name))


class EnvironmentName(click.ParamType[str]):
    """The name of an environment, or the path of its file. Whether it exists is checked when it is loaded."""

    name = "env"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from holdfast.topology.load import ENVIRONMENTS, TESTSTACKS, environment_files

        files = environment_files(ENVIRONMENTS) + environment_files(ENVIRONMENTS / TESTSTACKS)
        return [CompletionItem(file.stem) for file in files if file.stem.startswith(incomplete)]


class OneOf(click.ParamType[str]):
    """One of a few names. `names` is called where they are needed: its module is large."""

    def __init__(self, name: str, names: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self.names = names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        names = list(self.names())
        if value not in names:
            self.fail(f"{value!r}: accepted: {', '.join(names)}", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in self.names() if name.startswith(incomplete)]


class Span(click.ParamType[timedelta]):
    """A span of time of at most LONGEST_GRACE."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        span = spans.parse(value)
        if span is None or span > LONGEST_GRACE:
            self.fail(f"{value!r}: accepted: from 0s to {LONGEST_GRACE.days}d, as 30s, 10m or 4h", param, ctx)
        return span


def _environment(text: str, metavar: str = "ENV", required: bool = True) -> Callable[[Any], Any]:
    return click.argument("environment", metavar=metavar, required=required, type=EnvironmentName(), help=text)


NAMED = "Name of an environment, or path of its file."
environment = _environment(NAMED)
deployed = _environment("Name of a deployed environment.")
json_too = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def environment_unless(option: str) -> Callable[[Any], Any]:
    """For a command that takes either: it checks that itself."""
    return _environment(f"{NAMED} Or give {option}.", metavar="[ENV]", required=False)


application = click.option(
    "--user", metavar="NAME", help="Name of the application.  [default: the first one in the environment file]"
)


def grace(text: str) -> Callable[[Any], Any]:
    """`text` says what happens during the grace period."""
    return click.option(
        "--grace",
        type=Span(),
        default="10m",
        show_default=True,
        metavar="SPAN",
        help=f"{text}, such as 30s, 10m or 4h.",
    )
