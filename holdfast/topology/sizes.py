"""Sizes and times as people write them (`512MB`, `4GB`; `600ms`, `5s`), parsed once into mebibytes and milliseconds."""

from __future__ import annotations

import re
from typing import Any

_UNITS = {"mb": 1, "mib": 1, "gb": 1024, "gib": 1024}


def parse_mebibytes(value: Any) -> int:
    """`"4GB"` → 4096. Binary units, as in redis.conf.

    Raises:
        ValueError: with what would be accepted.
    """
    match = re.fullmatch(r"([0-9]+) ?([a-z]+)", value.strip().lower()) if isinstance(value, str) else None
    if match is None or match[2] not in _UNITS:
        raise ValueError("a size such as 512MB or 4GB")
    return int(match[1]) * _UNITS[match[2]]


def parse_milliseconds(value: Any) -> int:
    """`"1.5s"` → 1500.

    Raises:
        ValueError: with what would be accepted.
    """
    match = re.fullmatch(r"([0-9]+|[0-9]+\.[0-9]+) ?(ms|s)", value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a time such as 600ms or 5s")
    return round(float(match[1]) * (1000 if match[2] == "s" else 1))
