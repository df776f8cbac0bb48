"""The twin from outside: requests to its daemon, and connections that begin at a node or inside a VPC."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.topology import ports
from holdfast.twin import machines, netns, outside
from holdfast.twin.machines import NotRunning as NotRunning

CONTROL = Path("/run/holdfast-twin/control.sock")
LOCK = Path("/run/holdfast-twin.lock")
"""Held by the daemon: a host has one."""
CACHED_FOR = 0.2
"""Seconds for which a node is taken to be where it was."""

_lock = threading.Lock()
_state: tuple[float, dict[str, Any]] | None = None


def request(do: str, *, timeout: float = 60, **arguments: object) -> dict[str, Any]:
    """Have the daemon do something; returns its answer.

    Raises:
        NotRunning: there is no daemon.
        TimeoutError: it is too busy to answer in time.
        HoldfastError: it refused; the message has its words.
    """
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(timeout)
        try:
            control.connect(str(CONTROL))
        except BlockingIOError:
            raise TimeoutError("too many are asking the twin's daemon at once") from None
        except OSError:
            raise NotRunning("the twin is not running; start it: holdfast twin up") from None
        control.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
        with control.makefile("rb") as lines:
            line = lines.readline()
    if not line:
        raise HoldfastError(f"the twin's daemon did not answer `{do}`; see its log in /var/lib/holdfast-twin")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise HoldfastError(str(answer["error"]))
    return answer


def connect_from_node(node_name: str, address: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection that begins on a node, as one of its own processes would open it.

    Raises:
        NotRunning: the node has no machine that is on.
        OSError: it could not be made.
    """
    return _connect(_running(node_name)["namespace"], address, port, timeout)


def connect_to_sentinel(node_name: str, address: str, timeout: float) -> socket.socket:
    """The same to a node's own Sentinel, logged in with what the node program there has.

    Raises:
        NotRunning: the node has no machine that is on.
        OSError: it could not be made, or the Sentinel does not let it in.
    """
    folder = Path(f"/proc/{machines.leader(_running(node_name)['id'])}/root/run/holdfast")
    user, password = json.loads((folder / "node.json").read_text(encoding="utf-8"))
    connection = connect_from_node(node_name, address, ports.SENTINEL, timeout)
    try:
        if (folder / "ca.pem").exists():
            tls = ssl.create_default_context(cafile=str(folder / "ca.pem"))
            tls.load_cert_chain(folder / "node.pem")
            connection = tls.wrap_socket(connection, server_hostname=address)
        connection.sendall(f"AUTH {user} {password}\r\n".encode())
        answer = connection.recv(256)
        if answer != b"+OK\r\n":
            raise PermissionError(f"the Sentinel of {node_name} says {answer.decode(errors='replace').strip()}")
    except OSError:
        connection.close()
        raise
    return connection


def connect_from_outside(source: str, address: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection that begins at a machine on the internet, which has the address `source`.

    Raises:
        NotRunning: nothing of the twin has a public address.
        OSError: it could not be made.
    """
    return _connect(outside.NAMESPACE, address, port, timeout, source)


def connect_from_vpc(environment: str, address: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection that begins in the environment's VPC but on no node: at its router.

    Raises:
        NotRunning: the environment has no VPC.
        OSError: it could not be made.
    """
    found = _cached()["environments"].get(environment)
    if found is None:
        raise NotRunning(f"environment {environment} has no VPC in the twin")
    return _connect(found["namespace"], address, port, timeout)


def _running(node_name: str) -> dict[str, Any]:
    for instance in _cached()["instances"]:
        if instance["name"] == node_name and instance["namespace"] is not None:
            found: dict[str, Any] = instance
            return found
    raise NotRunning(f"node {node_name} is not running")


def _cached() -> dict[str, Any]:
    global _state
    with _lock:
        if _state is None or _state[0] < time.monotonic():
            _state = (time.monotonic() + CACHED_FOR, request("state"))
        return _state[1]


def _connect(namespace: str, address: str, port: int, timeout: float, source: str = "") -> socket.socket:
    try:
        connection = netns.socket_in(namespace)
    except FileNotFoundError:
        raise NotRunning(f"network namespace {namespace} is gone") from None
    try:
        connection.settimeout(timeout)
        if source:
            connection.bind((source, 0))
        connection.connect((address, port))
    except OSError:
        connection.close()
        raise
    return connection
