"""Whom a fault means: a node by name or id, a zone, everybody, or who leads or follows just now."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from holdfast.errors import HoldfastError
from holdfast.topology import ports
from holdfast.twin import client

ROLES = ("leader", "replica")
ALL = "all"
TIMEOUT = 0.5
"""Seconds that a Sentinel has to say who leads."""

Node = dict[str, Any]
"""An instance as the daemon describes it."""


class Target(NamedTuple):
    instances: tuple[str, ...]
    zone: str | None
    """Set where a whole zone was meant."""


def nodes_of(environment: str) -> list[Node]:
    """The machines of an environment.

    Raises:
        HoldfastError: there are none; with the environments that there are.
    """
    state = client.request("state")
    nodes = [instance for instance in state["instances"] if instance["environment"] == environment]
    if not nodes:
        known = ", ".join(sorted(state["environments"])) or "none"
        raise HoldfastError(f"the twin runs no machine of {environment}; its environments: {known}")
    return nodes


def meant(environment: str, target: str, nodes: list[Node]) -> Target:
    """Whom a target means, or several that are separated by commas.

    Raises:
        HoldfastError: no such target; with those that there are.
    """
    zone = next((node["zone"] for node in nodes if target in (node["zone"], node["zone"][-1:])), None)
    named = [node["id"] for one in target.split(",") for node in _one(environment, one, nodes)]
    return Target(tuple(dict.fromkeys(named)), zone)


def peers(environment: str, listed: str | None, of: Target, nodes: list[Node]) -> tuple[str, ...]:
    """Ids of those that are meant, or of everybody; never of the target's own.

    Raises:
        HoldfastError: no such target, or nobody but the target itself.
    """
    named = meant(environment, ALL if listed is None else listed, nodes).instances
    others = tuple(name for name in named if name not in of.instances)
    if not others:
        raise HoldfastError(f"peers {listed or ALL}: nobody but the target itself; name another node or zone")
    return others


def _one(environment: str, target: str, nodes: list[Node]) -> list[Node]:
    if target in ROLES:
        return [_by_role(environment, target, nodes)]
    if target == ALL:
        return nodes
    found = [node for node in nodes if target in (node["name"], node["id"], node["zone"], node["zone"][-1:])]
    if not found:
        names = ", ".join(node["name"] for node in nodes)
        raise HoldfastError(f"{environment} has no {target!r}; accepted: {names}, a zone, leader, replica or all")
    return found


def _by_role(environment: str, role: str, nodes: list[Node]) -> Node:
    running = [node for node in nodes if node["namespace"] is not None and not node["isolated"]]
    named = Counter(answer for node in running if (answer := _ask_sentinel(environment, node)))
    if not named:
        raise HoldfastError(f"no Sentinel of {environment} says who leads; name a node: {[n['name'] for n in nodes]}")
    leader = named.most_common(1)[0][0]
    for node in running:
        if (leader in node["addresses"]) == (role == "leader") and (role == "leader" or _has_redis(node)):
            return node
    raise HoldfastError(f"{environment} has no {role} that is running: the Sentinels name {leader}")


def _has_redis(node: Node) -> bool:
    """Not every machine does: a layout may have gateways and Sentinels on machines of their own."""
    try:
        client.connect_from_node(node["name"], node["addresses"][0], ports.REDIS, TIMEOUT).close()
    except (OSError, client.NotRunning):
        return False
    return True


def _ask_sentinel(environment: str, node: Node) -> str | None:
    """The leader's address by the Sentinel of `node`, asked on that very machine."""
    try:
        with client.connect_to_sentinel(node["name"], node["addresses"][0], TIMEOUT) as connection:
            connection.sendall(f"SENTINEL GET-MASTER-ADDR-BY-NAME {environment}\r\n".encode())
            lines = connection.recv(4096).decode(errors="replace").split("\r\n")
    except (OSError, client.NotRunning):
        return None
    return lines[2] if lines[0] == "*2" else None
