"""For how long something has been so."""

from __future__ import annotations


class Since:
    """Of one thing, without a break."""

    def __init__(self) -> None:
        self._since: float | None = None

    def seconds(self, holds: bool, now: float) -> float:
        """Seconds for which it has held; 0 where it does not. `holds`: whether it does at `now` (monotonic seconds)."""
        if not holds:
            self._since = None
        elif self._since is None:
            self._since = now
        return now - self._since if self._since is not None else 0.0
