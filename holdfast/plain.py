"""Text of others, made safe to show: a report, tag, name or log may hold what a terminal or a browser obeys."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

UNSAFE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode's categories: control characters (ESC), directions and what is invisible, surrogates, line separators."""


def plain(text: str, *, lines: bool = False) -> str:
    """`text` with each unsafe character as Python writes it (`\\x1b`); `lines`: line feeds and tabs stay."""
    return "".join(_shown(character, lines) for character in text)


def _shown(character: str, lines: bool) -> str:
    if unicodedata.category(character) not in UNSAFE or (lines and character in "\n\t"):
        return character
    return character.encode("unicode_escape").decode("ascii")


class Terminal(Console):
    """A console that shows unsafe characters, and sends none but its own to the terminal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "soft_wrap": True} | options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain(segment.text, lines=True))
