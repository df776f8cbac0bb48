"""A status that is looked at every second: a live view in a terminal, and a block for each change elsewhere."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import NoReturn

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from holdfast.cli.console import out
from holdfast.cli.show import WIDTH, status_view, verdict
from holdfast.ops.cloud import CloudError
from holdfast.ops.status import Status
from holdfast.plain import Terminal

REMEMBERED = 5
"""Changes that the live view keeps below the status: it also has to fit the terminal."""

SPAN = re.compile(r"\d+ s\b")


def watch(look: Callable[[], Status], interval: float) -> NoReturn:
    """Until it is interrupted. An API that does not answer ends nothing: it may be what is being watched for.

    Args:
        interval: seconds between two looks.
    """
    if out.is_terminal:
        _live(look, interval)
    _blocks(look, interval)


def _live(look: Callable[[], Status], interval: float) -> NoReturn:
    news: deque[tuple[str, Text]] = deque(maxlen=REMEMBERED)
    seen: Status | None = None
    # Rich cuts lines of a live view that it may not wrap.
    with Live(console=Terminal(soft_wrap=False), auto_refresh=False) as live:
        while True:
            try:
                seen = look()
                parts: list[RenderableType] = [status_view(seen)]
                said = verdict(seen)
            except CloudError as error:
                said = Text(str(error), style="red")
                # The last status stays in sight, below the reason why it is old.
                parts = [said, *([Text(), status_view(seen)] if seen else [])]
            if not news or news[-1][1] != said:
                news.append((_now(), said))
            if len(news) > 1:
                parts += [Text(), *(Text.assemble((f"{at}  ", "dim"), change) for at, change in news)]
            live.update(Group(*parts, Text(), Text(f"{_now()}; Ctrl-C ends it", style="dim")), refresh=True)
            time.sleep(interval)


def _blocks(look: Callable[[], Status], interval: float) -> NoReturn:
    console = Terminal(width=max(out.width, WIDTH))
    before: Status | str | None = None
    while True:
        try:
            seen = look()
            now: Status | str = _settled(seen)
            view: RenderableType = status_view(seen)
        except CloudError as error:
            now, view = str(error), Text(str(error))
        if now != before:
            console.print(Group(Text(_now()), view, Text()))
        before = now
        time.sleep(interval)


def _settled(seen: Status) -> Status:
    """Without what moves all the time: lags, and for how long something has been so."""
    nodes = (replace(node, lag_bytes=None, says=SPAN.sub("", node.says)) for node in seen.nodes)
    return replace(seen, nodes=tuple(nodes))


def _now() -> str:
    return f"{datetime.now(UTC):%H:%M:%S} UTC"
