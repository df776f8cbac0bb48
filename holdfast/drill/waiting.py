"""Waiting for what must become true, with a deadline and with what was last seen."""

from __future__ import annotations

import time
from collections.abc import Callable

from holdfast.errors import HoldfastError


class NotInTime(HoldfastError):
    """Something did not happen before its deadline."""


def wait_until(holds: Callable[[], bool], seconds: float, failure: Callable[[], str], every: float = 0.05) -> None:
    """Look every so many seconds until it holds.

    Raises:
        NotInTime: it did not within `seconds`; `failure` says what was seen instead.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise NotInTime(failure())
        time.sleep(every)
