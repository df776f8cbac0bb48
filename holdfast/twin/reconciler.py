"""Makes the host's network, machines and volumes what the API says: looks at both, and starts what is missing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from holdfast.errors import HoldfastError
from holdfast.twin import cgroups, machines, netns, resolver, taken, volumes
from holdfast.twin.fabric import Fabric
from holdfast.twin.rules import Cut
from holdfast.twin.run import TimedOut, wait_until
from holdfast.twin.view import CloudView, Image, Instance

INTERVAL = 0.2
"""Seconds between two looks when the API tells of no change; a machine may change by itself."""
RETRY_AFTER = 5.0
"""Seconds before what failed is tried again."""
WORKERS = 8
"""Machines that are started or stopped at a time: most of it is waiting."""

log = logging.getLogger(__name__)


class Cloud(Protocol):
    """What the reconciler needs of `holdfast.twin.api.Api`."""

    def view(self) -> CloudView: ...

    def set_instance_state(self, instance_id: str, state: str) -> bool: ...

    def set_image_state(self, image_id: str, state: str, why: str = "") -> bool: ...


class Task(Enum):
    BOOT = "boot"
    REBOOT = "reboot"
    STOP = "stop"
    TERMINATE = "terminate"
    CUT_POWER = "cut power"
    VOLUMES = "plug volumes"
    GONE = "note that it went off"


@dataclass(frozen=True)
class Seen:
    """What is known of an instance's machine."""

    alive: bool
    was_alive: bool
    """This daemon has seen it running since it was last told to boot."""
    powered_off: bool
    """By a fault: the API is not to know."""
    rebooted: int
    """How many of the reboots asked for have been done."""
    volumes: frozenset[str]


def due(instance: Instance, seen: Seen) -> Task | None:
    """What has to be done next about an instance."""
    match instance.state:
        case "pending":
            return Task.BOOT
        case "stopping":
            return Task.STOP
        case "shutting-down":
            return Task.TERMINATE
        case "running" if seen.powered_off:
            return Task.CUT_POWER if seen.alive else None
        case "running" if not seen.alive:
            return Task.GONE if seen.was_alive else Task.BOOT
        case "running" if instance.reboots > seen.rebooted:
            return Task.REBOOT
        case "running" if seen.volumes != {item.volume_id for item in instance.attachments}:
            return Task.VOLUMES
        case _:
            return None


