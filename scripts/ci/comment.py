"""Keeps one comment in a pull request: `comment.py NUMBER FILE` edits the one that begins with FILE's first line.

There is none the first time: then it is added. Talks through the `gh` command, with GITHUB_REPOSITORY and GH_TOKEN.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def gh(*arguments: str) -> str:
    done = subprocess.run(["gh", "api", *arguments], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"gh api {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def existing(comments: str, marker: str) -> int | None:
    """The id of the oldest comment of a bot that begins with `marker`: who quotes it, is not edited."""
    pages = json.loads(gh("--paginate", "--slurp", f"{comments}?per_page=100"))
    return next(
        (
            comment["id"]
            for page in pages
            for comment in page
            if comment["user"]["type"] == "Bot" and comment["body"].startswith(marker)
        ),
        None,
    )


def main(arguments: Sequence[str]) -> int:
    number, file = arguments
    marker = Path(file).read_text(encoding="utf-8").split("\n", 1)[0]
    if not marker.startswith("<!-- "):
        sys.exit(f"{file}: found a first line {marker!r}; accepted: a marker, as <!-- holdfast review … -->")
    repository = f"repos/{os.environ['GITHUB_REPOSITORY']}"
    comments = f"{repository}/issues/{int(number)}/comments"
    found = existing(comments, marker)
    if found is None:
        gh("--method", "POST", comments, "--field", f"body=@{file}")
    else:
        gh("--method", "PATCH", f"{repository}/issues/comments/{found}", "--field", f"body=@{file}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
