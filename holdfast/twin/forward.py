"""Loopback ports of this host that lead to an environment's endpoints, as a client inside its VPC would reach them."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from holdfast.twin import netns
from holdfast.twin.relay import Client, Learn
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

    def __init__(self, publish: Callable[[str, str], object], ports: Path) -> None:
        """`publish(name, value)` makes a parameter of the cloud; the file `ports` keeps what was given to whom."""
        self.addresses: dict[str, dict[str, str]] = {}
        """Environment → `leader` and `replica` → `127.0.0.1:17000`."""
        self._publish, self._file = publish, ports
        self._ports: dict[str, dict[str, int]] = json.loads(ports.read_text()) if ports.exists() else {}
        self._wanted: Forwards = {}
        self._first: dict[tuple[str, str], Endpoint] = {}
        """Environment and kind → whom to ask first."""
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
        """On the ports that it had, unless somebody else took them; at first on free ones that are nobody's."""
        mine = self._ports.get(environment, {})
        others = {port for name, ports in self._ports.items() if name != environment for port in ports.values()}
        for kind in TAGS:
            port = mine.get(kind, FIRST_PORT)
            while not await self._open(environment, kind, port, others | {mine[k] for k in mine if k != kind}):
                port = max(port, FIRST_PORT) + 1
            mine = mine | {kind: port}
        self._ports[environment] = mine
        # Whole or not at all: the next daemon must be able to read it.
        unfinished = self._file.with_suffix(".new")
        unfinished.write_text(json.dumps(self._ports))
        unfinished.replace(self._file)
        return {kind: f"{LOOPBACK}:{port}" for kind, port in mine.items()}

    async def _open(self, environment: str, kind: str, port: int, taken: set[int]) -> bool:
        if port in taken:
            return False
        try:
            server = await self._loop.create_server(partial(self._accept, environment, kind), LOOPBACK, port)
        except OSError:
            return False
        self._servers.setdefault(environment, []).append(server)
        return True

    def _accept(self, environment: str, kind: str) -> Client:
        return Client(partial(self._connect, environment, kind))

    async def _connect(self, environment: str, kind: str) -> tuple[Learn, socket.socket] | None:
        for endpoint in self._order(environment, kind):
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
                return partial(self._learn, environment, kind, endpoint), inside
        log.info("no %s endpoint of %s accepts connections", kind, environment)
        return None

    def _order(self, environment: str, kind: str) -> tuple[Endpoint, ...]:
        found = self._wanted.get(environment, {}).get(kind, ())
        first = self._first.get((environment, kind))
        start = found.index(first) if first in found else 0
        return found[start:] + found[:start]

    def _learn(self, environment: str, kind: str, endpoint: Endpoint, answered: bool) -> None:
        """Next time begin with one that answered; after one that hung up without a word, with the one behind it.

        A gateway that knows no leader accepts, and closes at once.
        """
        order = self._order(environment, kind)
        if answered:
            self._first[environment, kind] = endpoint
        elif order[:1] == (endpoint,):
            self._first[environment, kind] = order[1 % len(order)]
