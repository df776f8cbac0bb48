"""Measures the documents' prose: relative pronouns in each 100 words, and sentences of more than 30 words.

`python scripts/prose.py [FILE…]` prints both for each page. `tests/unit/test_docs.py` holds the limits.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

MOST_PRONOUNS = 3.0
"""In 100 words. The documents of well-known projects have 0.4 to 3."""

MOST_WORDS = 30
"""Of one sentence."""

PRONOUNS = frozenset({"that", "which", "who", "whom", "whose", "what", "whoever", "whatever", "whichever"})
"""`that` counts as a conjunction too: both make a sentence longer."""


@dataclass(frozen=True)
class Page:
    words: int
    pronouns: int
    long: tuple[str, ...]
    """Sentences with too many words."""

    @property
    def rate(self) -> float:
        """Relative pronouns in 100 words."""
        return 100 * self.pronouns / max(self.words, 1)


def pages() -> list[Path]:
    """Every page of the repository."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=REPOSITORY, text=True, capture_output=True, check=True)
    return [REPOSITORY / line for line in listed.stdout.splitlines()]


def measure(text: str) -> Page:
    """The measures of a page in Markdown. Code, quoted output and tables' rules are no prose."""
    sentences = [words for sentence in _sentences(text) if (words := re.findall(r"[A-Za-z][\w'’/-]*", sentence))]
    everything = [word.lower() for words in sentences for word in words]
    return Page(
        words=len(everything),
        pronouns=sum(word in PRONOUNS for word in everything),
        long=tuple(" ".join(words) for words in sentences if len(words) > MOST_WORDS),
    )


def _sentences(text: str) -> list[str]:
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^>.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`\n]*`", "X", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    # A line of a list, a cell of a table and a heading each end what was said before.
    text = re.sub(r"^\s*(?:[-*]|\d+\.|#+)\s", "\n\n", text, flags=re.MULTILINE).replace("|", "\n\n")
    return re.split(r"(?<=[.!?:;])\s+|\n\s*\n", text)


def main() -> int:
    chosen = [Path(it).resolve() for it in sys.argv[1:]] or pages()
    for file in chosen:
        page = measure(file.read_text(encoding="utf-8"))
        print(f"{page.rate:5.1f}  {len(page.long):3}  {page.words:5}  {file.relative_to(REPOSITORY)}")
        if len(sys.argv) > 1:
            for sentence in page.long:
                print(f"    {sentence}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
