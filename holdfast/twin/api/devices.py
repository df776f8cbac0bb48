"""The volumes that an instance is launched with: its root as the image has it, changed by what the request says."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.instances import InstanceBackend
from moto.ec2.responses.instances import InstanceResponse

from holdfast.twin.api.images import ROOT_DEVICE, ROOT_GIB
from holdfast.twin.api.patching import Method, around


@around(InstanceResponse, "_parse_block_device_mapping")
def _parse(original: Method, self: Any) -> list[dict[str, Any]]:
    """moto wants the size of the root volume, keeps that volume, and leaves out its throughput."""
    given = self._get_param("BlockDeviceMappings", [])
    for mapping in given:
        if mapping.get("DeviceName") == ROOT_DEVICE and "Ebs" in mapping:
            mapping["Ebs"] = {"VolumeSize": ROOT_GIB, "DeleteOnTermination": True, **mapping["Ebs"]}
    self.params["BlockDeviceMappings"] = given
    parsed: list[dict[str, Any]] = original(self)
    for mapping, device in zip(given, parsed, strict=True):
        device["Ebs"]["Throughput"] = mapping.get("Ebs", {}).get("Throughput")
    return parsed


@around(InstanceBackend, "run_instances")
def _run(original: Method, self: Any, *args: Any, **kwargs: Any) -> Any:
    reservation = original(self, *args, **kwargs)
    for mapping in kwargs.get("block_device_mappings") or ():
        for instance in reservation.instances:
            device = instance.block_device_mapping.get(mapping["DeviceName"])
            if device is not None:
                _set_speed(self.volumes[device.volume_id], mapping["Ebs"])
    return reservation


def _set_speed(volume: Any, ebs: dict[str, Any]) -> None:
    if ebs["Iops"]:
        volume.iops = int(ebs["Iops"])
    if ebs["Throughput"]:
        volume.throughput = int(ebs["Throughput"])
