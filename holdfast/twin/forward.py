"""Loopback ports of this host that lead to an environment's endpoints, as a client inside its VPC would reach them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from typing import Any, cast

from holdfast.twin import netns
from holdfast.twin.rules import Cut
from holdfast.twin.view import CloudView

LOOPBACK = "127.0.0.1"
FIRST_PORT = 17000
ACCEPT_WITHIN = 0.25
"""Seconds that an endpoint has to accept a connection before the next one is tried."""
TAGS = {"leader": "LeaderEndpoint", "replica": "ReplicaEndpoint"}
PORT_TAG = "EndpointPort"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    vpc_id: str
    address: IPv4Address
    port: int


Forwards = dict[str, dict[str, tuple[Endpoint, ...]]]
"""Environment → `leader` and `replica` → the endpoints to try, in this order."""


def endpoints(view: CloudView, cut: Cut) -> Forwards:
    """What the interfaces' tags say, without those of machines that cannot answer."""
    found: dict[str, dict[str, list[Endpoint]]] = {}
    for interface in sorted(view.interfaces.values(), key=lambda item: item.addresses[0]):
        tags = dict(interface.tags)
        if not {"Environment", PORT_TAG, *TAGS.values()} <= tags.keys():
            continue
        kinds = found.setdefault(tags["Environment"], {kind: [] for kind in TAGS})
        instance = view.instances.get(interface.instance_id or "")
        if instance is None or instance.id in cut.off or cut.isolates(instance):
            continue
        vpc_id = view.subnets[interface.subnet_id].vpc_id
        for kind, tag in TAGS.items():
            kinds[kind].append(Endpoint(vpc_id, IPv4Address(tags[tag]), int(tags[PORT_TAG])))
    return {name: {kind: tuple(where) for kind, where in kinds.items()} for name, kinds in sorted(found.items())}


class Forwarder:
    """Listens on a pair of ports for each environment, on an event loop and thread of its own."""

    def __init__(self, publish: Callable[[str, str], object]) -> None:
        """`publish(name, value)` makes a parameter of the cloud."""
        self.addresses: dict[str, dict[str, str]] = {}
        """Environment → `leader` and `replica` → `127.0.0.1:17000`."""
        self._publish = publish
        self._wanted: Forwards = {}
        self._servers: dict[str, list[asyncio.Server]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="forwards")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.apply({})
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def apply(self, wanted: Forwards) -> None:
        """Connections that are open stay open: whoever is cut off does not hear of it."""
        before, self._wanted = self._wanted, wanted
        for environment in before.keys() - wanted.keys():
            self._do(self._close(environment))
            self.addresses = {name: ports for name, ports in self.addresses.items() if name != environment}
        for environment in wanted:
            if environment not in before:
                ports = self._do(self._listen(environment))
                self.addresses = self.addresses | {environment: ports}
                self._publish(f"/holdfast/{environment}/forwards", json.dumps(ports))

    def _do(self, what: Coroutine[Any, Any, dict[str, str]]) -> dict[str, str]:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    async def _close(self, environment: str) -> dict[str, str]:
        for server in self._servers.pop(environment):
            server.close()
        return {}

    async def _listen(self, environment: str) -> dict[str, str]:
        """On the first ports that are free: the same ones after a restart, as long as nobody else takes them."""
        ports: dict[str, str] = {}
        port = FIRST_PORT
        for kind in TAGS:
            while kind not in ports:
                with contextlib.suppress(OSError):
                    accept = partial(self._accept, environment, kind)
                    server = await self._loop.create_server(accept, LOOPBACK, port)
                    self._servers.setdefault(environment, []).append(server)
                    ports[kind] = f"{LOOPBACK}:{port}"
                port += 1
        return ports

    def _accept(self, environment: str, kind: str) -> _Side:
        return _Side(lambda: self._connect(environment, kind))

    async def _connect(self, environment: str, kind: str) -> socket.socket | None:
        for endpoint in self._wanted.get(environment, {}).get(kind, ()):
            try:
                inside = netns.socket_in(netns.name_of(endpoint.vpc_id))
            except FileNotFoundError:
                continue
            inside.setblocking(False)
            try:
                async with asyncio.timeout(ACCEPT_WITHIN):
                    await self._loop.sock_connect(inside, (str(endpoint.address), endpoint.port))
            except OSError:
                inside.close()
            else:
                return inside
        log.info("no %s endpoint of %s accepts connections", kind, environment)
        return None


class _Side(asyncio.Protocol):
    """One of the two connections that a forward joins; what arrives here leaves on the other side."""

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, socket.socket | None]] | None = None) -> None:
        """`connect` finds the other side; without it this is the other side."""
        self._connect = connect
        self._other: _Side | None = None
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._connect is not None:
            self._transport.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._join(self._connect, self._transport))

    async def _join(
        self, connect: Callable[[], Coroutine[Any, Any, socket.socket | None]], transport: asyncio.Transport
    ) -> None:
        inside = await connect()
        if inside is None:
            transport.abort()
            return
        other = _Side()
        self._other, other._other = other, self
        await asyncio.get_running_loop().create_connection(lambda: other, sock=inside)
        if transport.is_closing():
            other.close()
        else:
            transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.write(data)

    def pause_writing(self) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._other is not None:
            self._other.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
