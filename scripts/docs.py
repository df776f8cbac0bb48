"""Writes docs/cli.md from the help of every command: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from holdfast.cli.app import holdfast

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
WIDTH = 80
INTRODUCTION = """\
# The command line

Generated from the commands by `make docs`.
"""


def page() -> str:
    root, *others = contexts()
    headings = {commands[0].name: heading for heading, commands in holdfast.sections.items()}
    parts = [INTRODUCTION, _block(root)]
    for context in others:
        if context.parent is root and context.info_name in headings:
            parts.append(f"## {headings[context.info_name]}\n")
        parts += [f"### {context.command_path}\n", _block(context)]
    return "\n".join(parts)


def contexts(command: click.Command = holdfast, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Every command, each before its sub-commands."""
    context = click.Context(
        command, info_name=command.name, parent=parent, terminal_width=WIDTH, **command.context_settings
    )
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if below := command.get_command(context, name):
                yield from contexts(below, context)


def _block(context: click.Context) -> str:
    return f"```text\n{context.get_help()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
