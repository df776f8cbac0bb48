"""What a machine says of itself on its console, of which an image is to be taken."""

from __future__ import annotations

from dataclasses import dataclass

MARKER = "holdfast-bake"
DONE, FAILED = "done", "failed: "
SHOWN = 6
"""Lines of the console that an error ends with."""


def marker(bake: str) -> str:
    """How the line begins that has the verdict: no other machine's, and no other line's."""
    return f"{MARKER} {bake}"


@dataclass(frozen=True)
class Verdict:
    good: bool
    why: str = ""


def read(console: str, bake: str) -> Verdict | None:
    """None: it has said nothing yet."""
    for line in reversed(console.splitlines()):
        # Consoles put their own before it: the name of the unit, and the time.
        _, found, said = line.partition(f"{marker(bake)} ")
        if not found:
            continue
        if said.strip() == DONE:
            return Verdict(True)
        if said.startswith(FAILED):
            return Verdict(False, said.removeprefix(FAILED).strip())
    return None


def end(console: str) -> str:
    """Its last lines, for an error: those before its verdict, where it has one; in words where there are none."""
    said = console.partition(f"{MARKER} ")[0]
    lines = [line.strip() for line in said.splitlines() if line.strip()][-SHOWN:]
    return "its console ends with:\n  " + "\n  ".join(lines) if lines else "EC2 has nothing of its console"


def step(console: str) -> str:
    """The latest that it said it does; empty before."""
    for line in reversed(console.splitlines()):
        _, found, said = line.partition("bake: ")
        if found and MARKER not in line:
            return said.strip()
    return ""
