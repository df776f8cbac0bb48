"""What is wrong with an environment file, as values: every problem of a file is reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.errors import HoldfastError


@dataclass(frozen=True)
class Problem:
    """One refused value: its dotted `path` in the file, what was `found`, and what would be `accepted`."""

    path: str
    found: str
    accepted: str

    def __str__(self) -> str:
        return f"{self.path or '(file)'}: found {self.found}; accepted: {self.accepted}"


class InvalidEnvironment(HoldfastError):
    """An environment file that cannot be used. Nothing has been synthesised."""

    exit_code = 2

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{file}: {count}, nothing was done{lines}")
