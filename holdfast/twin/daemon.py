"""The twin's one process: the cloud's API, the network and machines that follow it, and a socket to control them."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import socketserver
import threading
from collections.abc import Callable
from dataclasses import asdict
from ipaddress import IPv4Address
from typing import Any, Protocol

from holdfast.errors import HoldfastError
from holdfast.topology import emulation
from holdfast.twin import faults, images, internet, machines, metadata, netns, resolver, web
from holdfast.twin.api import Api
from holdfast.twin.client import CONTROL, LOCK
from holdfast.twin.fabric import Fabric
from holdfast.twin.forward import Forwarder, endpoints
from holdfast.twin.reconciler import Reconciler, is_alive
from holdfast.twin.rules import API_PORT, INTERNET, METADATA, METADATA_PORT, MIRROR_PORT, Cut, admits_api, resolvers
from holdfast.twin.run import STATE, make_own, require_root
from holdfast.twin.view import CloudView, Instance, Vpc

REGION = "eu-central-1"
SNAPSHOT = STATE / "api.dill"
SAVE_AFTER = 1.0
"""Seconds from a change of the API's state to its snapshot; changes in between share one."""

Request = dict[str, Any]
Command = Callable[[Request], dict[str, Any]]

log = logging.getLogger(__name__)


class Stoppable(Protocol):
    def stop(self) -> None: ...


class Daemon:
    def __init__(self, *, port: int = API_PORT, region: str = REGION) -> None:
        self.api = Api(
            port=port, region=region, on_change=self._changed, key=emulation.key(), consoles=machines.console
        )
        self.fabric = Fabric()
        self.forwards = Forwarder(self.api.put_parameter, STATE / "forwards.json")
        self.reconciler = Reconciler(self.api, self.fabric, self._follow)
        self.commands: dict[str, Command] = {
            "state": lambda _: self.state(),
            "cut": self._cut,
            "power_off": self._power_off,
            "power_on": self._power_on,
            "grant": self._grant,
            "stop": self._stop,
            "key": lambda _: asdict(self.api.key),
            "unused_permissions": lambda _: self.api.unused_permissions(),
        }
        """What the control socket takes: name → what answers a request."""
        self.stopped = threading.Event()
        """Set when it should stop, by whoever wants it to."""
        self._services: dict[str, list[Stoppable]] = {}
        self._control: _Control | None = None
        self._unsaved = threading.Event()
        self._saver = threading.Thread(target=self._save, daemon=True, name="saver")

    def start(self) -> None:
        make_own(STATE)
        if SNAPSHOT.exists():
            self.api.load(SNAPSHOT)
        for image in images.CATALOGUE:
            self.api.register_image(image.id, image.name, image.owner or self.api.account, "x86_64")
        # Before anything is connected or booted that is to stay cut off.
        self.reconciler.cut = faults.standing()
        self.forwards.start()
        self.reconciler.start()
        self._saver.start()
        self.api.start()
        self._control = _Control(self.commands)

    def stop(self) -> None:
        """Machines and network stay as they are, for the next daemon to take over."""
        self.stopped.set()
        if self._control is not None:
            self._control.stop()
        self.reconciler.stop()
        for vpc_id in list(self._services):
            self._leave(vpc_id)
        self.api.stop()
        self.forwards.stop()
        self._unsaved.set()
        self._saver.join()

    def state(self) -> dict[str, Any]:
        """Everything there is, as `holdfast twin ls` shows it."""
        view, cut = self.api.view(), self.reconciler.cut
        instances = [_describe(view, cut, item) for item in view.instances.values() if item.state != "terminated"]
        environments = {}
        for interface in view.interfaces.values():
            name = dict(interface.tags).get("Environment")
            if name is not None:
                vpc_id = view.subnets[interface.subnet_id].vpc_id
                environments[name] = {"vpc": vpc_id, "namespace": netns.name_of(vpc_id)}
        return {
            "api": self.api.url,
            "instances": sorted(instances, key=lambda item: (item["name"], item["id"])),
            "environments": environments,
            "forwards": self.forwards.addresses,
        }

    def instance(self, which: str) -> Instance:
        """By its id, or by the name of its node.

        Raises:
            HoldfastError: there is none.
        """
        there = [item for item in self.api.view().instances.values() if item.state != "terminated"]
        for instance in there:
            if which in (instance.id, instance.name):
                return instance
        have = ", ".join(sorted(item.name for item in there)) or "none"
        raise HoldfastError(f"the twin has no instance {which}; it has {have}")

    def _cut(self, _: Request) -> dict[str, Any]:
        """What is recorded of faults has changed."""
        self.reconciler.follow(faults.standing())
        return {}

    def _grant(self, request: Request) -> dict[str, Any]:
        self.api.grant(request["quotas"])
        return {}

    def _power_off(self, request: Request) -> dict[str, Any]:
        self.reconciler.power_off(frozenset(self.instance(which).id for which in request["instances"]))
        return {}

    def _power_on(self, request: Request) -> dict[str, Any]:
        for which in request["instances"]:
            instance = self.instance(which)
            self.reconciler.power_on(instance.id)
            if instance.state == "stopped":
                self.api.start_instance(instance.id)
        return {}

    def _stop(self, request: Request) -> dict[str, Any]:
        self.stopped.set()
        return {"pid": os.getpid()}

    def _changed(self) -> None:
        """Called by the API while it holds its lock."""
        self.reconciler.poke()
        self._unsaved.set()

    def _follow(self, view: CloudView, cut: Cut) -> None:
        """What depends on the network, after it changed."""
        routers = self.fabric.routers
        for vpc_id in self._services.keys() - routers.keys():
            self._leave(vpc_id)
        for vpc_id in routers.keys() - self._services.keys():
            self._enter(view.vpcs[vpc_id], routers[vpc_id].namespace)
        self.forwards.apply(endpoints(view, cut))

    def _enter(self, vpc: Vpc, namespace: str) -> None:
        """Offer in a VPC what its machines find at link-local and internet addresses, and at its resolver's."""
        vpc_id = vpc.id
        describe = metadata.handler(vpc_id, self.api.view, self.api.credentials_for)
        api_socket = netns.listener_in(namespace, str(INTERNET), API_PORT)
        with api_socket:
            # Duplicates the socket.
            api = self.api.serve_on(
                api_socket,
                lambda caller, service: admits_api(self.api.view(), vpc_id, IPv4Address(caller), service),
            )
        self._services[vpc_id] = [
            web.Server(netns.listener_in(namespace, str(METADATA), METADATA_PORT), describe),
            web.Server(netns.listener_in(namespace, str(INTERNET), MIRROR_PORT), internet.Mirrors),
            api,
            *resolver.servers(
                namespace, resolvers(vpc), lambda query, by: resolver.reply(self.api.view(), vpc_id, query, by)
            ),
        ]

    def _leave(self, vpc_id: str) -> None:
        for service in self._services.pop(vpc_id):
            service.stop()

    def _save(self) -> None:
        while True:
            self._unsaved.wait()
            last = self.stopped.wait(SAVE_AFTER)
            self._unsaved.clear()
            try:
                self.api.save(SNAPSHOT)
            except Exception:
                # The cloud goes on without; the next change tries again.
                log.exception("the state of the twin's API could not be saved")
            if last:
                return


