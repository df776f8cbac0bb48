"""Keeps what benchmarks measure in `docs/benchmarks.json`, and makes the page `docs/benchmarks.md` of it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass(frozen=True)
class Figure:
    """One measured figure beside the bound that it must hold."""

    what: str
    measured: str
    bound: str
    held: bool


def record(*figures: Figure) -> None:
    """Keep `figures`, in place of earlier ones of the same name, and write the page anew."""
    file = DOCS / "benchmarks.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    for figure in figures:
        kept[figure.what] = asdict(figure) | {
            "on": f"{os.cpu_count()} cores, {platform.system()}",
            "date": str(date.today()),
        }
    file.write_text(json.dumps(kept, indent=2) + "\n")
    (DOCS / "benchmarks.md").write_text(_page(kept.values()))


def _page(figures: Iterable[dict[str, Any]]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Made by `make bench`, which measures again and rewrites this page. Compare a figure with its bound, not with",
        "another machine's.",
        "",
        "| what | measured | bound | holds | where, when |",
        "| --- | --- | --- | --- | --- |",
    ]
    for figure in figures:
        holds = "yes" if figure["held"] else "**no**"
        cells = (figure["what"], figure["measured"], figure["bound"], holds, f"{figure['on']}, {figure['date']}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
