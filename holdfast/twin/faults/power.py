"""Faults of power: machines that go dark, or down in order, and volumes that are empty when they are back."""

from __future__ import annotations

from holdfast.errors import HoldfastError
from holdfast.twin import client, machines, volumes
from holdfast.twin.faults.kind import Kind
from holdfast.twin.faults.record import Fault
from holdfast.twin.run import wait_until

OFF_WITHIN = 90.0
"""Seconds for an orderly power-off: systemd itself gives up on a service after so long."""


def cut(fault: Fault) -> None:
    """All of them at the same moment."""
    client.request("power_off", instances=_there(fault))


def off(fault: Fault) -> None:
    """As `poweroff` on the machines themselves: stop hooks run, and the cloud calls them stopped."""
    running = machines.running()
    going = [instance_id for instance_id in _there(fault) if instance_id in running]
    for instance_id in going:
        machines.press_power_button(instance_id)
    if not wait_until(lambda: _stopped(going), timeout=OFF_WITHIN, interval=0.1):
        raise HoldfastError(f"of {', '.join(going)}, not all are off {OFF_WITHIN:g} s after they were told to")


def wipe(fault: Fault) -> None:
    cut(fault)
    described = {instance["id"]: instance for instance in client.request("state")["instances"]}
    for instance_id in _there(fault):
        for volume_id in described[instance_id]["volumes"]:
            volumes.blank(volume_id)


def on(fault: Fault) -> None:
    client.request("power_on", instances=_there(fault))


def _there(fault: Fault) -> list[str]:
    """Those that exist still: machines are replaced."""
    there = {instance["id"] for instance in client.request("state")["instances"]}
    return sorted(there.intersection(fault.instances))


def _stopped(instances: list[str]) -> bool:
    states = {instance["id"]: instance["state"] for instance in client.request("state")["instances"]}
    return all(states.get(instance_id, "stopped") == "stopped" for instance_id in instances)


KINDS = {
    "power-cut": Kind("Cut the power of a machine.", cut, on),
    "power-off": Kind("Shut down a machine in order, with its stop hooks.", off, on),
    "wipe": Kind("Cut the power of a machine and blank its data volume.", wipe, on),
    "whole-site": Kind("Cut the power of every machine of the environment at the same moment.", cut, on, target=None),
}
