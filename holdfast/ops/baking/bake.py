"""Makes an image that has a node's packages: by a machine that installs and checks them, and powers itself off."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud, images, mirrors
from holdfast.ops.baking import tags, verdict, workshop
from holdfast.ops.baking.workshop import Plan, Say, soon
from holdfast.ops.teststacks.kinds.kind import Client
from holdfast.rendering import bake_user_data
from holdfast.rendering.files import PACKAGES
from holdfast.rendering.user_data import LIMIT
from holdfast.topology import Environment, pinned_packages, pins
from holdfast.topology.load import ENVIRONMENTS
from holdfast.topology.pinned_packages import Packages, baked_key
from holdfast.topology.pins import EC2_ARCHITECTURES, Pin
from holdfast.topology.spec import Images, MachineSpec

PATIENCE = 300.0
"""Seconds for which the machine tries again while a mirror is away."""
LOOK = 5.0
POSTED_WITHIN = 300.0
"""Seconds after which EC2 has posted what a machine said before it went off: on Nitro sooner, by `Latest`."""
IMAGE_WITHIN = 1800.0
"""Seconds for EC2 to copy the disk: some minutes for 8 GiB."""
AFTERWARDS = 900.0
"""Seconds that taking down may need, and clocks may differ."""

OFF_BY_ITSELF = "Client.InstanceInitiatedShutdown"


class NotBaked(HoldfastError):
    """There is no new image; what was made for it is gone."""


@dataclass(frozen=True)
class Order:
    """What is to be baked, of one distribution and architecture."""

    machine: MachineSpec
    base: Pin
    packages: Packages

    @property
    def key(self) -> str:
        return baked_key(self.machine.image, self.machine.instance.arch)


@dataclass(frozen=True)
class How:
    """`type`: of the machine; None: a small one. `subnet`: None: in a network of its own. `timeout`: seconds."""

    type: str | None = None
    subnet: str | None = None
    timeout: float = 1200.0


@dataclass(frozen=True)
class Baked:
    pin: Pin
    packages: Packages


def orders(environment: Environment, newest: bool) -> list[Order]:
    """What the environment's machines need: from pinned base images, with pinned packages.

    What is not pinned yet is pinned here, as it is now; with `newest` all of it.

    Raises:
        NoImage, MirrorError, CloudError: a base image or a package cannot be had.
        HoldfastError: a file of pins cannot be read or written.
    """
    stock = environment.model_copy(update={"images": Images.STOCK})
    machines = {pins.key(stock, machine): machine for machine in stock.machines.values()}
    bases = {} if newest else images.pinned(stock)
    if not machines.keys() <= bases.keys():
        bases = {**images.newest(stock), **bases}
        pins.write(stock, {key: bases[key] for key in machines}, ENVIRONMENTS)
    if newest or not stock.installing.keys() <= images.pinned_packages_of(stock).keys():
        images.update_packages(stock)
    packages = pinned_packages.read(ENVIRONMENTS)[pins.owner(stock)]
    return [
        Order(machine, bases[key], _whole(machine, packages[machine.packages_key])) for key, machine in machines.items()
    ]


def _whole(machine: MachineSpec, pinned: Packages) -> Packages:
    """An image is for every layout, so it has all packages; an older file of pins may lack one."""
    lacking = PACKAGES.keys() - pinned.versions.keys()
    if not lacking:
        return pinned
    found = mirrors.newest(machine.image, machine.instance.arch, lacking)
    return replace(pinned, versions={**pinned.versions, **found})


def bake(environment: Environment, order: Order, how: How, say: Say) -> Baked:
    """Make an image, check it, and pin it for the environment. Takes some minutes; what it makes for that goes again.

    Raises:
        NotBaked: saying what failed, and what to do.
        CloudError: the API refused something, or did not answer.
        NotTakenDown: something of it is still there.
        KeyboardInterrupt: after everything was taken down.
    """
    client = cloud.client(environment, "ec2")
    now = datetime.now(UTC)
    name, labels = _named(environment, order, how, now)
    with _explained(environment):
        plan = _plan(environment, client, order, how, name, labels[tags.BAKE])
    workshop.sweep(environment, say)
    with _ended_in_order(), _taken_down(environment, labels[tags.BAKE], say), _explained(environment):
        say(f"{order.key}: a machine from {order.base.id} ({order.base.name}) installs {_said(order.packages)}")
        instance = workshop.set_up(client, plan, labels)
        _wait_for_machine(client, instance, labels[tags.BAKE], how.timeout, say)
        say(f"{instance} is done, and off; an image {name} is taken of it")
        image = _take(client, instance, name, order, labels)
        _wait_for_image(client, image, order)
        _finish(client, image)
    baked = Baked(
        Pin(image, name, f"baked from {order.base.id} in {environment.region}, {now:%Y-%m-%d}"),
        Packages(order.packages.versions, f"{name}"),
    )
    _pin(environment, order, baked)
    return baked


def _named(environment: Environment, order: Order, how: How, now: datetime) -> tuple[str, dict[str, str]]:
    bake = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    arch = order.machine.instance.arch
    name = pins.BAKED_NAME.format(image=order.machine.image, arch=arch).replace("*", bake)
    until = now + timedelta(seconds=how.timeout + POSTED_WITHIN + IMAGE_WITHIN + AFTERWARDS)
    return name, tags.temporary(environment, bake, until)


def _plan(environment: Environment, client: Client, order: Order, how: How, name: str, bake: str) -> Plan:
    """Before anything is made: what would only show when it is."""
    arch = order.machine.instance.arch
    (found,) = client.describe_images(ImageIds=[order.base.id])["Images"]
    machine = how.type or workshop.TYPES[arch]
    (described,) = client.describe_instance_types(InstanceTypes=[machine])["InstanceTypes"]
    can = described["ProcessorInfo"]["SupportedArchitectures"]
    if found["Architecture"] != EC2_ARCHITECTURES[arch] or EC2_ARCHITECTURES[arch] not in can:
        raise NotBaked(
            f"{environment.name}: {machine} is for {' and '.join(can)}, and the image {order.base.id} is for "
            f"{found['Architecture']}; accepted: --type with one for {EC2_ARCHITECTURES[arch]}"
        )
    user_data = bake_user_data(name, order.packages.versions, verdict.marker(bake), min(PATIENCE, how.timeout / 2))
    if len(user_data) > LIMIT:
        raise NotBaked(f"the machine's user-data has {len(user_data):,} bytes; accepted: {LIMIT:,}")
    return Plan(order.base.id, machine, user_data, how.subnet, f"{environment.region}{environment.zones[0]}")


def _wait_for_machine(client: Client, instance: str, bake: str, timeout: float, say: Say) -> None:
    deadline = time.monotonic() + timeout
    posted: float | None = None
    console, shown = "", ""
    while True:
        (described,) = workshop.instances_of(soon(client.describe_instances, InstanceIds=[instance])["Reservations"])
        console = _console(client, instance) or console
        state, reason = described["State"]["Name"], described.get("StateReason", {})
        said = verdict.read(console, bake)
        if said is not None and not said.good:
            raise NotBaked(f"{instance} has made no image: {said.why}. {verdict.end(console)}")
        if state in ("stopped", "shutting-down", "terminated"):
            if reason.get("Code") != OFF_BY_ITSELF:
                why = reason.get("Message") or described.get("StateTransitionReason") or "EC2 does not say why"
                raise NotBaked(f"{instance} is {state}, and did not power itself off: {why}. {verdict.end(console)}")
            if said is not None:
                return
            posted = posted or time.monotonic() + POSTED_WITHIN
        if posted is not None and time.monotonic() > posted:
            raise NotBaked(f"{instance} powered itself off, and said nothing of its work. {verdict.end(console)}")
        if posted is None and time.monotonic() > deadline:
            raise NotBaked(
                f"{instance} is {state} after {timeout:g} s, and not done: does its subnet lead to the package "
                f"mirrors? More time: --timeout. {verdict.end(console)}"
            )
        if (step := verdict.step(console)) and step != shown:
            shown = step
            say(f"{instance}: {step}")
        time.sleep(LOOK)


def _console(client: Client, instance: str) -> str:
    """What is there of it: on Nitro the newest."""
    try:
        return str(soon(client.get_console_output, InstanceId=instance, Latest=True).get("Output", ""))
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("UnsupportedOperation", "InvalidParameterCombination"):
            raise
    return str(client.get_console_output(InstanceId=instance).get("Output", ""))


def _take(client: Client, instance: str, name: str, order: Order, labels: Mapping[str, str]) -> str:
    version = metadata.version("holdfast")
    own = tags.of_image(order.base.id, order.packages.versions, version)
    made = client.create_image(
        InstanceId=instance,
        Name=name,
        Description=f"Redis node packages on {order.base.name}, by holdfast {version}"[:255],
        TagSpecifications=[
            *tags.specified({**labels, "Name": name, **own}, "image"),
            *tags.specified({**labels, "Name": name}, "snapshot"),
        ],
    )
    return str(made["ImageId"])


def _wait_for_image(client: Client, image: str, order: Order) -> None:
    """
    Raises:
        NotBaked: it never comes, or is not what was wanted.
    """
    deadline = time.monotonic() + IMAGE_WITHIN
    state = "unknown"
    while state != "available":
        if time.monotonic() > deadline:
            raise NotBaked(f"the image {image} is {state} after {IMAGE_WITHIN:g} s; try again")
        found = soon(client.describe_images, ImageIds=[image])["Images"]
        described: Mapping[str, Any] = found[0] if found else {"State": "unknown"}
        state = described["State"]
        if state in ("failed", "error", "invalid", "deregistered"):
            why = described.get("StateReason", {}).get("Message", "EC2 does not say why")
            raise NotBaked(f"the image {image} is {state}: {why}")
        if state != "available":
            time.sleep(LOOK)
    arch, packages = EC2_ARCHITECTURES[order.machine.instance.arch], tags.packages(tags.read(described))
    if described["Architecture"] != arch or packages != order.packages.versions:
        raise NotBaked(
            f"the image {image} is for {described['Architecture']} and says that it has {packages or 'no packages'}; "
            f"expected {arch} with {_said(order.packages)}"
        )


def _finish(client: Client, image: str) -> None:
    """It stays from here on."""
    found = client.describe_images(ImageIds=[image])["Images"][0]
    client.delete_tags(Resources=[image, *snapshots(found)], Tags=[{"Key": tags.UNTIL}])


def snapshots(described: Mapping[str, Any]) -> list[str]:
    """Of an image."""
    return [it["Ebs"]["SnapshotId"] for it in described["BlockDeviceMappings"] if it.get("Ebs", {}).get("SnapshotId")]


def _pin(environment: Environment, order: Order, baked: Baked) -> None:
    try:
        pinned_packages.write(pins.owner(environment), {order.key: baked.packages}, ENVIRONMENTS)
        pins.write(environment, {order.key: baked.pin}, ENVIRONMENTS)
    except HoldfastError as error:
        raise HoldfastError(
            f"{error}\nThe image {baked.pin.id} ({baked.pin.name}) is there and stays; an environment with "
            "`images: baked` takes it with: holdfast images update ENV"
        ) from None


def _said(packages: Packages) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.versions.items())


@contextmanager
def _taken_down(environment: Environment, bake: str, say: Say) -> Iterator[None]:
    """Whatever happens. Of two errors both are told."""
    try:
        yield
    except HoldfastError as error:
        try:
            workshop.take_down(environment, bake, say)
        except HoldfastError as left:
            raise NotBaked(f"{error}\n{left}") from None
        raise
    except BaseException:
        workshop.take_down(environment, bake, say)
        raise
    workshop.take_down(environment, bake, say)


HINTS = {
    "InvalidAMIID.NotFound": "take the newest base image with: holdfast images bake ENV --newest",
    "UnauthorizedOperation": "the permissions for it: `holdfast policies ENV --role bake`",
    "VpcLimitExceeded": "--subnet takes a subnet that is there already, and that leads to the package mirrors",
    "InternetGatewayLimitExceeded": "--subnet takes a subnet that is there already, and that leads to the mirrors",
    "VcpuLimitExceeded": "ask Service Quotas for more vCPUs, or name another --type",
    "InstanceLimitExceeded": "ask Service Quotas for more instances, or name another --type",
    "InsufficientInstanceCapacity": "try again later, or name another --type",
    "Unsupported": "that type is not offered in the zone: name another --type",
    "InvalidInstanceType": "name another --type",
    "InvalidSubnetID.NotFound": "--subnet takes a subnet of the environment's region",
}
"""By EC2's code."""


@contextmanager
def _explained(environment: Environment) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError, WaiterError) as error:
        found = cloud.explain(environment, "baking an image", error)
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        raise cloud.CloudError(f"{found}; {HINTS[code]}" if code in HINTS else str(found)) from None


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM, by which pipelines end a job, is as good as Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before: Any = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
