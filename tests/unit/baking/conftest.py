"""An oven: the twin's API, an environment's file with pins beside it, and a machine that does as a test has it do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from holdfast.ops import images, mirrors
from holdfast.ops.baking import bake, shelf, tags, workshop
from holdfast.rendering.files import PACKAGES
from holdfast.topology import Environment, emulation, load_environment, pinned_packages, pins
from holdfast.topology.pinned_packages import Packages
from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import DEBIAN, client

BASE = "ami-0000000000000deb1"
BASE_NAME = "debian-12-amd64-20251101-1"
VERSIONS = {name: f"5:1.{number}-1~deb12u{number}" for number, name in enumerate(PACKAGES)}

FILE = """\
name: oven
region: eu-central-1
zones: [a]
network: {{cidr: 10.93.0.0/16}}
layout: single
images: baked
machines: {{node: {{type: t3.small, image: debian-12}}}}
redis: {{memory: 256MB}}
tls: off
tags: {{CostCenter: "4711"}}
cloud: {{endpoint: "{endpoint}", node_endpoint: "{endpoint}", account: "123456789012"}}
"""

Says = Callable[[str], str]
"""The id of the bake → what the machine writes on its console."""


def done(bake_id: str) -> str:
    return f"bake: installs redis-server\n\nholdfast-bake {bake_id} done\n[  OK  ] Reached target poweroff.target\n"


@dataclass
class Machine:
    """What becomes of an instance, and of the image that is taken of it."""

    says: Says = done
    ends: str | None = "stopped"
    """None: it stays on. `killed`: somebody terminates it."""
    image: tuple[str, str] | None = ("available", "")
    """State and why; None: it stays pending."""


@dataclass
class Oven:
    api: Api
    environment: Environment
    folder: Path
    machine: Machine = field(default_factory=Machine)
    said: list[str] = field(default_factory=list)

    @cached_property
    def ec2(self) -> Any:
        return client(self.api, "ec2")

    def bake(self, **how: Any) -> bake.Baked:
        (order,) = bake.orders(self.environment, newest=False)
        return bake.bake(self.environment, order, bake.How(**how), self.said.append)

    def left(self) -> list[str]:
        """Ids of all that a bake made and that is still there."""
        return sorted(thing.id for kind in workshop.KINDS for thing in kind.find(self.ec2) if tags.BAKE in thing.tags)

    def console(self, instance: str) -> str:
        labels = dict(self.api.view().instances[instance].tags)
        return self.machine.says(labels[tags.BAKE])


@pytest.fixture
def oven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Oven]:
    for module in (images, bake, shelf):
        monkeypatch.setattr(module, "ENVIRONMENTS", tmp_path)
    for module in (bake, workshop):
        monkeypatch.setattr(module, "LOOK", 0.02)
    monkeypatch.setattr(mirrors, "newest", lambda image, arch, packages: {name: VERSIONS[name] for name in packages})
    ovens: list[Oven] = []
    api = Api(port=0, consoles=lambda instance: ovens[0].console(instance))
    api.start()
    api.register_image(BASE, BASE_NAME, DEBIAN, "x86_64")
    emulation.write(tmp_path / "key", api.key)
    monkeypatch.setenv(emulation.VARIABLE, str(tmp_path / "key"))
    file = tmp_path / "oven.yaml"
    file.write_text(FILE.format(endpoint=api.url))
    environment = load_environment(file, tmp_path)
    pins.write(environment, {"debian-12/stock/amd64": pins.Pin(BASE, BASE_NAME, "a test")}, tmp_path)
    pinned_packages.write("oven", {"debian-12/amd64": Packages(VERSIONS, "a test")}, tmp_path)
    ovens.append(Oven(api, load_environment(file, tmp_path), tmp_path))
    with _at_work(ovens[0]):
        yield ovens[0]
    api.stop()


@contextmanager
def _at_work(oven: Oven) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=_work, args=(oven, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _work(oven: Oven, stop: threading.Event) -> None:
    while not stop.wait(0.01):
        view = oven.api.view()
        for instance in view.instances.values():
            if instance.state == "pending":
                oven.api.set_instance_state(instance.id, "running")
            elif instance.state == "running" and oven.machine.ends == "killed":
                oven.ec2.terminate_instances(InstanceIds=[instance.id])
            elif instance.state == "running" and oven.machine.ends:
                oven.api.set_instance_state(instance.id, oven.machine.ends)
            elif instance.state in ("stopping", "shutting-down"):
                oven.api.set_instance_state(
                    instance.id, {"stopping": "stopped", "shutting-down": "terminated"}[instance.state]
                )
        for image in view.images.values():
            if image.state == "pending" and oven.machine.image:
                oven.api.set_image_state(image.id, *oven.machine.image)
