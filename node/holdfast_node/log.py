"""One line to the journal."""

from __future__ import annotations

import sys


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
