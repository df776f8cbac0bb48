"""What the faults that stand cut in the network: pure, from records to the one value that the router follows."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from holdfast.topology import ports
from holdfast.twin.faults.record import Fault
from holdfast.twin.rules import Cut, Loss, Severed

PORTS = {"redis": ports.REDIS, "sentinel": ports.SENTINEL}
"""The services that a cut may be limited to. Names that people give → TCP port."""


def standing(faults: Iterable[Fault]) -> Cut:
    """Everything that these cut together."""
    return reduce(Cut.__or__, map(cut_of, faults), Cut())


def cut_of(fault: Fault) -> Cut:
    """What one fault cuts: nothing, for most kinds."""
    machines = frozenset(fault.instances)
    match fault.kind:
        case "power-cut" | "wipe" | "whole-site":
            return Cut(off=machines)
        case "isolate" if fault.zone is not None:
            return Cut(zones=frozenset({(fault.environment, fault.zone)}))
        case "isolate":
            return Cut(nodes=machines)
        case "one-way":
            return Cut(severed=frozenset(_ways(fault)))
        case "partition":
            there = frozenset(_ways(fault))
            return Cut(severed=there | {way.reversed() for way in there})
        case "loss":
            return Cut(lossy=frozenset(Loss(name, int(fault.amount or 0)) for name in fault.instances))
        case "api-outage":
            return Cut(without_api=machines)
        case _:
            return Cut()


def _ways(fault: Fault) -> Iterable[Severed]:
    port = None if fault.port is None else PORTS[fault.port]
    return (Severed(one, other, port) for one in fault.instances for other in fault.peers)
