"""The twin as a whole: started, found running, and ended so that nothing of it is left on this host."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.topology import emulation
from holdfast.twin import cgroups, client, fabric, images, limits, machines, netns, volumes
from holdfast.twin.run import CLEAN_ENVIRONMENT, STATE, make_own, mounts, remove_tree, require_root, wait_until

RUNTIME = client.CONTROL.parent
LOCK = Path("/run/holdfast-twin.command.lock")
"""Held by `up` and `down`, so that two of them do not race."""

LOG = STATE / "daemon.log"
START_WITHIN = 60.0
"""Seconds for the daemon to answer: it loads the snapshot of the cloud's state first."""

STOP_WITHIN = 15.0

Say = Callable[[str], None]


def up(image_names: list[str], say: Say) -> bool:
    """Build the named images where they are missing, start the daemon where it does not run. False: it ran already.

    Where it ran and the file with its key is gone, it is written again.

    Raises:
        HoldfastError: it does not start; with the end of its log.
    """
    require_root()
    with _alone():
        limits.lift()
        for name in image_names:
            images.ensure(image_named(name), say)
        # One that is busy is given its time: who ends it takes the answers of all that are asking it.
        if _daemons() and wait_until(answers, timeout=START_WITHIN, interval=0.1):
            if not emulation.CREDENTIALS.exists():
                _write_key(emulation.Key(**client.request("key")))
            return False
        say("starting the twin")
        _start()
        return True


def down(say: Say) -> list[str]:
    """End it all; what was removed, one line each. Works on whatever an interrupted `up` or `down` left.

    Raises:
        HoldfastError: something would not go; with what it is.
    """
    require_root()
    removed: list[str] = []
    refused: list[str] = []
    with _alone():
        for pid in _daemons():
            say("stopping the daemon")
            _end(pid)
            removed.append(f"daemon {pid}")
        # Each in its turn, whatever happened to those before: volumes are in use by machines.
        for kind, sweep in SWEEPS.items():
            say(f"ending {kind}s")
            try:
                removed += [f"{kind} {name}" for name in sweep()]
            except (HoldfastError, OSError) as error:
                refused.append(str(error))
        limits.restore()
        for folder in (STATE, RUNTIME):
            if folder.exists():
                try:
                    remove_tree(folder)
                    removed.append(str(folder))
                except (HoldfastError, OSError) as error:
                    refused.append(str(error))
        emulation.CREDENTIALS.unlink(missing_ok=True)
        client.LOCK.unlink(missing_ok=True)
        LOCK.unlink(missing_ok=True)
    left = remains()
    if left or refused:
        raise HoldfastError("the twin is not all gone; left: " + "; ".join([*left, *refused]))
    return removed


SWEEPS: dict[str, Callable[[], list[str]]] = {
    "machine": machines.sweep,
    "volume": volumes.sweep,
    "network": fabric.sweep,
}


def remains() -> list[str]:
    """Everything of a twin that is on this host, apart from built images: found in the kernel, not remembered."""
    return [
        *(f"process {pid}" for pid in _daemons()),
        *(f"control group of {name}" for name in cgroups.instances()),
        *(f"network namespace {name}" for name in netns.names()),
        *(f"mount {where}" for where, _ in mounts() if STATE in (where, *where.parents)),
        *(f"loop device of {file}" for file in _backing_files() if file.startswith(f"{STATE}/")),
        *(f"folder {folder}" for folder in (STATE, RUNTIME) if folder.exists()),
    ]


def _backing_files() -> Iterator[str]:
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        # One may be freed while it is read.
        with contextlib.suppress(OSError):
            yield path.read_text(encoding="utf-8").rstrip("\n")


def answers() -> bool:
    """Whether the daemon says within five seconds what there is."""
    try:
        client.request("state", timeout=5)
    except (client.NotRunning, TimeoutError):
        return False
    return True


def image_named(name: str) -> images.Image:
    """`debian-12` is the baked image, `debian-12-stock` the other."""
    return images.of(name.removesuffix("-stock"), baked=not name.endswith("-stock"))


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with os.fdopen(os.open(LOCK, os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
        # Whoever may read a file may lock it, and keep everybody out.
        os.fchmod(lock.fileno(), 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A `down` that ended just now took the file with it: what was locked here is not what others see.
            alone = os.path.samestat(os.fstat(lock.fileno()), LOCK.stat())
        except (BlockingIOError, FileNotFoundError):
            alone = False
        if not alone:
            raise HoldfastError("another `holdfast twin up` or `down` is at work; wait for it to end")
        yield


def _start() -> None:
    for pid in _daemons():
        # It has not answered for a minute.
        _end(pid)
    make_own(STATE)
    if not emulation.CREDENTIALS.exists():
        _write_key(emulation.Key.new())
    keep = {
        name: value for name, value in os.environ.items() if name.lower().endswith("_proxy") or name == "SSL_CERT_FILE"
    }
    with LOG.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast.twin.daemon"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=CLEAN_ENVIRONMENT | keep,
            cwd="/",
            start_new_session=True,
        )
    if not wait_until(lambda: process.poll() is not None or answers(), timeout=START_WITHIN, interval=0.1):
        raise HoldfastError(f"the twin's daemon does not answer after {START_WITHIN:g} s; {_log_end()}")
    if process.poll() is not None:
        raise HoldfastError(f"the twin's daemon ended with {process.returncode}; {_log_end()}")


def _write_key(key: emulation.Key) -> None:
    """Also for who became root to bring the twin up, and is not root when they deploy to it."""
    emulation.write(emulation.CREDENTIALS, key, int(os.environ.get("SUDO_UID", 0)))


def _log_end() -> str:
    lines = LOG.read_text(errors="replace").splitlines()[-8:]
    return f"the end of {LOG}:\n  " + "\n  ".join(lines)


def _daemons() -> list[int]:
    """Process ids of every daemon of a twin on this host."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"holdfast.twin.daemon" in words and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: _gone(pid), timeout=STOP_WITHIN):
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: _gone(pid), timeout=STOP_WITHIN)


def _gone(pid: int) -> bool:
    """A zombie counts as gone: it waits for its parent, not for us."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"
