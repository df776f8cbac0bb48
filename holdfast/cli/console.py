"""What every command writes with: text for people, JSON for programs, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.plain import Terminal

out = Terminal()
err = Terminal(stderr=True)


def say(sentence: str) -> None:
    """Progress, for a person: standard output is the answer's."""
    err.print(sentence, markup=False)


def tell(*lines: str) -> None:
    """The answer as text."""
    out.print("\n".join(lines), markup=False)


def print_json(content: Any) -> None:
    print(json.dumps(content, indent=2))


def give(as_json: bool, content: Any, *lines: str) -> None:
    """`content` for programs, or `lines` for people."""
    if as_json:
        print_json(content)
    else:
        tell(*lines)


def write(file: Path, text: str) -> None:
    """
    Raises:
        HoldfastError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HoldfastError(f"{file} cannot be written: {error.strerror}; name another file") from None
