"""Attributes of an instance: type and user-data, changed while it is stopped; monitoring; termination protection."""

from __future__ import annotations

import base64
from typing import Any

from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.responses import instances as responses
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.monitoring import Monitoring

from holdfast.twin.api.instances import check_architecture, check_user_data
from holdfast.twin.api.interfaces import check_number
from holdfast.twin.api.patching import Method, around, refuse

WHILE_STOPPED = {"ebs_optimized": "EbsOptimized", "instance_type": "InstanceType", "user_data": "UserData"}


@around(InstanceBackend, "modify_instance_attribute")
def _modify(original: Method, self: Any, instance_id: str, key: str, value: Any) -> Any:
    instance = self.get_instance(instance_id)
    if key in WHILE_STOPPED and instance.state != "stopped":
        raise refuse("IncorrectInstanceState", f"The instance '{instance_id}' is not in the 'stopped' state.")
    if key == "user_data":
        check_user_data(value)
    if key == "instance_type":
        check_architecture(self, instance.image_id, value)
        for interface in instance.nics.values():
            check_number(len(interface.private_ip_addresses), value)
    return original(self, instance_id, key, value)


parse_user_data = responses.parse_user_data


def _parse_user_data(value: Any) -> Base64EncodedString | None:
    """A new instance's user-data arrives encoded; a changed one is bytes, which moto takes for encoded ones."""
    if isinstance(value, bytes):
        return Base64EncodedString(base64.b64encode(value).decode())
    return parse_user_data(value)


responses.parse_user_data = _parse_user_data


def _monitor(request: Any, state: str) -> ActionResult:
    """moto has the attribute, and no call to change it."""
    told = []
    for instance_id in request._get_param("InstanceIds", []):
        request.ec2_backend.get_instance(instance_id).monitoring_state = state
        told.append({"InstanceId": instance_id, "Monitoring": {"State": state}})
    return ActionResult({"InstanceMonitorings": told})


@around(Monitoring, "monitor_instances")
def _monitor_instances(original: Method, self: Any) -> ActionResult:
    return _monitor(self, "enabled")


@around(Monitoring, "unmonitor_instances")
def _unmonitor_instances(original: Method, self: Any) -> ActionResult:
    return _monitor(self, "disabled")


@around(InstanceResponse, "run_instances")
def _protect_from_termination(original: Method, self: Any) -> ActionResult:
    """moto refuses to terminate what is protected, and forgets that a new instance shall be."""
    answer: ActionResult = original(self)
    made: Any = answer.result
    for instance in made.instances:
        instance.disable_api_termination = bool(self._get_param("DisableApiTermination"))
    return answer
