"""Faults, each undoable: a Redis killed or frozen, a machine without power, a node or a zone cut off.

What was done is kept in a file, so that `heal` finds it after the command that did it, and after the daemon, are gone.
"""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.topology import ports
from holdfast.twin import client, machines
from holdfast.twin.rules import Cut
from holdfast.twin.run import STATE

FILE = STATE / "faults.json"
SERVER = "redis-server"
"""Name of the process that `kill` and `freeze` mean. The Sentinels' is another."""

ROLES = ("leader", "replica")
TIMEOUT = 0.5
"""Seconds that a Sentinel has to say who leads."""


@dataclass(frozen=True)
class Fault:
    """`instances` are ids; `zone` is set where a whole zone was cut off."""

    environment: str
    kind: str
    target: str
    instances: tuple[str, ...]
    zone: str | None = None


def inflict(environment: str, kind: str, target: str) -> Fault:
    """Do it, and remember it until it is healed.

    Raises:
        HoldfastError: no such environment, kind or target; with those that there are.
    """
    fault = _plan(environment, kind, target)
    # First remembered: interrupted in between, healing what never happened is harmless.
    _remember([*recorded(), fault])
    DO[kind](fault)
    return fault


def heal(environment: str) -> list[Fault]:
    """Undo every fault of an environment, and say which."""
    mine = [fault for fault in recorded() if fault.environment == environment]
    for fault in mine:
        UNDO[fault.kind](fault)
        # One by one: what fails is still known, and what was done is not done twice.
        _remember([other for other in recorded() if other != fault])
    return mine


def standing() -> Cut:
    """What the faults that have not been healed cut, for a daemon to begin with."""
    faults = recorded()
    cuts = [fault for fault in faults if fault.kind == "isolate"]
    return Cut(
        off=frozenset(name for fault in faults if fault.kind == "power-cut" for name in fault.instances),
        nodes=frozenset(name for fault in cuts if fault.zone is None for name in fault.instances),
        zones=frozenset(fault.zone for fault in cuts if fault.zone is not None),
    )


def recorded() -> list[Fault]:
    """Every fault that has not been healed."""
    if not FILE.exists():
        return []
    return [Fault(**entry | {"instances": tuple(entry["instances"])}) for entry in json.loads(FILE.read_text())]


def _remember(faults: list[Fault]) -> None:
    unfinished = FILE.with_suffix(".new")
    unfinished.write_text(json.dumps([asdict(fault) for fault in faults]))
    unfinished.replace(FILE)


def _plan(environment: str, kind: str, target: str) -> Fault:
    if kind not in DO:
        raise HoldfastError(f"fault {kind}: accepted are {', '.join(DO)}")
    state = client.request("state")
    nodes = [instance for instance in state["instances"] if instance["environment"] == environment]
    if not nodes:
        known = ", ".join(sorted(state["environments"])) or "none"
        raise HoldfastError(f"the twin runs no machine of {environment}; its environments: {known}")
    zone = next((node["zone"] for node in nodes if target in (node["zone"], node["zone"][-1:])), None)
    if target in ROLES:
        meant = [_by_role(environment, target, nodes)]
    elif zone is not None:
        meant = [node for node in nodes if node["zone"] == zone]
    else:
        meant = [node for node in nodes if target in (node["name"], node["id"])]
    if not meant:
        names = ", ".join(node["name"] for node in nodes)
        raise HoldfastError(f"{environment} has no {target}; accepted: {names}, a zone, leader or replica")
    return Fault(environment, kind, target, tuple(node["id"] for node in meant), zone)


def _by_role(environment: str, role: str, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    running = [node for node in nodes if node["namespace"] is not None and not node["isolated"]]
    named = Counter(answer for node in running if (answer := _ask_sentinel(environment, node)))
    if not named:
        raise HoldfastError(f"no Sentinel of {environment} says who leads; name a node: {[n['name'] for n in nodes]}")
    leader = named.most_common(1)[0][0]
    for node in running:
        if (leader in node["addresses"]) == (role == "leader"):
            return node
    raise HoldfastError(f"{environment} has no {role} that is running: the Sentinels name {leader}")


def _ask_sentinel(environment: str, node: dict[str, Any]) -> str | None:
    """The leader's address by the Sentinel of `node`, asked on that very machine."""
    try:
        with client.connect_from_node(node["name"], node["addresses"][0], ports.SENTINEL, TIMEOUT) as connection:
            connection.sendall(f"SENTINEL GET-MASTER-ADDR-BY-NAME {environment}\r\n".encode())
            lines = connection.recv(4096).decode(errors="replace").split("\r\n")
    except (OSError, client.NotRunning):
        return None
    return lines[2] if lines[0] == "*2" else None


def _signal(number: signal.Signals) -> Callable[[Fault], None]:
    def send(fault: Fault) -> None:
        running = machines.running()
        for instance_id in fault.instances:
            if instance_id in running:
                machines.signal_process(instance_id, SERVER, number)

    return send


def _power(do: str) -> Callable[[Fault], None]:
    def switch(fault: Fault) -> None:
        there = {instance["id"] for instance in client.request("state")["instances"]}
        for instance_id in there.intersection(fault.instances):
            client.request(do, instance=instance_id)

    return switch


def _cut(do: str) -> Callable[[Fault], None]:
    def cut(fault: Fault) -> None:
        if fault.zone is not None:
            client.request(do, zone=fault.zone)
            return
        there = {instance["id"] for instance in client.request("state")["instances"]}
        meant = sorted(there.intersection(fault.instances))
        if meant:
            client.request(do, instances=meant)

    return cut


def _nothing(_: Fault) -> None:
    """A killed process has been restarted by its machine long since."""


DO: dict[str, Callable[[Fault], None]] = {
    "kill": _signal(signal.SIGKILL),
    "freeze": _signal(signal.SIGSTOP),
    "power-cut": _power("power_off"),
    "isolate": _cut("isolate"),
}
UNDO: dict[str, Callable[[Fault], None]] = {
    "kill": _nothing,
    "freeze": _signal(signal.SIGCONT),
    "power-cut": _power("power_on"),
    "isolate": _cut("join"),
}
