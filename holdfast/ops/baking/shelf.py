"""The images that were baked: which there are, who uses them, and the end of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud
from holdfast.ops.baking import tags
from holdfast.ops.baking.bake import snapshots
from holdfast.ops.baking.workshop import instances_of
from holdfast.ops.teststacks.kinds.kind import Client, pages
from holdfast.topology import Environment, pins
from holdfast.topology.load import ENVIRONMENTS


class InUse(HoldfastError):
    """An image that is not to be removed, or is not ours."""

    exit_code = 2


@dataclass(frozen=True)
class BakedImage:
    id: str
    name: str
    made: datetime
    state: str
    base: str
    """Id of the image that it was made from."""
    packages: Mapping[str, str]
    pinned_by: tuple[str, ...]
    """Environments, as this folder's pins have it."""
    instances: tuple[str, ...]
    """Those that are there and were launched from it."""
    snapshots: tuple[str, ...]

    def says(self, now: datetime) -> str:
        age = (now - self.made).days
        used = [f"pinned by {name}" for name in self.pinned_by]
        if self.instances:
            used.append(f"{len(self.instances)} instance{'s' * (len(self.instances) != 1)} of it")
        redis = self.packages.get("redis-server", "unknown")
        state = "" if self.state == "available" else f", {self.state}"
        return (
            f"{self.id} {self.name}: {age} d old, from {self.base}, Redis {redis}{state}; "
            f"{', '.join(used) or 'used by nobody'}"
        )


def images(environment: Environment) -> list[BakedImage]:
    """All that were baked in the account and region of the environment, for whichever; the newest first.

    Raises:
        CloudError: the API did not answer.
    """
    client = cloud.client(environment, "ec2")
    try:
        found = list(pages(client, "describe_images", "Images", Owners=["self"], Filters=tags.OURS))
        launched = _launched(client, [image["ImageId"] for image in found]) if found else {}
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, "looking for baked images", error) from None
    users = _users()
    finished = [it for it in found if tags.UNTIL not in tags.read(it)]
    made = [_image(it, users.get(it["ImageId"], ()), launched.get(it["ImageId"], ())) for it in finished]
    return sorted(made, key=lambda image: image.made, reverse=True)


def _image(described: Mapping[str, Any], users: tuple[str, ...], launched: tuple[str, ...]) -> BakedImage:
    labels = tags.read(described)
    return BakedImage(
        id=described["ImageId"],
        name=described["Name"],
        made=datetime.fromisoformat(described["CreationDate"]).astimezone(UTC),
        state=described["State"],
        base=labels.get(tags.BASE, "unknown"),
        packages=tags.packages(labels),
        pinned_by=users,
        instances=launched,
        snapshots=tuple(snapshots(described)),
    )


def _launched(client: Client, ids: list[str]) -> dict[str, tuple[str, ...]]:
    """Image → instances."""
    found: dict[str, tuple[str, ...]] = {}
    chosen = [{"Name": "image-id", "Values": ids}]
    for instance in instances_of(pages(client, "describe_instances", "Reservations", Filters=chosen)):
        if instance["State"]["Name"] not in ("shutting-down", "terminated"):
            image = instance["ImageId"]
            found[image] = (*found.get(image, ()), instance["InstanceId"])
    return found


def _users() -> dict[str, tuple[str, ...]]:
    """Image → environments that pin it."""
    found: dict[str, tuple[str, ...]] = {}
    for name, pinned in sorted(pins.read(ENVIRONMENTS).items()):
        for pin in pinned.values():
            found[pin.id] = (*found.get(pin.id, ()), name)
    return found


def removable(environment: Environment, image_id: str) -> BakedImage:
    """An image that may go.

    Raises:
        InUse: an environment pins it, an instance runs from it, or it is none that was baked.
        CloudError: the API did not answer.
    """
    there = {image.id: image for image in images(environment)}
    image = there.get(image_id)
    if image is None:
        have = ", ".join(there) or "none"
        raise InUse(f"{image_id} was not made by `holdfast images bake` in {environment.region}; there are: {have}")
    if image.pinned_by:
        raise InUse(
            f"{image_id} ({image.name}) is pinned by {', '.join(image.pinned_by)}: its next machine is made from it. "
            "Pin another one first, with: holdfast images bake ENV, or holdfast images update ENV"
        )
    if image.instances:
        raise InUse(
            f"{image_id} ({image.name}) has machines: {', '.join(image.instances)}. "
            "Another branch may still pin it; deploy what is pinned here first"
        )
    return image


def remove(environment: Environment, image: BakedImage) -> None:
    """Deregister it, then delete what it consists of.

    Raises:
        CloudError: the API refused it, or did not answer; asked again, it goes on.
    """
    client = cloud.client(environment, "ec2")
    try:
        # Its snapshots first bear the mark by which the next bake removes what was left.
        client.create_tags(Resources=list(image.snapshots), Tags=[{"Key": tags.UNTIL, "Value": tags.PAST}])
        client.deregister_image(ImageId=image.id)
        for snapshot in image.snapshots:
            client.delete_snapshot(SnapshotId=snapshot)
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, f"removing {image.id}", error) from None
