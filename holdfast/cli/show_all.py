"""What people see of many environments: a verdict, one line for each, the worst first, and the worst news of each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdfast.ops.glance import Glance, Program, State

SHOWN = 8
"""Digits of a node program's SHA-256."""


def all_view(glances: Sequence[Glance]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("environment", "state", "leader", "nodes", "Holdfast", "image"):
        table.add_column(heading, no_wrap=True)
    for glance in glances:
        table.add_row(
            Text(glance.environment),
            Text(glance.state, style="green" if glance.state is State.HEALTHY else "red"),
            glance.leader or "–",
            "–" if glance.well is None else f"{glance.well} of {glance.nodes}",
            _program(glance.program),
            _image(glance),
        )
    news = [Text(_news(glance)) for glance in glances if glance.news]
    return Group(_verdict(glances), Text(), table, *([Text(), *news] if news else []))


def _verdict(glances: Sequence[Glance]) -> Text:
    count, ill = len(glances), [glance.environment for glance in glances if glance.state is not State.HEALTHY]
    if not ill:
        return Text(f"{count} of {count} environments healthy", style="bold green")
    return Text.assemble((f"{len(ill)} of {count} environments not healthy", "bold red"), f": {', '.join(ill)}")


def _news(glance: Glance) -> str:
    worst, *more = glance.news
    look = "validate" if glance.state is State.INVALID else "status"
    return f"{glance.environment}: {worst}" + (
        f" (and {len(more)} more: holdfast {look} {glance.environment})" if more else ""
    )


def _program(program: Program | None) -> str:
    if program is None:
        return "unknown"
    digits = ", ".join(sha256[:SHOWN] for sha256 in program.sha256)
    return f"{digits} (as here)" if program.here else f"{digits} (not as here)"


def _image(glance: Glance) -> str:
    if glance.image is None:
        return "unknown" if glance.nodes is None else "not pinned"
    age = "age unknown" if glance.image.days is None else f"{glance.image.days} d"
    return f"{age}, another runs" if glance.image.runs is False else age
