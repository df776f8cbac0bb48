"""Faults of one process of a machine: it is killed, or it hangs with its sockets open."""

from __future__ import annotations

import signal
import subprocess

from holdfast.twin import machines
from holdfast.twin.faults.kind import Kind, Option, nothing
from holdfast.twin.faults.record import Fault

NAMES = {"redis": "redis-server", "sentinel": "redis-sentinel", "haproxy": "haproxy", "keepalived": "keepalived"}
"""What people call them → what the kernel calls them."""

THAW = 'sleep "$0"; exec kill -CONT "$@"'


def kill(fault: Fault) -> None:
    _send(fault, signal.SIGKILL)


def freeze(fault: Fault) -> None:
    frozen = _send(fault, signal.SIGSTOP)
    if fault.amount is not None and frozen:
        # On its own: it thaws them also when the command, or the daemon, is gone.
        command = ["setsid", "--fork", "sh", "-c", THAW, f"{fault.amount:g}", *map(str, frozen)]
        subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
        )


def thaw(fault: Fault) -> None:
    _send(fault, signal.SIGCONT)


def _send(fault: Fault, number: signal.Signals) -> list[int]:
    """The host's pids of those that it was sent to."""
    running = machines.running()
    hit: list[int] = []
    for instance_id in fault.instances:
        if instance_id in running:
            hit += machines.signal_process(instance_id, NAMES[fault.process or "redis"], number)
    return hit


PROCESS = Option(
    "--process",
    "process",
    f"One of {', '.join(NAMES)}.",
    "PROCESS",
    accepted=tuple(NAMES),
    default="redis",
)
FOR = Option("--for", "amount", "Undo it after SECONDS.", "SECONDS", lowest=0.1, highest=3600)

KINDS = {
    "kill": Kind("Kill a process. Its machine restarts it.", kill, nothing, (PROCESS,)),
    "freeze": Kind("Suspend a process. Its sockets stay open.", freeze, thaw, (PROCESS, FOR)),
}
