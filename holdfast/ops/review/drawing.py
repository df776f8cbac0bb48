"""The layout before and after as SVG, to stand inside of a page: its colours are the page's (classes, no styles)."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import groupby

from holdfast.ops.review.facts import Action
from holdfast.ops.review.nodes import Node, Side
from holdfast.topology.spec import Role

NODE_WIDTH, NODE_HEIGHT = 192, 144
GAP, TOP, PADDING = 14, 34, 14
BASELINE, LINE = 22, 19
"""Pixels: first line of text below a node's upper edge, and from line to line."""


def draw(nodes: Iterable[Node], *, after: bool, leader: str | None) -> str:
    """One side of the change: zones beside each other, each with its nodes. `leader` is marked on the side before.

    Both sides have room for every node of either, so that a node stands at the same place in both.
    """
    zones = [(zone, list(group)) for zone, group in groupby(nodes, lambda it: it.zone)]
    present = [node.name for _, group in zones for node in group if (node.after if after else node.before)]
    if not present:
        return f'<p class="nothing">{"nothing is left" if after else "nothing yet"}</p>'
    most = max(len(group) for _, group in zones)
    width = PADDING + len(zones) * (NODE_WIDTH + 2 * PADDING + GAP) - GAP + PADDING
    height = TOP + most * (NODE_HEIGHT + GAP) + 4
    title = f"The layout {'after' if after else 'before'} the change: {', '.join(present)}"
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" style="max-width:{width}px">',
        f"<title>{escape(title)}</title>",
    ]
    for column, (zone, group) in enumerate(zones):
        x = PADDING + column * (NODE_WIDTH + 2 * PADDING + GAP)
        parts.append(
            f'<rect class="zone" x="{x}" y="4" width="{NODE_WIDTH + 2 * PADDING}" height="{height - 8}" rx="8"/>'
        )
        parts.append(_text(x + PADDING, 24, f"zone {zone}", "dim"))
        for row, node in enumerate(group):
            y = TOP + row * (NODE_HEIGHT + GAP)
            if node.name in present:
                parts += _node(node, x + PADDING, y, after=after, leads=node.name == leader and not after)
    return "\n".join([*parts, "</svg>"])


def _node(node: Node, x: int, y: int, *, after: bool, leads: bool) -> list[str]:
    side, other = (node.after, node.before) if after else (node.before, node.after)
    assert side is not None
    lines = _lines(side)
    others = _lines(other) if other else lines
    marks = ["leads"] * leads + [str(node.fate)]
    parts = [
        f'<rect class="node {node.fate}" x="{x}" y="{y}" width="{NODE_WIDTH}" height="{NODE_HEIGHT}" rx="6"/>',
        _text(x + 12, y + BASELINE, node.name, "name"),
        _text(x + 12, y + BASELINE + LINE, " · ".join(marks), f"mark {node.fate}"),
    ]
    for index, (line, was) in enumerate(zip(lines, others, strict=True), start=2):
        parts.append(_text(x + 12, y + BASELINE + index * LINE, line, "changed" if line != was else "line"))
    if node.volume is not None:
        lost = node.volume in (Action.REPLACE, Action.DELETE)
        parts.append(_volume(x + NODE_WIDTH - 32, y + NODE_HEIGHT - 33, "lost" if lost else str(node.volume)))
    return parts


def _lines(side: Side) -> list[str]:
    redis = f"Redis {'.'.join(map(str, side.redis))}" if side.redis else ""
    own, *endpoints = side.addresses or ("address not known",)
    roles = "" if side.roles == tuple(Role) else "+".join(side.roles)
    size = f"{side.volume_gib} GiB" if side.volume_gib else ""
    return [
        f"{side.type}, {side.image or side.image_id}",
        f"{own}{f' · {redis}' if redis else ''}",
        f"leader {endpoints[0]}" if endpoints else "no endpoints",
        f"replica {endpoints[1]}" if len(endpoints) > 1 else "",
        " · ".join(part for part in (roles, size) if part),
    ]


def _volume(x: int, y: int, kind: str) -> str:
    """A disk."""
    body = f"M{x},{y + 4} v14 a10,4 0 0 0 20,0 v-14"
    return f'<g class="volume {kind}"><path d="{body}"/><ellipse cx="{x + 10}" cy="{y + 4}" rx="10" ry="4"/></g>'


def _text(x: int, y: int, text: str, kind: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(text)}</text>'
