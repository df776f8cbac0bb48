"""The twin's machines: a systemd of its own per instance, on a root volume that outlives stop and power cut.

Nothing here remembers anything: a machine is found by its control group and its folder, so that any process started
as root can work with it. Different machines may be handled by different threads; one machine by one thread at a time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO

from holdfast.errors import HoldfastError
from holdfast.twin import cgroups
from holdfast.twin.run import CLEAN_ENVIRONMENT, STATE, remove_tree, require_root, run, unmount_below, wait_until

MACHINES = STATE / "machines"
"""`<instance id>/`: `image` (link to the lower layer), `upper` and `work` (the root volume), `root`, `console.log`."""

POWER_OFF, REBOOT = signal.SIGRTMIN + 4, signal.SIGRTMIN + 5
"""What systemd as process 1 takes for an orderly power-off and reboot: see systemd(1), SIGNALS."""

NSPAWN_SETTINGS = {
    # Machines get a pure cgroup v2 hierarchy also where the host still has v1: systemd 257 refuses to boot otherwise.
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
    # /proc/sys/net belongs to the machine's own network namespace, so it may set it; the rest is the host's.
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
}

KEEPER = """
echo 0 > "$0/keeper/cgroup.procs" && echo 0 > "$1/cgroup.procs" || exit
shift
while (echo 0 > "$0/cgroup.procs" && exec "$@"); [ $? -eq 133 ]; do :; done
"""
"""Starts nspawn again when the machine reboots: with --keep-unit it leaves that to others, and exits with 133.

It joins the group that limits its memory first, and stays in one beside nspawn's, since a group with processes of its
own cannot hand controllers to those below.
"""

COPY_TIMEOUT = 300.0

FREE_AT_BOOT = 0.85
"""The share of a machine's memory that is free when it has booted."""

Stream = int | IO[bytes] | IO[str] | None


class NotRunning(HoldfastError):
    """The machine, the node that was meant, or the twin is off."""


def create(instance_id: str, image_path: Path) -> None:
    """Give an instance its root volume. Does nothing when it has one."""
    require_root()
    home = MACHINES / instance_id
    for part in ("upper", "work", "root"):
        (home / part).mkdir(parents=True, exist_ok=True)
    # The upper layer is what the machine sees as the attributes of /.
    (home / "upper").chmod(0o755)
    link = home / "image"
    if not link.is_symlink():
        link.symlink_to(image_path)


def boot(instance_id: str, netns: str, memory: int, *, resolv_conf: str = "", timeout: float = 10) -> int:
    """Start a machine with `memory` MiB in the network namespace `netns`, which has its `eth0`; return its leader.

    `resolv_conf`: what its lease would have written into that file.
    Returns when process 1 runs, not when the machine has finished booting. Does nothing when it is running.

    Raises:
        HoldfastError: it did not start; the message ends with its console.
    """
    leader = _leader(instance_id)
    if leader is not None:
        return leader
    home = MACHINES / instance_id
    root = home / "root"
    _clean_up(instance_id)
    run(["mount", "-t", "overlay", f"hf-{instance_id}", "-o", _layers(home), root])
    group = cgroups.group(instance_id)
    for part in ("keeper", "exec"):
        (group / part).mkdir(parents=True, exist_ok=True)
    limited = cgroups.limit_memory(instance_id, memory)
    (home / "meminfo").write_text(_meminfo(memory), encoding="ascii")
    (home / "resolv.conf").write_text(resolv_conf, encoding="ascii")
    nspawn = [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        f"--directory={root}",
        f"--machine=hf-{instance_id}",
        f"--uuid={instance_id.removeprefix('i-').ljust(32, '0')}",
        f"--network-namespace-path=/run/netns/{netns}",
        "--register=no",
        "--keep-unit",
        f"--kill-signal=SIGRTMIN+{POWER_OFF - signal.SIGRTMIN}",
        # nspawn gives it by itself only to machines whose network it makes.
        "--capability=CAP_NET_ADMIN",
        # With which the systemd of a machine enforces IPAddressDeny=, as on a machine of its own.
        "--system-call-filter=bpf",
        # By a way that the machine sees: what is mounted in /proc is looked for there.
        f"--bind-ro={home / 'meminfo'}:/run/host/meminfo",
        "--bind-ro=/run/host/meminfo:/proc/meminfo",
        # Not written into its root, where the machine could have put a link that leads out of it.
        f"--bind-ro={home / 'resolv.conf'}:/etc/resolv.conf",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--console=read-only",
    ]
    with (home / "console.log").open("ab") as console:
        subprocess.run(
            # A session of its own and no parent: it survives whoever started it, and nobody has to wait for it.
            ["setsid", "--fork", "sh", "-c", KEEPER, str(group), str(limited), *nspawn],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env=CLEAN_ENVIRONMENT | NSPAWN_SETTINGS,
            check=True,
        )
    wait_until(lambda: _leader(instance_id) is not None, timeout=timeout)
    leader = _leader(instance_id)
    if leader is None:
        kill(instance_id)
        said = (home / "console.log").read_text(encoding="utf-8", errors="replace")[-1000:]
        raise HoldfastError(f"machine {instance_id} did not start within {timeout:g} s; its console ends with: {said}")
    return leader


