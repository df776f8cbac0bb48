"""What can be reached from where: TCP connections, tried from a machine's own network; and who is not let in."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from itertools import product

from holdfast.drill.cluster import Cluster
from holdfast.topology import ports

TIMEOUT = 0.5
"""Seconds. What no security group lets through is not answered at all."""

AT_ONCE = 32

REFUSED_WITHIN, ANSWERED_WITHIN = 0.3, 2.0
"""Seconds for a server to say that it does not let a client in, and to answer one that it does."""

Door = tuple[str, int]
"""Address and port."""
Connect = Callable[[str, int, float], socket.socket]
"""Address, port and timeout → a connection from somewhere. Raises `OSError` where none can be made."""

OURS = {ports.ENDPOINT, ports.TLS_ENDPOINT, ports.REDIS, ports.SENTINEL, ports.LEASE, ports.STATS}
OTHERS = {22, 53, 80, 111, 443, 5355, 10000 + ports.REDIS}
"""What distributions, and a Redis Cluster, would listen on."""


def listening(cluster: Cluster) -> set[int]:
    """Every TCP port on which anything listens on any machine of the cluster, at whatever address; and some more."""
    found = {
        int(line.split()[3].rpartition(":")[2])
        for node in cluster.instances()
        for line in cluster.exec(node, "ss", "--no-header", "--listening", "--tcp", "--numeric").splitlines()
    }
    return found | OURS | OTHERS


def reached(connect: Connect, addresses: Collection[str], tried: Collection[int]) -> dict[str, set[int]]:
    """Address → ports of it to which it can `connect`; addresses without any are left out."""
    pairs = list(product(addresses, tried))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        open_ = list(pool.map(lambda pair: _connects(connect, *pair), pairs))
    found: dict[str, set[int]] = {}
    for (address, port), is_open in zip(pairs, open_, strict=True):
        if is_open:
            found.setdefault(address, set()).add(port)
    return found


def _connects(connect: Connect, address: str, port: int) -> bool:
    try:
        connect(address, port, TIMEOUT).close()
    except OSError:
        return False
    return True


def refusal(connect: Connect, door: Door, context: ssl.SSLContext, name: str | None = None) -> str | None:
    """How a session that sends a command ends; None where it is answered."""
    address, port = door
    with connect(address, port, ANSWERED_WITHIN) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=name or address) as connection:
                # With TLS 1.3 a refusal comes after the client's handshake; and is lost where the client has written.
                connection.settimeout(REFUSED_WITHIN)
                with contextlib.suppress(TimeoutError):
                    return "more than nobody asked for" if connection.recv(100) else "closed"
                connection.settimeout(ANSWERED_WITHIN)
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n" if port == ports.STATS else b"PING\r\n")
                return None if connection.recv(100) else "closed"
        except ssl.SSLError as error:
            return str(error)
        except ConnectionResetError:
            return "reset"
