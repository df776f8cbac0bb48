"""Writes docs/cli.md from the help of every command, and the matrix of support in README.md: `make docs`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from holdfast.cli.app import holdfast
from holdfast.topology import support

REPOSITORY = Path(__file__).parents[1]
PAGE, README = REPOSITORY / "docs" / "cli.md", REPOSITORY / "README.md"
MATRIX = re.compile(r"(?<=<!-- support: make docs -->\n\n).*?(?=\n\n<!-- end of support -->)", re.DOTALL)
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


def readme(text: str) -> str:
    """The README with the matrix as it is now.

    Raises:
        ValueError: it has no place for it.
    """
    if not MATRIX.search(text):
        raise ValueError("README.md has no `<!-- support: make docs -->` with `<!-- end of support -->` below")
    return MATRIX.sub("\n".join(support.table()), text)


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
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")