class _Control:
    """The control socket: a line of JSON asks, a line of JSON answers."""

    def __init__(self, commands: dict[str, Command]) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    self.wfile.write(json.dumps(_answer(commands, line)).encode() + b"\n")

        make_own(CONTROL.parent)
        CONTROL.unlink(missing_ok=True)
        self._server = _ThreadingServer(str(CONTROL), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True, name="control")
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        CONTROL.unlink(missing_ok=True)


class _ThreadingServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def _answer(commands: dict[str, Command], line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        command = commands.get(request["do"])
        if command is None:
            raise HoldfastError(f"the twin's daemon cannot `{request['do']}`; it can {', '.join(sorted(commands))}")
        return command(request)
    except HoldfastError as error:
        return {"error": str(error)}
    except Exception as error:
        log.exception("request %r failed", line)
        return {"error": f"the twin's daemon failed: {error!r}"}


def _describe(view: CloudView, cut: Cut, instance: Instance) -> dict[str, Any]:
    powered_off = instance.id in cut.off
    interfaces = [view.interfaces[name] for name in instance.interfaces if name in view.interfaces]
    return {
        "id": instance.id,
        "name": instance.name,
        "environment": instance.environment,
        "zone": instance.zone,
        "state": instance.state,
        "volumes": [item.volume_id for item in instance.attachments],
        "addresses": [str(address) for interface in interfaces for address in interface.addresses],
        "namespace": netns.name_of(instance.id) if is_alive(instance.id) and not powered_off else None,
        "isolated": cut.isolates(instance),
        "powered_off": powered_off,
    }


def main() -> None:
    """Run until told to stop, by a signal or on the control socket. Refuses when the host has a daemon already."""
    require_root()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("the twin's daemon is running already") from None
        daemon = Daemon()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: daemon.stopped.set())
        daemon.start()
        log.info("the twin's API is at %s", daemon.api.url)
        daemon.stopped.wait()
        daemon.stop()
        log.info("stopped; machines run on")


if __name__ == "__main__":
    main()
