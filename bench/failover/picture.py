"""Draws the outages: a row for each of the settings under each fault, from the median to the 99th percentile."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from bench.failover.losses import LOSSES
from bench.failover.names import OURS, TITLES
from bench.failover.runs import Outcome, Run, outcome

WIDTH = 980
LEFT, RIGHT = 210, 790
"""Where the scale begins and ends: names are left of it, figures right."""

ROW, GAP, TOP = 19, 34, 50
SHORTEST, LONGEST = 0.1, 100.0
"""Seconds, at both ends of the scale. What is longer is drawn at its end."""

TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)

STYLE = """\
  <style>
    text { fill: #1f2328 } .small { font-size: 11.5px; fill: #57606a } .head { font-weight: 600 }
    .grid { stroke: #d0d7de } .bar { stroke: #57606a; stroke-width: 2 } .dot { fill: #57606a }
    .ours .bar { stroke: #1a7f37; stroke-width: 3 } .ours .dot { fill: #1a7f37 } .ours text { font-weight: 600 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .small { fill: #9da7b1 }
      .grid { stroke: #30363d } .bar { stroke: #9da7b1 } .dot { fill: #9da7b1 }
      .ours .bar { stroke: #3fb950 } .ours .dot { fill: #3fb950 }
    }
  </style>
"""


def svg(runs: Sequence[Run]) -> str:
    bottom = TOP + len(LOSSES) * (GAP + ROW * len(TITLES))
    label = "Seconds without a write, for each fault and each of the settings: from the median to the 99th percentile"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 16}" role="img" aria-label="{label}" '
        'font-family="system-ui, -apple-system, Segoe UI, sans-serif" font-size="13">\n'
        + STYLE
        + "".join(_scale(bottom))
        + "".join(_rows(runs))
        + "</svg>\n"
    )


def position(seconds: float) -> float:
    """Where a time stands on the scale."""
    kept = min(max(seconds, SHORTEST), LONGEST)
    return round(LEFT + (RIGHT - LEFT) * math.log(kept / SHORTEST) / math.log(LONGEST / SHORTEST), 1)


def _scale(bottom: int) -> Iterator[str]:
    yield (
        f'  <text class="small" x="{LEFT}" y="16">seconds without a write, on a logarithmic scale: '
        "a dot for the median, a line to the 99th percentile</text>\n"
    )
    yield f'  <text class="small" x="{RIGHT + 12}" y="16">p50 / p99, most writes lost</text>\n'
    for tick in TICKS:
        x = position(tick)
        yield f'  <line class="grid" x1="{x}" y1="{TOP - 10}" x2="{x}" y2="{bottom}"/>\n'
        yield f'  <text class="small" x="{x}" y="{TOP - 16}" text-anchor="middle">{tick:g}</text>\n'


def _rows(runs: Sequence[Run]) -> Iterator[str]:
    y = TOP
    for loss in LOSSES:
        y += GAP
        yield f'  <text class="head" x="12" y="{y - ROW + 3}">{escape(loss.what)}</text>\n'
        for name, title in TITLES.items():
            yield f'  <g class="{"ours" if name == OURS else "theirs"}">\n'
            yield f'    <text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(title)}</text>\n'
            yield from _row(outcome(runs, name, loss.name), y)
            yield "  </g>\n"
            y += ROW


def _row(found: Outcome | None, y: int) -> Iterator[str]:
    if found is None:
        yield f'    <text class="small" x="{RIGHT + 12}" y="{y + 4}">not measured</text>\n'
        return
    p50, p99 = position(found.p50), position(found.p99)
    yield f'    <line class="bar" x1="{p50}" y1="{y}" x2="{p99}" y2="{y}"/>\n'
    yield f'    <line class="bar" x1="{p99}" y1="{y - 4}" x2="{p99}" y2="{y + 4}"/>\n'
    yield f'    <circle class="dot" cx="{p50}" cy="{y}" r="4.5"/>\n'
    more = "" if found.ended else "&gt; "
    figures = f"{found.p50:.2f} / {more}{found.p99:.2f} s, lost {found.lost + found.lost_with_wait}"
    yield f'    <text class="small" x="{RIGHT + 12}" y="{y + 4}">{figures}</text>\n'
