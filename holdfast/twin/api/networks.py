"""Subnets and VPCs with EC2's rule that one in use stays; reservations of addresses, which say what they are for."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.vpcs import VPCBackend
from moto.ec2.responses.subnets import Subnets

from holdfast.twin.api.patching import Method, around, refuse


@around(SubnetBackend, "delete_subnet")
def _delete_subnet(original: Method, self: Any, subnet_id: str) -> Any:
    if any(interface.subnet.id == subnet_id for interface in self.enis.values()):
        raise refuse("DependencyViolation", f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
    return original(self, subnet_id)


@around(VPCBackend, "delete_vpc")
def _delete_vpc(original: Method, self: Any, vpc_id: str) -> Any:
    groups = [group for group in self.groups.get(vpc_id, {}).values() if not group.is_default]
    gateways = [gateway for gateway in self.internet_gateways.values() if gateway.vpc and gateway.vpc.id == vpc_id]
    if groups or gateways:
        raise refuse("DependencyViolation", f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
    return original(self, vpc_id)


@around(Subnets, "create_subnet_cidr_reservation")
def _reserve(original: Method, self: Any) -> ActionResult:
    """moto loses the description."""
    answer: Any = original(self)
    answer.result["SubnetCidrReservation"].description = self._get_param("Description")
    return answer  # type: ignore[no-any-return]


@around(SubnetBackend, "delete_subnet_cidr_reservation")
def _give_back(original: Method, self: Any, reservation_id: str) -> Any:
    there = [it for subnet in self.describe_subnets() for it in subnet._cidr_reservations if it.id == reservation_id]
    if not there:
        said = f"The subnet CIDR reservation ID '{reservation_id}' does not exist"
        raise refuse("InvalidSubnetCidrReservationID.NotFound", said)
    return original(self, reservation_id)
