"""EC2 instances take time: a request only starts a change of state, and whoever runs the machines ends it."""

from __future__ import annotations

import base64
import copy
import time
from typing import Any

from moto import settings
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.iam_instance_profile import IamInstanceProfileAssociationBackend as Ec2Profiles
from moto.ec2.models.instance_types import INSTANCE_TYPES as INSTANCE_TYPES
from moto.ec2.models.instances import Instance, InstanceBackend, InstanceState, StateReason

from holdfast.twin.api.images import ROOT_GIB, check_available
from holdfast.twin.api.interfaces import check_fits
from holdfast.twin.api.patching import Method, around, refuse

settings.ENABLE_AMI_VALIDATION = True
settings.EC2_ENABLE_INSTANCE_TYPE_VALIDATION = True

for _name, _facts in INSTANCE_TYPES.items():
    if _name.startswith("t8i."):
        # moto 5.2.5 has it otherwise. AWS News Blog of 2026-09-18, "New, low-cost, burstable Amazon EC2 T8i instances".
        _facts["BurstablePerformanceSupported"] = True

USER_DATA_LIMIT = 16_384

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

REACHED_FROM = {
    "running": {"pending"},
    "stopped": {"pending", "running", "stopping"},
    "terminated": {"pending", "running", "stopping", "stopped", "shutting-down"},
}
"""A machine may power itself off, and die in any state; but it starts only when asked to."""

SETTLED = {"pending": "running", "stopping": "stopped", "shutting-down": "terminated"}


NO_TOKEN = "ABCDE"
"""What moto takes for the client token of a request without one."""

KEPT_FOR = 3600
"""Seconds for which EC2 still tells of a terminated instance."""


def reach(instance: Any, state: str) -> bool:
    """Take note that the machine got to `state`; False if that is not where it was going."""
    if instance.state not in REACHED_FROM[state]:
        return False
    if state == "stopped" and instance.state != "stopping":
        _note_own_shutdown(instance)
        if instance.instance_initiated_shutdown_behavior == "terminate":
            _set(instance, "shutting-down")
            return True
    _set(instance, state)
    if state == "terminated":
        instance.terminated_at = time.time()
        _release(instance)
    return True


def _set(instance: Any, state: str) -> Any:
    """The new state; returns the previous one."""
    previous = copy.copy(instance._state)
    instance._state = InstanceState(state, CODES[state])
    return previous


def _release(instance: Any) -> None:
    """What outlives the instance is free again; what was made with it goes with it."""
    backend = instance.ec2_backend
    for interface in list(instance.nics.values()):
        instance.detach_eni(interface)
        if interface.delete_on_termination:
            interface.delete()
    instance.teardown_defaults()
    association = backend.iam_instance_profile_associations.get(instance.id)
    if association:
        backend.disassociate_iam_instance_profile(association_id=association.association_id)


@around(Ec2Profiles, "replace_iam_instance_profile_association")
def _show_the_new_profile(original: Method, self: Any, association_id: str, *args: Any, **kwargs: Any) -> Any:
    """moto goes on to describe the instance with the profile that it was launched with."""
    association = original(self, association_id, *args, **kwargs)
    association.instance.iam_instance_profile = {"Arn": association.iam_instance_profile.arn, "Id": association_id}
    return association


@around(Instance, "__init__")
def _start_as_pending(original: Method, self: Any, *args: Any, **kwargs: Any) -> None:
    original(self, *args, **kwargs)
    if not kwargs.get("nics"):
        # An interface that was made for it, as it named a subnet alone, goes with it; moto would keep it.
        for interface in self.nics.values():
            interface.delete_on_termination = True
    self.reboots = 0
    self.terminated_at = 0.0
    _set(self, "pending")


def _forget_terminated(ec2: Any, since: float) -> None:
    for reservation in list(ec2.reservations.values()):
        if all(it.state == "terminated" and it.terminated_at < since for it in reservation.instances):
            del ec2.reservations[reservation.id]


def check_user_data(encoded: Any) -> None:
    if encoded is not None and len(base64.b64decode(str(encoded))) > USER_DATA_LIMIT:
        raise refuse("InvalidParameterValue", f"User data is limited to {USER_DATA_LIMIT} bytes")


