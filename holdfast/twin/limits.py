"""A limit of this host's kernel that many machines reach: raised while the twin is up."""

from __future__ import annotations

from pathlib import Path

from holdfast.twin.run import STATE, make_own

INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
KEPT = STATE / "inotify-instances"
"""What it was before."""

NEEDED = 1024
"""Root's on this host, those of all machines included. The kernel's default, 128, is reached by about 14 machines: the
next one's systemd then exits with "Too many open files"."""


def lift() -> None:
    """Raise it where it is lower, and remember what it was."""
    before = int(INOTIFY.read_text())
    if before < NEEDED:
        make_own(KEPT.parent)
        KEPT.write_text(str(before))
        INOTIFY.write_text(str(NEEDED))


def restore() -> None:
    """What was raised is as it was."""
    if KEPT.exists():
        INOTIFY.write_text(KEPT.read_text())
        KEPT.unlink()
