"""Faults inside of a machine: its disk is full, its cores are busy, its clock is wrong."""

from __future__ import annotations

import contextlib
import subprocess

from holdfast.errors import HoldfastError
from holdfast.twin import clocks, machines
from holdfast.twin.faults.kind import Kind, Option
from holdfast.twin.faults.record import Fault

DATA = "/var/lib/holdfast"
"""Where a node has its data volume."""

FILL = """
cd "$0" || exit
mountpoint -q . || { echo "nothing is mounted at $0" >&2; exit 1; }
# Almost all without writing anything, then the last blocks.
fallocate --length "$(df --block-size=1 --output=avail . | tail -n 1)" .fault-full 2>/dev/null
cat /dev/zero > .fault-full-rest 2>/dev/null
# Redis may have given something back meanwhile.
test "$(df --block-size=1 --output=avail . | tail -n 1)" -lt 1048576
"""
EMPTY = """
# A machine that was just powered on mounts its volume in a few seconds.
for _ in $(seq 300); do mountpoint -q "$0" && exec rm -f "$0/.fault-full" "$0/.fault-full-rest"; sleep 0.1; done
echo "nothing is mounted at $0 after 30 s" >&2
exit 1
"""

CPU_UNIT = "holdfast-fault-cpu"
CPU_SECONDS = 120
"""Whatever happens to whoever should end it."""
BURN = 'for _ in $(seq "$(nproc)"); do while :; do :; done & done; wait'

CLOCK_READERS = ("redis-server", "redis-sentinel", "haproxy", "python3")
"""Redis, Sentinel, HAProxy and the node program."""


def fill(fault: Fault) -> None:
    for instance_id in fault.instances:
        machines.output(instance_id, ["sh", "-c", FILL, DATA])


def empty(fault: Fault) -> None:
    for instance_id in fault.instances:
        if instance_id not in machines.created():
            continue
        try:
            machines.output(instance_id, ["sh", "-c", EMPTY, DATA], timeout=40)
        except machines.NotRunning:
            raise HoldfastError(f"{instance_id} is off, and its disk still full: heal again when it runs") from None


def burn(fault: Fault) -> None:
    for instance_id in fault.instances:
        bound = f"--property=RuntimeMaxSec={CPU_SECONDS}"
        machines.output(
            instance_id, ["systemd-run", "--quiet", "--collect", f"--unit={CPU_UNIT}", bound, "sh", "-c", BURN]
        )


def cool(fault: Fault) -> None:
    for instance_id in _running(fault):
        machines.exec(instance_id, ["systemctl", "--quiet", "stop", CPU_UNIT], stderr=subprocess.DEVNULL)


def step(fault: Fault) -> None:
    _set_clocks(fault, int(fault.amount or 0))


def step_back(fault: Fault) -> None:
    _set_clocks(fault, 0)


def _set_clocks(fault: Fault, seconds: int) -> None:
    for instance_id in _running(fault):
        for pid in machines.processes(instance_id, CLOCK_READERS):
            # It may have ended meanwhile.
            with contextlib.suppress(ProcessLookupError):
                clocks.step(pid, seconds)


def _running(fault: Fault) -> list[str]:
    running = machines.running()
    return [instance_id for instance_id in fault.instances if instance_id in running]


BY = Option("--by", "amount", "How far to step the clock.", "SECONDS", lowest=-86400, highest=86400, default=60)

KINDS = {
    "disk-full": Kind("Fill the data volume.", fill, empty),
    "cpu": Kind(f"Load every core of a machine, for at most {CPU_SECONDS} s.", burn, cool),
    "clock": Kind("Step the clock of the services on a machine.", step, step_back, (BY,)),
}
