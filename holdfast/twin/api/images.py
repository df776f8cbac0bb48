"""Machine images as EC2 knows them: none but those that the twin registers, and these in every region."""

from __future__ import annotations

import os
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami

from holdfast.twin.api.patching import Method, around

# moto's own list takes a second to load and names images that the twin cannot boot.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

ROOT_DEVICE = "/dev/xvda"
ROOT_GIB = 8

registered: dict[str, dict[str, str]] = {}
"""Image id → name, owner, architecture."""


class Image(Ami):
    """Describes its root volume as the distributions' images do."""

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


def _add(ec2: Any, image_id: str, *, name: str, owner: str, architecture: str) -> None:
    known = ec2.amis.get(image_id)
    if known is not None:
        known.name = name
        return
    ec2.amis[image_id] = Image(
        ec2,
        image_id,
        name=name,
        description=name,
        owner_id=owner,
        public=True,
        virtualization_type="hvm",
        architecture=architecture,
        creation_date=utcnow(),
        hypervisor="xen",
        root_device_type="ebs",
        root_device_name=ROOT_DEVICE,
        image_location=f"{owner}/{name}",
        region_name=f"{ec2.region_name}a",
    )
