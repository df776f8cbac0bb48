"""Moves the sources from CDKTF to its successor, CDK Terrain (cdktn), by their imports alone: docs/successor.md.

`python scripts/successor.py` rewrites the Python files of this repository and prints the names of those that changed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

IMPORT = re.compile(r"^(\s*from )cdktf(?=[ .])", re.MULTILINE)
"""`import cdktf` is not among these: what follows it would have to change as well. Nothing here uses it."""


def files() -> Iterator[Path]:
    """Every file of the repository, relative to it; neither what git ignores nor what was deleted."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, text=True, capture_output=True, check=True).stdout
    return (Path(name) for name in listed.split("\0") if (REPOSITORY / name).is_file())


def translated(source: str) -> str:
    """A Python file, its imports from cdktf made from cdktn."""
    return IMPORT.sub(r"\1cdktn", source)


def main() -> int:
    for file in files():
        if file.suffix == ".py":
            before = (REPOSITORY / file).read_text(encoding="utf-8")
            if (after := translated(before)) != before:
                (REPOSITORY / file).write_text(after, encoding="utf-8")
                print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
