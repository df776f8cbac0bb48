"""Which machine image each environment uses: ids that are pinned in a file, and moved forward only by a command."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import TypeAdapter

from holdfast.errors import HoldfastError
from holdfast.topology import lock
from holdfast.topology.instances import ARCHITECTURES
from holdfast.topology.load import ENVIRONMENTS
from holdfast.topology.spec import Distribution, Environment, Images, MachineSpec

FILE = "images.lock.json"
"""Beside the environment files: {environment: {image key: {id, name, source}}}."""

DEBIAN, CANONICAL = "136693071363", "099720109477"
"""The accounts that publish the distributions' images: anyone may publish an image of the same name."""

STOCK = {
    Distribution.DEBIAN_12: (DEBIAN, "debian-12-{arch}-20*"),
    Distribution.DEBIAN_13: (DEBIAN, "debian-13-{arch}-20*"),
    Distribution.UBUNTU_22_04: (CANONICAL, "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-{arch}-server-20*"),
    Distribution.UBUNTU_24_04: (CANONICAL, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{arch}-server-20*"),
}
"""Owner and name of the distributions' own images. The date's first digits keep daily builds and backports out."""

BAKED_NAME = "holdfast-{image}-{arch}-*"
"""Name of the images that a team bakes in its own account."""

EC2_ARCHITECTURES = {debian: ec2 for ec2, debian in ARCHITECTURES.items()}


@dataclass(frozen=True)
class Pin:
    """One pinned image."""

    id: str
    name: str
    """What the publisher calls it."""
    source: str
    """Where the id comes from."""

    @property
    def says(self) -> str:
        return f"{self.id} {self.name} ({self.source})"

    @property
    def built(self) -> date | None:
        """The day in its name, as Debian and Ubuntu write it there; None where there is none."""
        for digits in re.findall(r"(?<!\d)20\d{6}(?!\d)", self.name):
            try:
                return date.fromisoformat(digits)
            except ValueError:
                continue
        return None


@dataclass(frozen=True)
class ImageQuery:
    """The arguments of EC2's DescribeImages that find an image's releases; the newest CreationDate is current."""

    owners: tuple[str, ...]
    filters: tuple[tuple[str, str], ...]


class UnpinnedImage(HoldfastError):
    """There is no image id for a machine of an environment."""

    exit_code = 2


def key(environment: Environment, machine: MachineSpec) -> str:
    """What is pinned, as `debian-12/stock/amd64`."""
    return f"{machine.image}/{environment.images}/{machine.instance.arch}"


def owner(environment: Environment) -> str:
    """Under which environment's name the pins are: a test stack's are those of the one that it is like."""
    return environment.teststack.source if environment.teststack else environment.name


def image_id(environment: Environment, machine: MachineSpec, folder: Path = ENVIRONMENTS) -> str:
    """The pinned image id of a machine.

    Raises:
        UnpinnedImage: saying how to pin one.
    """
    wanted = key(environment, machine)
    whose = owner(environment)
    pin = read(folder).get(whose, {}).get(wanted)
    if pin is None:
        raise UnpinnedImage(
            f"{folder / FILE}: {whose} has no image id for {wanted}; "
            f"pin the newest release with: holdfast images update {whose}"
        )
    return pin.id


def query(environment: Environment, machine: MachineSpec) -> ImageQuery:
    """How to ask EC2 for the releases of a machine's image."""
    arch = machine.instance.arch
    if environment.images is Images.BAKED:
        owner, name = "self", BAKED_NAME.format(image=machine.image, arch=arch)
    else:
        owner, name = STOCK[machine.image]
    filters = {
        "name": name.format(arch=arch),
        "architecture": EC2_ARCHITECTURES[arch],
        "state": "available",
    }
    return ImageQuery(owners=(owner,), filters=tuple(filters.items()))


_CONTENT = TypeAdapter(dict[str, dict[str, Pin]])
WHAT = "image pins"


def read(folder: Path = ENVIRONMENTS) -> dict[str, dict[str, Pin]]:
    """Every pin: environment name → image key → pin. Empty when there is no file.

    Raises:
        HoldfastError: the file is not what `write` writes.
    """
    return lock.read(folder / FILE, _CONTENT, WHAT)


def write(environment: Environment, pins: dict[str, Pin], folder: Path = ENVIRONMENTS) -> None:
    """Replace the named pins of one environment; those of the others stay as they are."""
    lock.write(folder / FILE, _CONTENT, WHAT, owner(environment), pins)