def _meminfo(mebibytes: int) -> str:
    """What /proc/meminfo says of a machine with so much memory when it has booted; it does not change."""
    total, free = mebibytes << 10, round(FREE_AT_BOOT * (mebibytes << 10))
    fields = {"MemTotal": total, "MemFree": free, "MemAvailable": free, "Buffers": 0, "Cached": 0}
    fields |= {"SwapCached": 0, "SwapTotal": 0, "SwapFree": 0}
    return "".join(f"{name + ':':15} {value:9} kB\n" for name, value in fields.items())


def running() -> dict[str, int]:
    """Every running machine: instance id → its leader, the host's pid of the machine's process 1."""
    leaders = {instance_id: _leader(instance_id) for instance_id in cgroups.instances()}
    return {instance_id: leader for instance_id, leader in leaders.items() if leader is not None}


def created() -> list[str]:
    """Every instance that has a root volume, running or not."""
    return sorted(path.name for path in MACHINES.glob("i-*"))


def power_off(instance_id: str, *, timeout: float = 30) -> bool:
    """Shut a machine down in order, as terminate and stop do; pull its plug when that takes longer than `timeout` s.

    Returns whether it went down in order. The root volume stays.
    """
    group = cgroups.group(instance_id)
    deadline = time.monotonic() + timeout
    off = False
    while not off and time.monotonic() < deadline:
        leader = _leader(instance_id)
        if leader is not None:
            _send(leader, POWER_OFF)
        # Said again every second: a systemd that is only just starting does not hear it yet.
        off = wait_until(lambda: not cgroups.processes(group), timeout=min(1.0, timeout))
    kill(instance_id)
    return off


def press_power_button(instance_id: str) -> None:
    """Have a machine that has booted shut itself down in order, and do not wait for it. Fine when it is off."""
    leader = _leader(instance_id)
    if leader is not None:
        _send(leader, POWER_OFF)


def kill(instance_id: str) -> None:
    """Cut a machine's power: nothing in it gets to do anything more. The root volume stays. Fine when it is off."""
    leader = _leader(instance_id)
    group = cgroups.group(instance_id)
    if leader is not None:
        _send(leader, signal.SIGKILL)
        # nspawn sees it and goes by itself, leaving no locks behind.
        wait_until(lambda: not cgroups.processes(group), timeout=2)
    cgroups.kill(group)
    _clean_up(instance_id)


def reboot(instance_id: str, *, timeout: float = 30) -> int:
    """Reboot a machine in order, in the same network namespace; return its new leader.

    Raises:
        NotRunning: it is off.
        HoldfastError: it is not up again within `timeout` seconds.
    """
    before = leader(instance_id)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if _leader(instance_id) == before:
            _send(before, REBOOT)
        if wait_until(lambda: _leader(instance_id) not in (None, before), timeout=1):
            return leader(instance_id)
    raise HoldfastError(f"machine {instance_id} is not up again {timeout:g} s after it was told to reboot")


def leader(instance_id: str) -> int:
    """The host's pid of the machine's process 1.

    Raises:
        NotRunning: it is off.
    """
    found = _leader(instance_id)
    if found is None:
        raise NotRunning(f"machine {instance_id} is not running")
    return found


def exec(
    instance_id: str,
    argv: Sequence[str],
    *,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    timeout: float | None = None,
) -> int:
    """Run a command as root inside a running machine, on the caller's own streams unless others are given.

    Returns its exit code. It ends when the machine does.

    Raises:
        NotRunning: the machine is off.
        subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was ended.
    """
    words = _enter(instance_id, argv)
    environment = CLEAN_ENVIRONMENT | {"TERM": os.environ.get("TERM", "dumb")}
    return subprocess.run(
        words, stdin=stdin, stdout=stdout, stderr=stderr, env=environment, timeout=timeout, check=False
    ).returncode


