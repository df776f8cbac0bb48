"""Whose turn it is on the one twin, between test runs that go on side by side.

A test marked `timed` measures an outage: no other one is measured meanwhile. One marked `alone` breaks what all share
(the API, cores, a clock): nothing else runs on the twin meanwhile. All others run beside each other.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

FOLDER = Path("/run/holdfast-tests")


@contextmanager
def turn(*, timed: bool, alone: bool, folder: Path = FOLDER) -> Iterator[None]:
    """Wait for it; it ends with the context, and with the process."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as held:
        held.enter_context(_locked(folder, "twin", shared=not alone))
        if timed:
            held.enter_context(_locked(folder, "timed", shared=False))
        yield


@contextmanager
def prolonged(folder: Path = FOLDER) -> Iterator[None]:
    """Within a turn: what a test began goes on after it, and no test that is `alone` begins meanwhile."""
    with (folder / "twin.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def first_or_after(what: str, folder: Path = FOLDER) -> Iterator[None]:
    """For what refuses to be done twice at once, where test runs that begin together each do it."""
    folder.mkdir(exist_ok=True)
    with _locked(folder, what, shared=False):
        yield


@contextmanager
def _locked(folder: Path, name: str, *, shared: bool) -> Iterator[None]:
    """Whoever waits holds the door, so that those who come later do not get in again and again before it."""
    with (folder / f"{name}.lock").open("w") as lock:
        with (folder / f"{name}.door").open("w") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(lock, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
