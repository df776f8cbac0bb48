"""Sizes as people write them (`512MB`, `4GB`), parsed once into mebibytes."""

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
