"""EBS volumes with EC2's rules: attached once, in their own zone, to a machine that is there."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.elastic_block_store import EBSBackend

from holdfast.twin.api.patching import Method, around, refuse

GP3_THROUGHPUT = 125


@around(EBSBackend, "create_volume")
def _create(original: Method, self: Any, *args: Any, **kwargs: Any) -> Any:
    volume = original(self, *args, **kwargs)
    if volume.volume_type == "gp3" and volume.throughput is None:
        volume.throughput = GP3_THROUGHPUT
    return volume


@around(EBSBackend, "attach_volume")
def _attach(
    original: Method, self: Any, volume_id: str, instance_id: str, device_path: str, delete_on_termination: bool = False
) -> Any:
    volume, instance = self.get_volume(volume_id), self.get_instance(instance_id)
    if volume.attachment:
        raise refuse("VolumeInUse", f"{volume_id} is already attached to an instance")
    if volume.zone.name != instance.availability_zone:
        raise refuse(
            "InvalidVolume.ZoneMismatch",
            f"The volume '{volume_id}' is not in the same availability zone as instance '{instance_id}'",
        )
    if device_path in instance.block_device_mapping:
        raise refuse(
            "InvalidParameterValue",
            f"Invalid value '{device_path}' for unixDevice. Attachment point {device_path} is already in use",
        )
    # The volumes that an instance is launched with are attached before it runs.
    launched = device_path == instance.root_device_name
    if not launched and instance.state not in {"running", "stopping", "stopped"}:
        raise refuse("IncorrectState", f"Instance '{instance_id}' is not 'running'.")
    return original(self, volume_id, instance_id, device_path, delete_on_termination)


@around(EBSBackend, "detach_volume")
def _detach(original: Method, self: Any, volume_id: str, instance_id: str | None, device_path: str | None) -> Any:
    """The volume is enough to say what is meant."""
    attachment = self.get_volume(volume_id).attachment
    if attachment is None:
        raise refuse("IncorrectState", f"Volume '{volume_id}' is in the 'available' state.")
    return original(self, volume_id, instance_id or attachment.instance.id, device_path)


@around(EBSBackend, "modify_volume")
def _modify(original: Method, self: Any, volume_id: str, target_size: Any = None, *args: Any, **kwargs: Any) -> Any:
    size = self.get_volume(volume_id).size
    if target_size and int(target_size) < int(size):
        raise refuse("InvalidParameterValue", f"New size cannot be smaller than existing size {size}")
    return original(self, volume_id, target_size, *args, **kwargs)
