"""What the twin needs of the host before the first machine, put back when the last has gone."""

from __future__ import annotations

from pathlib import Path

from holdfast.twin.run import STATE

MAX_USER_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
WANTED_INSTANCES = 1024
"""All machines' services run as the host's root and share one limit: about 15 each, and the kernel's default is 128."""

SAVED = STATE / "host" / "inotify-max-user-instances"


def prepare() -> None:
    """Raise the host's limits that several systemds at once would run into. Fine when it is done already."""
    before = int(MAX_USER_INSTANCES.read_text(encoding="ascii"))
    if before >= WANTED_INSTANCES:
        return
    SAVED.parent.mkdir(parents=True, exist_ok=True)
    if not SAVED.exists():
        SAVED.write_text(str(before), encoding="ascii")
    MAX_USER_INSTANCES.write_text(str(WANTED_INSTANCES), encoding="ascii")


def restore() -> None:
    """Put back what `prepare` changed. Fine when there is nothing to put back."""
    if SAVED.exists():
        MAX_USER_INSTANCES.write_text(SAVED.read_text(encoding="ascii"), encoding="ascii")
        SAVED.unlink()
        SAVED.parent.rmdir()