def output(instance_id: str, argv: Sequence[str], *, timeout: float = 30) -> str:
    """What a command writes that is run as root inside a running machine.

    Raises:
        NotRunning: the machine is off.
        CommandFailed: it exited with another code than 0, or took longer than `timeout` seconds.
    """
    return run(_enter(instance_id, argv), timeout=timeout)


def processes(instance_id: str, names: Collection[str]) -> list[int]:
    """The host's pids of a machine's processes that are called so."""
    # The kernel keeps 15 characters of a process's name.
    kept = {name[:15] for name in names}
    found = []
    for pid in cgroups.processes(cgroups.group(instance_id)):
        # It may end while it is looked at.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").rstrip("\n") in kept:
                found.append(pid)
    return found


def signal_process(instance_id: str, name: str, sig: signal.Signals) -> list[int]:
    """Send a signal to every process of a machine that is called `name`; return the host's pids of those."""
    hit = []
    for pid in processes(instance_id, {name}):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sig)
            hit.append(pid)
    return hit


def freeze(instance_id: str, name: str) -> list[int]:
    """Stop the processes called `name` in their tracks, sockets open, as a hanging one would be."""
    return signal_process(instance_id, name, signal.SIGSTOP)


def thaw(instance_id: str, name: str) -> list[int]:
    """Undo `freeze`."""
    return signal_process(instance_id, name, signal.SIGCONT)


def console_log(instance_id: str) -> Path:
    """What the machine wrote on its console, in all its boots."""
    return MACHINES / instance_id / "console.log"


def console(instance_id: str) -> str:
    """The same as text; empty where the machine never began to boot."""
    try:
        return console_log(instance_id).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def copy_root(instance_id: str, target: Path) -> None:
    """Copy the root volume of a machine that is off, with what is below it, to the folder `target`.

    Raises:
        CommandFailed: there is no such volume, or no room.
    """
    home = MACHINES / instance_id
    where = home / "root"
    run(["mount", "-t", "overlay", f"hf-{instance_id}", "-o", f"ro,{_layers(home, below=True)}", where])
    try:
        run(["cp", "--archive", "--reflink=auto", where, target], timeout=COPY_TIMEOUT)
    finally:
        unmount_below(where)


def _layers(home: Path, *, below: bool = False) -> str:
    """As overlayfs takes them. `below`: nothing can be written."""
    image, upper = (home / "image").resolve(strict=True), home / "upper"
    return f"lowerdir={upper}:{image}" if below else f"lowerdir={image},upperdir={upper},workdir={home / 'work'}"


def destroy(instance_id: str) -> None:
    """Cut the machine's power if it has any, and delete its root volume."""
    kill(instance_id)
    remove_tree(MACHINES / instance_id)


def sweep() -> list[str]:
    """Destroy every machine that is found on this host, whoever started it; return their instance ids."""
    found = sorted({*cgroups.instances(), *created()})
    for instance_id in found:
        destroy(instance_id)
    remove_tree(MACHINES)
    return found


def _leader(instance_id: str) -> int | None:
    payload = cgroups.group(instance_id) / "payload"
    for group in (payload / "init.scope", payload):
        try:
            members = (group / "cgroup.procs").read_text(encoding="ascii").split()
        except OSError:
            continue
        for pid in members:
            if _is_first(pid):
                return int(pid)
    return None


def _is_first(pid: str) -> bool:
    """Whether a process is number 1 of its own pid namespace, and has not ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    numbers = facts["NSpid"].split()
    return len(numbers) > 1 and numbers[-1] == "1" and facts["State"].split()[0] not in "ZX"


def _send(pid: int, sig: int) -> None:
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        # It ended by itself in the meantime.
        return


def _enter(instance_id: str, argv: Sequence[str]) -> list[str]:
    enter = ["nsenter", f"--target={leader(instance_id)}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
    # Joins the machine's groups first, so that it is found and ended with the machine.
    join = ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(cgroups.group(instance_id) / "exec")]
    return [*join, *enter, "--root", "--wd", "--", *argv]


def _clean_up(instance_id: str) -> None:
    """Remove what a machine leaves on the host when it ends: its groups, its mount, nspawn's run-time folders."""
    cgroups.remove(instance_id)
    unmount_below(MACHINES / instance_id / "root")
    for folder in ("propagate", "unix-export"):
        shutil.rmtree(Path("/run/systemd/nspawn") / folder / f"hf-{instance_id}", ignore_errors=True)
