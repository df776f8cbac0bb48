"""Machine images as EC2 knows them: those that the twin registers, in every region, and those taken of machines.

Taking one needs time, as on EC2: a call begins it, and whoever has the machines ends it.
"""

from __future__ import annotations

import os
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.utils import random_ami_id

from holdfast.twin.api.patching import Method, around, refuse

# moto's own list takes a second to load and names images that the twin cannot boot.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

ROOT_DEVICE = "/dev/xvda"
ROOT_GIB = 8

registered: dict[str, dict[str, str]] = {}
"""Image id → name, owner, architecture."""


class Image(Ami):
    """Describes its root volume as the distributions' images do."""

    state_reason: dict[str, str] | None = None
    """Why it failed."""

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        ebs = {
            "SnapshotId": self.ebs_snapshot.id,
            "VolumeSize": ROOT_GIB,
            "DeleteOnTermination": True,
            "VolumeType": "gp3",
            "Encrypted": False,
        }
        return [{"DeviceName": ROOT_DEVICE, "Ebs": ebs}]


def register(account: str, image_id: str, *, name: str, owner: str, architecture: str) -> None:
    """A second registration of the same id changes nothing but the name: its date stays."""
    registered[image_id] = {"name": name, "owner": owner, "architecture": architecture}
    for ec2 in ec2_backends[account].values():
        _add(ec2, image_id, **registered[image_id])


@around(EC2Backend, "__init__")
def _begin(original: Method, self: Any, *args: Any, **kwargs: Any) -> None:
    """moto makes a region when it is first asked about."""
    original(self, *args, **kwargs)
    for image_id, image in registered.items():
        _add(self, image_id, **image)


@around(AmiBackend, "create_image")
def _create(
    original: Method, self: Any, instance_id: str, name: str, description: str, tag_specifications: Any
) -> Image:
    """Of a machine that is off: see the twin's README."""
    instance = self.get_instance(instance_id)
    if taken := next((it for it in self.amis.values() if (it.owner_id, it.name) == (self.account_id, name)), None):
        raise refuse("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {taken.id}")
    if instance.state in {"running", "pending", "stopping"}:
        raise refuse("UnsupportedOperation", f"The twin takes images of stopped instances; {instance_id} is on")
    if instance.state != "stopped":
        raise refuse(
            "IncorrectState", f"The instance '{instance_id}' is not in a state from which an image can be created."
        )
    tags: dict[str, dict[str, str]] = {"image": {}, "snapshot": {}}
    for one in tag_specifications:
        if one["ResourceType"] not in tags:
            raise refuse("InvalidParameterValue", f"'{one['ResourceType']}' is not a valid taggable resource type.")
        tags[one["ResourceType"]] |= {tag["Key"]: tag["Value"] for tag in one["Tags"]}
    made = _new(
        self,
        random_ami_id(),
        name,
        self.account_id,
        instance.architecture,
        public=False,
        state="pending",
        instance=instance,
        description=description,
        snapshot_description=f"Created by CreateImage({instance_id})",
    )
    made.add_tags(tags["image"])
    made.ebs_snapshot.add_tags(tags["snapshot"])
    made.ebs_snapshot.status = "pending"
    self.amis[made.id] = made
    return made


def reach(ec2: Any, image_id: str, state: str, why: str = "") -> bool:
    """Take note that an image is `available`, or has `failed`; False where nobody waits for it any more."""
    image = ec2.amis.get(image_id)
    if image is None or image.state != "pending":
        return False
    image.state = state
    image.ebs_snapshot.status = "completed" if state == "available" else "error"
    if state == "failed":
        image.state_reason = {"Code": "Client.InternalError", "Message": f"Client.InternalError: {why}"}
    return True


def check_available(ec2: Any, image_id: str) -> None:
    """An image is of use once it is whole."""
    image = ec2.amis.get(image_id)
    if image is not None and image.state != "available":
        raise refuse("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is not available")


@around(AmiBackend, "deregister_image")
def _deregister(original: Method, self: Any, ami_id: str) -> None:
    image = self.amis.get(ami_id)
    if image is not None and image.owner_id != self.account_id:
        raise refuse("AuthFailure", f"Not authorized for image:{ami_id}")
    original(self, ami_id)


def _add(ec2: Any, image_id: str, *, name: str, owner: str, architecture: str) -> None:
    known = ec2.amis.get(image_id)
    if known is not None:
        known.name = name
        return
    ec2.amis[image_id] = _new(ec2, image_id, name, owner, architecture, public=True, description=name)


def _new(ec2: Any, image_id: str, name: str, owner: str, architecture: str, **more: Any) -> Image:
    return Image(
        ec2,
        image_id,
        name=name,
        owner_id=owner,
        virtualization_type="hvm",
        architecture=architecture,
        creation_date=utcnow(),
        hypervisor="xen",
        root_device_type="ebs",
        root_device_name=ROOT_DEVICE,
        image_location=f"{owner}/{name}",
        region_name=f"{ec2.region_name}a",
        **more,
    )
