"""A group of commands, listed in the order of the code and under headings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click


class Group(click.Group):
    """`sections`: heading → the commands under it, in the order in which help lists them."""

    heading = "Commands"
    """Of a group without sections."""

    def __init__(self, *args: Any, sections: Mapping[str, Iterable[click.Command]] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.sections = {heading: list(commands) for heading, commands in (sections or {}).items()}
        for commands in self.sections.values():
            for command in commands:
                self.add_command(command)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Click's own cuts a sentence that is longer than the line.
        names = self.list_commands(ctx)
        for heading, commands in (self.sections or {self.heading: [self.commands[name] for name in names]}).items():
            with formatter.section(heading):
                width = max(map(len, names))
                formatter.write_dl([(f"{it.name:{width}}", it.get_short_help_str(limit=1000)) for it in commands])
