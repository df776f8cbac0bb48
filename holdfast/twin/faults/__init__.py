"""Faults, each undoable: of processes, of power, of the network, and inside of a machine. `kinds` has the table."""

from __future__ import annotations

from holdfast.errors import HoldfastError
from holdfast.twin.faults import cuts, network, targets
from holdfast.twin.faults.kinds import KINDS
from holdfast.twin.faults.record import Fault, forget, recorded, remember
from holdfast.twin.rules import Cut

__all__ = ["Fault", "heal", "inflict", "recorded", "standing"]


def inflict(
    environment: str,
    kind: str,
    target: str | None = None,
    *,
    peers: str | None = None,
    port: str | None = None,
    process: str | None = None,
    amount: float | None = None,
) -> Fault:
    """Do it, and remember it until it is healed. The optional ones are for the kinds that take them.

    Raises:
        HoldfastError: no such environment, kind, target or value; with those that there are.
    """
    if kind not in KINDS:
        raise HoldfastError(f"fault {kind}: accepted are {', '.join(KINDS)}")
    wanted = KINDS[kind]
    values = wanted.values({"peers": peers, "port": port, "process": process, "amount": amount})
    nodes = targets.nodes_of(environment)
    if wanted.target is None and target not in (None, targets.ALL):
        raise HoldfastError(f"fault {kind} is about all of {environment}: it takes no target, found {target}")
    name = target or (targets.ALL if wanted.target is None else wanted.target)
    found = targets.meant(environment, name, nodes)
    if "peers" in values:
        values["peers"] = targets.peers(environment, peers, found, nodes)
    fault = Fault(environment, kind, name, found.instances, found.zone, **values)
    # First remembered: interrupted in between, healing what never happened is harmless.
    remember(fault)
    wanted.do(fault)
    return fault


def heal(environment: str) -> list[Fault]:
    """Undo every fault of an environment, the latest first, and say which."""
    mine = [fault for fault in reversed(recorded()) if fault.environment == environment]
    for fault in mine:
        KINDS[fault.kind].undo(fault)
        # One by one: what fails is still known, and what was done is not done twice.
        forget(fault)
        if fault.kind in network.KINDS:
            network.apply(fault)
    return mine


def standing() -> Cut:
    """What the faults that have not been healed cut, for a daemon to begin with and to follow."""
    return cuts.standing(recorded())
