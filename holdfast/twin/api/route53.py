"""Private hosted zones: a zone is private when it is made with a VPC, and is that of this VPC."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import ec2_backends
from moto.route53.exceptions import InvalidVPCId
from moto.route53.models import Route53Backend
from moto.route53.responses import Route53

from holdfast.twin.api.patching import Method, around


@around(Route53, "create_hosted_zone")
def _create(original: Method, self: Any) -> Any:
    """moto asks for a flag that Terraform, as the API's reference has it, leaves out: there is a VPC."""
    if self._get_param("VPC.VPCId"):
        self.params["HostedZoneConfig"] = {**(self._get_param("HostedZoneConfig") or {}), "PrivateZone": True}
    return original(self)


@around(Route53Backend, "create_hosted_zone")
def _create_in_vpc(original: Method, self: Any, *args: Any, **kwargs: Any) -> Any:
    _check_vpc(self, kwargs.get("vpcid"), kwargs.get("vpcregion"))
    return original(self, *args, **kwargs)


@around(Route53Backend, "associate_vpc_with_hosted_zone")
def _associate(original: Method, self: Any, zone_id: str, vpcid: str, vpcregion: str) -> Any:
    _check_vpc(self, vpcid, vpcregion)
    return original(self, zone_id, vpcid, vpcregion)


def _check_vpc(route53: Any, vpc_id: str | None, region: str | None) -> None:
    if vpc_id and (not region or vpc_id not in ec2_backends[route53.account_id][region].vpcs):
        raise InvalidVPCId