class Reconciler:
    def __init__(self, cloud: Cloud, fabric: Fabric, after: Callable[[CloudView, Cut], None]) -> None:
        """`after` is called on the reconciler's thread whenever the network has changed."""
        self.cut = Cut()
        """`off` holds the machines whose power a fault cut."""
        self._cloud, self._fabric, self._after = cloud, fabric, after
        self._applied: tuple[CloudView, Cut] | None = None
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="machine")
        self._thread = threading.Thread(target=self._run, daemon=True, name="reconciler")
        self._poked = threading.Event()
        self._stopping = False
        self._looks = 0
        self._looking = False
        self._failure: Exception | None = None
        """Of the last look."""
        self._looked = threading.Condition()
        self._changing = threading.Lock()
        self._jobs: dict[str, tuple[Task, Future[None]]] = {}
        self._images: dict[str, Future[None]] = {}
        """Those that are being taken, or deleted: some seconds each."""
        self._retry: dict[str, float] = {}
        self._was_alive: set[str] = set()
        self._rebooted: dict[str, int] = {}
        self._sizes: dict[str, int] = {}

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Machines run on."""
        self._stopping = True
        self.poke()
        self._thread.join()
        self._pool.shutdown()

    def poke(self) -> None:
        """Look now. May be called from any thread, and does not wait."""
        self._poked.set()

    def settle(self, *, timeout: float = 5) -> None:
        """Wait until a look has begun and ended: what was changed before is in effect.

        Raises:
            TimedOut: it has not.
            HoldfastError: it failed; with why.
        """
        with self._looked:
            # One that is under way may not have seen the latest changes.
            target = self._looks + (2 if self._looking else 1)
            self.poke()
            if not self._looked.wait_for(lambda: self._looks >= target, timeout):
                raise TimedOut(f"the twin's reconciler did not get around within {timeout:g} s; see the daemon's log")
            if self._failure is not None:
                raise HoldfastError(f"the twin's reconciler failed, and tries again: {self._failure}")

    def follow(self, cut: Cut) -> None:
        """Cut this, and only this, in the network; in effect on return. Whose power is off stays as it is."""
        with self._changing:
            self.cut = replace(cut, off=self.cut.off)
        self.settle()

    def power_off(self, instances: frozenset[str], *, timeout: float = 10) -> None:
        """Cut machines' power: they fall silent, then they end. The API goes on calling them running.

        Raises:
            TimedOut: one still has processes after `timeout` seconds.
        """
        with self._changing:
            self.cut = replace(self.cut, off=self.cut.off | instances)
        self.settle()
        if not wait_until(lambda: not any(map(is_alive, instances)), timeout=timeout):
            left = ", ".join(sorted(filter(is_alive, instances)))
            raise TimedOut(f"machine {left} still runs {timeout:g} s after its power was cut")

    def power_on(self, instance_id: str) -> None:
        """Let a machine boot again whose power was cut. Fine when it was not."""
        self._has_power(instance_id)
        self.poke()

    def _has_power(self, instance_id: str) -> None:
        with self._changing:
            self.cut = replace(self.cut, off=self.cut.off - {instance_id})

    def _run(self) -> None:
        while not self._stopping:
            with self._looked:
                self._looking = True
                self._poked.clear()
            failure = None
            try:
                self._look()
            except Exception as error:
                log.exception("the twin's reconciler failed; tries again in %s s", INTERVAL)
                failure = error
            with self._looked:
                self._failure = failure
                self._looks += 1
                self._looking = False
                self._looked.notify_all()
            self._poked.wait(INTERVAL)

    def _look(self) -> None:
        # In this order: what a job told the API is in the view.
        self._collect()
        view = self._cloud.view()
        alive = {instance_id for instance_id in view.instances if is_alive(instance_id)}
        tasks = self._tasks(view, alive)
        booting = {item for item, task in tasks.items() if task is Task.BOOT}
        for instance_id in booting - alive:
            # With what the guest had configured, and connections that it had open, when its power was cut.
            self._fabric.renew(instance_id)
            self._applied = None
        self._connect(view, alive | booting | {item for item, (task, _) in self._jobs.items() if task is Task.BOOT})
        self._keep_volumes(view)
        self._keep_images(view)
        for instance_id, task in tasks.items():
            self._submit(view.instances[instance_id], task)

    def _tasks(self, view: CloudView, alive: set[str]) -> dict[str, Task]:
        now = time.monotonic()
        tasks = {}
        # What an image is taken of stays as it is until then.
        sitting = {image.instance_id for image in view.images.values() if image.state == "pending"}
        for instance in view.instances.values():
            if instance.id in self._jobs or instance.id in sitting or self._retry.get(instance.id, now) > now:
                continue
            if instance.state == "pending":
                self._has_power(instance.id)
            task = due(instance, self._seen(instance, instance.id in alive))
            if task is not None:
                tasks[instance.id] = task
        return tasks

    def _seen(self, instance: Instance, alive: bool) -> Seen:
        seen = Seen(
            alive=alive,
            was_alive=instance.id in self._was_alive,
            powered_off=instance.id in self.cut.off,
            rebooted=self._rebooted.setdefault(instance.id, instance.reboots),
            volumes=frozenset(volumes.attached(instance.id)) if alive else frozenset(),
        )
        if seen.powered_off:
            self._was_alive.discard(instance.id)
        elif alive:
            self._was_alive.add(instance.id)
        return seen

    def _connect(self, view: CloudView, on: set[str]) -> None:
        silent = {item.id for item in view.instances.values() if item.state != "terminated" and item.id not in on}
        cut = replace(self.cut, off=self.cut.off | silent)
        if self._applied is None or self._applied[0] is not view or self._applied[1] != cut:
            self._fabric.apply(view, cut)
            self._applied = (view, cut)
            self._after(view, cut)

    def _keep_volumes(self, view: CloudView) -> None:
        wanted = {volume.id: volume.size_gib for volume in view.volumes.values()}
        if wanted == self._sizes:
            return
        for volume_id, size_gib in wanted.items():
            if self._sizes.get(volume_id) != size_gib:
                volumes.create(volume_id, size_gib)
                volumes.grow(volume_id, size_gib)
        for volume_id in self._sizes.keys() - wanted.keys():
            volumes.delete(volume_id)
        self._sizes = wanted

    def _keep_images(self, view: CloudView) -> None:
        self._images = {image_id: future for image_id, future in self._images.items() if not future.done()}
        for image in view.images.values():
            if image.state == "pending" and image.id not in self._images:
                log.info("%s: taken of %s", image.id, image.instance_id)
                self._images[image.id] = self._pool.submit(self._take, image)
        # One that is deregistered is still below the machines that were launched from it.
        launched = {it.image_id for it in view.instances.values() if it.state != "terminated"}
        for image_id in taken.there() - view.images.keys() - launched - self._images.keys():
            self._images[image_id] = self._pool.submit(taken.delete, image_id)

    def _take(self, image: Image) -> None:
        try:
            taken.take(image.id, image.instance_id)
        except HoldfastError as error:
            log.exception("%s could not be taken of %s", image.id, image.instance_id)
            self._cloud.set_image_state(image.id, "failed", str(error))
        else:
            self._cloud.set_image_state(image.id, "available")

    def _submit(self, instance: Instance, task: Task) -> None:
        log.info("%s %s: %s", instance.id, instance.name, task.value)
        future = self._pool.submit(self._perform, instance, task)
        self._jobs[instance.id] = (task, future)
        future.add_done_callback(lambda _: self.poke())

    def _collect(self) -> None:
        for instance_id, (task, future) in list(self._jobs.items()):
            if not future.done():
                continue
            del self._jobs[instance_id]
            error = future.exception()
            if error is not None:
                log.error("%s: could not %s", instance_id, task.value, exc_info=error)
                self._retry[instance_id] = time.monotonic() + RETRY_AFTER
            elif task in (Task.STOP, Task.TERMINATE, Task.GONE):
                self._was_alive.discard(instance_id)
                self._has_power(instance_id)

    def _perform(self, instance: Instance, task: Task) -> None:
        match task:
            case Task.BOOT:
                view = self._cloud.view()
                machines.create(instance.id, taken.root_of(instance.image_id))
                machines.boot(
                    instance.id, netns.name_of(instance.id), instance.memory, resolv_conf=_resolv_conf(view, instance)
                )
                _plug(instance)
                self._cloud.set_instance_state(instance.id, "running")
            case Task.REBOOT:
                machines.reboot(instance.id)
                self._rebooted[instance.id] = instance.reboots
                _plug(instance)
            case Task.VOLUMES:
                _plug(instance)
            case Task.CUT_POWER:
                machines.kill(instance.id)
            case Task.STOP | Task.GONE:
                machines.power_off(instance.id)
                _unplug(instance)
                self._cloud.set_instance_state(instance.id, "stopped")
            case Task.TERMINATE:
                machines.power_off(instance.id)
                machines.destroy(instance.id)
                _unplug(instance)
                self._cloud.set_instance_state(instance.id, "terminated")


def is_alive(instance_id: str) -> bool:
    """Whether the machine has any process, also while it reboots."""
    try:
        return "populated 1" in (cgroups.group(instance_id) / "cgroup.events").read_text(encoding="ascii")
    except OSError:
        return False


def _resolv_conf(view: CloudView, instance: Instance) -> str:
    first = view.interfaces[instance.interfaces[0]]
    return resolver.configuration(view.vpcs[view.subnets[first.subnet_id].vpc_id], view.region)


def _plug(instance: Instance) -> None:
    wanted = {item.volume_id: item.device for item in instance.attachments}
    for volume_id in volumes.attached(instance.id) - wanted.keys():
        volumes.detach(volume_id, instance.id)
    for volume_id, device in wanted.items():
        volumes.attach(volume_id, instance.id, device)


def _unplug(instance: Instance) -> None:
    """Give the volumes back, before the API lets others have them."""
    for item in instance.attachments:
        volumes.release(item.volume_id)
