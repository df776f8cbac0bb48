"""Spans of time as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse(text: str) -> timedelta | None:
    """`30s`, `90m`, `4h` or `2d`; None for anything else."""
    match = re.fullmatch(r"([0-9]{1,5})([smhd])", text)
    return timedelta(**{UNITS[match[2]]: int(match[1])}) if match else None


def ago(seconds: float) -> str:
    """How long ago something was, in words."""
    if seconds < 60:
        return "less than a minute ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 3600 else f"{seconds / 3600:.0f} h ago"
