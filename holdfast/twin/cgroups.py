"""One control group per machine: by it a machine is found, signalled and cleaned up, and no file remembers it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.twin.run import mounts, wait_until

PREFIX = "hf-"


def unified() -> Path:
    """Where the host has its cgroup v2 hierarchy: everything on new hosts, beside v1 controllers on legacy ones.

    Raises:
        HoldfastError: there is none.
    """
    for where, kind in mounts():
        if kind == "cgroup2":
            return where
    raise HoldfastError("no cgroup v2 hierarchy is mounted; mount one: mount -t cgroup2 cgroup2 /sys/fs/cgroup")


def group(instance_id: str) -> Path:
    """The machine's control group. nspawn makes `supervisor` (itself) and `payload` (the machine) below it."""
    return unified() / f"{PREFIX}{instance_id}"


def limit_memory(instance_id: str, mebibytes: int) -> Path:
    """Give a machine that is off so much memory and no swap; return the group that its processes must join for that.

    Where it runs out the kernel ends one of the machine's processes, by the same rules as on a machine of its own.

    Raises:
        HoldfastError: no hierarchy has the memory controller.
    """
    legacy = [where for where, kind in mounts() if kind == "cgroup" and where.name == "memory"]
    if legacy:
        limited, limits = legacy[0] / f"{PREFIX}{instance_id}", ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        limited.mkdir(exist_ok=True)
        for name in limits:
            # The second one is there where the kernel counts swap at all.
            if (limited / name).exists():
                (limited / name).write_text(str(mebibytes << 20), encoding="ascii")
        return limited
    top, limited = unified(), group(instance_id)
    if "memory" not in (top / "cgroup.controllers").read_text(encoding="ascii").split():
        raise HoldfastError(f"{top} has no memory controller; accepted: one there, or in a legacy hierarchy")
    (top / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
    (limited / "memory.max").write_text(str(mebibytes << 20), encoding="ascii")
    (limited / "memory.swap.max").write_text("0", encoding="ascii")
    return limited / "keeper"


def instances() -> list[str]:
    """Every instance that has a control group, running or just ended."""
    return sorted(path.name.removeprefix(PREFIX) for path in unified().glob(f"{PREFIX}i-*"))


def processes(group: Path) -> list[int]:
    """The processes of a group and of all below it."""
    found: list[int] = []
    # Unlike Path.glob, os.walk does not mind that groups vanish under its feet.
    for folder, _, _ in os.walk(group):
        try:
            found += [int(line) for line in Path(folder, "cgroup.procs").read_text(encoding="ascii").split()]
        except OSError:
            # The group went away while it was read.
            continue
    return found


def kill(group: Path) -> None:
    """End every process of a group and of all below it, at once."""
    try:
        (group / "cgroup.kill").write_text("1", encoding="ascii")
    except FileNotFoundError:
        return


def remove(instance_id: str) -> None:
    """Remove the machine's empty groups, in the unified hierarchy and where nspawn mirrored them in legacy ones.

    Raises:
        HoldfastError: a process in them does not end.
    """
    for where, kind in mounts():
        if kind not in ("cgroup2", "cgroup"):
            continue
        top = where / f"{PREFIX}{instance_id}"
        if not wait_until(partial(_removed, top), timeout=5):
            raise HoldfastError(f"{top}: processes {processes(top)} do not end")


def _removed(top: Path) -> bool:
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True
