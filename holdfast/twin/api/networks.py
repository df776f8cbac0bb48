"""Subnets and VPCs with EC2's rule that one in use stays."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.vpcs import VPCBackend

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
