"""Running the host's tools, and removing trees without following what is mounted below them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from holdfast.errors import HoldfastError

STATE = Path("/var/lib/holdfast-twin")
"""Everything that the twin remembers; gone after `twin down`."""
CACHE = Path("/var/cache/holdfast-twin")
"""What is expensive to make again: images."""

CLEAN_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
}
"""What tools and machines get instead of the caller's environment, which may hold credentials and virtualenvs."""


class CommandFailed(HoldfastError):
    """A tool of the host refused; the message has its words."""


class TimedOut(HoldfastError):
    """A condition did not come true before its deadline; the message says what was last seen."""


def run(
    argv: Sequence[str | Path], *, timeout: float = 30, extra: Mapping[str, str] | None = None, input: str | None = None
) -> str:
    """Run a tool of the host and return what it wrote.

    Raises:
        CommandFailed: it is not installed, exited with another code than 0, or took longer than `timeout` seconds.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            check=False,
            env=CLEAN_ENVIRONMENT | dict(extra or {}),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except FileNotFoundError:
        raise CommandFailed(f"{words[0]} is not installed; run `make setup`") from None
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"`{' '.join(words)}` did not end within {timeout:g} s") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise CommandFailed(f"`{' '.join(words)}` exited with {done.returncode}: {said}")
    return done.stdout


def wait_until(holds: Callable[[], bool], *, timeout: float, interval: float = 0.01) -> bool:
    """True as soon as `holds()`; False when it does not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def make_own(folder: Path) -> None:
    """A folder of ours, with all above it that is missing. Nobody but root gets in, whoever made it first."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def mounts() -> list[tuple[Path, str]]:
    """Where something is mounted on the host and its file system type, in the order of mounting."""
    found = []
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, where, kind = line.split(" ")[:3]
        found.append((Path(where.encode().decode("unicode_escape")), kind))
    return found


def unmount_below(path: Path) -> None:
    """Unmount whatever is mounted at `path` or below it, the latest first."""
    for where, _ in reversed(mounts()):
        if where == path or path in where.parents:
            try:
                run(["umount", where])
            except CommandFailed:
                # Busy: detach it now, and the kernel lets go when its last user has gone.
                run(["umount", "--lazy", where])


def remove_tree(path: Path) -> None:
    """Remove a directory tree of ours, but never what is mounted in it."""
    unmount_below(path)
    if path.is_dir():
        shutil.rmtree(path)


def require_root() -> None:
    """Refuse with a plain sentence instead of a row of permission errors."""
    if os.geteuid() != 0:
        raise HoldfastError("the twin makes namespaces, mounts and machines: run this as root (sudo)")
