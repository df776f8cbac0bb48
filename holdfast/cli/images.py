"""The pinned images, instance types and packages: shown, moved forward, baked into an image of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from holdfast.cli import options
from holdfast.cli.console import give, say
from holdfast.cli.group import Group
from holdfast.cli.options import load

if TYPE_CHECKING:
    from holdfast.topology import Environment
    from holdfast.topology.pinned_packages import Packages
    from holdfast.topology.pinned_types import PinnedType
    from holdfast.topology.pins import Pin


@click.group(cls=Group)
def images() -> None:
    """Show what is pinned: images, instance types, packages. Pin newer ones, or bake an image."""


@images.command("list")
@options.environment
@click.option("--baked", is_flag=True, help="Show the baked images of the region instead, and who uses them.")
@options.json_too
def images_list(environment: str, baked: bool, as_json: bool) -> int:
    """Show the pinned image ids, instance types and package versions of an environment."""
    from holdfast.ops import images

    loaded = load(environment)
    if baked:
        return _print_baked(loaded, as_json)
    everything: dict[str, Pin | PinnedType | Packages] = {
        **images.pinned_facts(loaded),
        **images.pinned(loaded),
        **images.pinned_packages_of(loaded),
    }
    return _print_pins(everything, as_json, none="nothing is pinned yet")


@images.command("update")
@options.environment
@options.json_too
def images_update(environment: str, as_json: bool) -> int:
    """Pin the newest images and packages, for the next deploy to roll out, and EC2's facts of the instance types.

    Packages are those that stock images install at first boot, as the distribution's mirrors have them.
    """
    from holdfast.ops import images
    from holdfast.topology import find_environment

    changed = images.update_all(find_environment(environment))
    return _print_pins(changed, as_json, none="all images and packages are the newest, and all types as pinned")


def _print_pins(pins: Mapping[str, Pin | PinnedType | Packages], as_json: bool, none: str) -> int:
    lines = [f"{key}: {pin.says}" for key, pin in pins.items()] or [none]
    give(as_json, {key: asdict(pin) for key, pin in pins.items()}, *lines)
    return 0


def _print_baked(environment: Environment, as_json: bool) -> int:
    from holdfast.ops.baking import shelf

    found, now = shelf.images(environment), datetime.now(UTC)
    content = [{**asdict(image), "made": image.made.isoformat()} for image in found]
    give(as_json, content, *([image.says(now) for image in found] or [f"no baked image in {environment.region}"]))
    return 0


@images.command("bake")
@options.environment
@click.option("--newest", is_flag=True, help="Pin the newest base image and packages first, and bake these.")
@click.option("--subnet", metavar="ID", help="A subnet that leads to the package mirrors.  [default: a new network]")
@click.option("--type", "type_", metavar="TYPE", help="The machine's type.  [default: t3.small or t4g.small]")
@click.option(
    "--timeout",
    type=click.FloatRange(min=60),
    default=1200,
    show_default=True,
    metavar="SECONDS",
    help="How long the machine may work.",
)
@options.json_too
def images_bake(
    environment: str, newest: bool, subnet: str | None, type_: str | None, timeout: float, as_json: bool
) -> int:
    """Make the image that `images: baked` takes, with the pinned packages, and pin it.

    A machine from the pinned base image installs and checks them.
    All that is made for it is removed again, even when it fails.
    """
    from holdfast.ops.baking import bake
    from holdfast.topology.spec import Images

    loaded = load(environment)
    how = bake.How(type_, subnet, timeout)
    baked = {order.key: bake.bake(loaded, order, how, say) for order in bake.orders(loaded, newest)}
    content = {key: {**asdict(made.pin), "packages": dict(made.packages.versions)} for key, made in baked.items()}
    lines = [f"{key}: {made.pin.says}" for key, made in baked.items()]
    if loaded.images is not Images.BAKED:
        lines.append(f"{loaded.name} uses stock images still: write `images: baked` into its file to use this one")
    give(as_json, content, *lines)
    return 0


@images.command("remove")
@options.environment
@click.argument("image", metavar="IMAGE", help="Id of a baked image.")
@click.option("--yes", is_flag=True, help="Do it. Without this, say only what would go.")
@options.json_too
def images_remove(environment: str, image: str, yes: bool, as_json: bool) -> int:
    """Remove a baked image and its snapshots.

    One that an environment pins, or that has machines, is refused.
    """
    from holdfast.ops.baking import shelf

    loaded = load(environment)
    found = shelf.removable(loaded, image)
    if yes:
        shelf.remove(loaded, found)
    parts = " and ".join([found.id, *found.snapshots])
    lines = [f"removed {parts}"] if yes else [f"would remove {parts} ({found.name})", "do it with: --yes"]
    give(as_json, {"removed": yes, "image": found.id, "snapshots": list(found.snapshots)}, *lines)
    return 0