def check_architecture(ec2: Any, image_id: str, instance_type: str) -> None:
    """In EC2's own words. What is unknown of both is refused elsewhere."""
    image, known = ec2.amis.get(image_id), INSTANCE_TYPES.get(instance_type)
    if image is None or known is None:
        return
    supported = known["ProcessorInfo"]["SupportedArchitectures"]
    if image.architecture not in supported:
        raise refuse(
            "InvalidParameterValue",
            f"The architecture '{','.join(supported)}' of the specified instance type does not match the architecture "
            f"'{image.architecture}' of the specified AMI. Specify an instance type and an AMI that have matching "
            "architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the "
            "architecture of the instance type or AMI.",
        )


@around(InstanceBackend, "run_instances")
def _run(original: Method, self: Any, image_id: str, count: int, user_data: Any, *args: Any, **kwargs: Any) -> Any:
    check_user_data(user_data)
    check_architecture(self, image_id, kwargs["instance_type"])
    check_available(self, image_id)
    _forget_terminated(self, time.time() - KEPT_FOR)
    # A client that got no answer asks again with the same token, and gets what it has got already.
    token = kwargs.get("client_token")
    for reservation in self.reservations.values() if token != NO_TOKEN else ():
        if all(instance.client_token == token for instance in reservation.instances):
            return reservation
    before = set(self.reservations)
    try:
        return original(self, image_id, count, user_data, *args, **kwargs)
    except EC2ClientError:
        # What is refused leaves nothing behind.
        for reservation in set(self.reservations) - before:
            for instance in self.reservations.pop(reservation).instances:
                _release(instance)
        raise


@around(Instance, "attach_eni")
def _attach_interface(original: Method, self: Any, eni: Any, device_index: int) -> Any:
    """The instance is where its first interface is."""
    check_fits(eni, self)
    if int(device_index) == 0:
        self._placement.zone = eni.subnet.availability_zone
    return original(self, eni, device_index)


def _of_first_interface(attribute: str) -> property:
    """None once the instance has terminated, and has no interface any more."""
    return property(lambda instance: getattr(instance.nics[0], attribute) if 0 in instance.nics else None)


for name, attribute in {
    "private_ip": "private_ip_address",
    "private_ip_address": "private_ip_address",
    "public_ip": "public_ip",
    "public_ip_address": "public_ip",
}.items():
    setattr(Instance, name, _of_first_interface(attribute))


private_dns_name = Instance.private_dns_name.fget  # type: ignore[attr-defined]
Instance.private_dns_name = property(  # type: ignore[assignment, method-assign]
    lambda instance: private_dns_name(instance) if instance.private_ip else ""
)


@around(Instance, "setup_defaults")
def _add_root_volume(original: Method, self: Any) -> None:
    """Under the name that the image gives its root device."""
    self.add_block_device(ROOT_GIB, self.root_device_name, None, False, True, None, "gp3")


@around(Instance, "start")
def _start(original: Method, self: Any) -> Any:
    if self.state not in {"stopped", "running", "pending"}:
        raise _incorrect_state(self, "started")
    if self.state != "stopped":
        return copy.copy(self._state)
    self._reason, self.state_reason = "", StateReason()
    return _set(self, "pending")


@around(Instance, "stop")
def _stop(original: Method, self: Any) -> Any:
    if self.state in {"shutting-down", "terminated"}:
        raise _incorrect_state(self, "stopped")
    if self.state in {"stopping", "stopped"}:
        return copy.copy(self._state)
    _note_reason(self)
    return _set(self, "stopping")


@around(Instance, "terminate")
def _terminate(original: Method, self: Any) -> Any:
    if self.state in {"shutting-down", "terminated"}:
        return copy.copy(self._state)
    _note_reason(self)
    return _set(self, "shutting-down")


@around(Instance, "reboot")
def _reboot(original: Method, self: Any) -> None:
    if self.state not in {"pending", "running"}:
        raise _incorrect_state(self, "rebooted")
    self.reboots += 1


def _note_reason(instance: Any) -> None:
    instance._reason = f"User initiated ({utcnow():%Y-%m-%d %H:%M:%S} GMT)"
    instance.state_reason = StateReason(
        "Client.UserInitiatedShutdown: User initiated shutdown", "Client.UserInitiatedShutdown"
    )


def _note_own_shutdown(instance: Any) -> None:
    """It powered itself off, and nobody had asked for that."""
    instance._reason = ""
    instance.state_reason = StateReason(
        "Client.InstanceInitiatedShutdown: Instance initiated shutdown", "Client.InstanceInitiatedShutdown"
    )


def _incorrect_state(instance: Any, what: str) -> Exception:
    return refuse(
        "IncorrectInstanceState",
        f"The instance '{instance.id}' is not in a state from which it can be {what}: it is {instance.state}.",
    )
