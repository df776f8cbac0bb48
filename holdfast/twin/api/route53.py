"""Private hosted zones: made with a VPC, one of a name in each VPC; records that are once there, and well formed."""

from __future__ import annotations

import re
from typing import Any

from moto.ec2.models import ec2_backends
from moto.route53.exceptions import InvalidVPCId, ResourceRecordAlreadyExists, Route53ClientError
from moto.route53.models import Route53Backend
from moto.route53.responses import Route53

from holdfast.twin.api.patching import Method, around

_OCTET = "(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
FORMS = {
    "A": re.compile(rf"{_OCTET}(\.{_OCTET}){{3}}"),
    "SRV": re.compile(r"[0-9]{1,5} [0-9]{1,5} [0-9]{1,5} [^ ]+"),
}
"""What the values of a record look like, of the types that environments use."""


AUTHORITY = "ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
"""The SOA record that a zone comes with (Amazon Route 53 developer guide, "NS and SOA records"). moto has it in a form
that nothing else of moto reads."""


@around(Route53, "create_hosted_zone")
def _create(original: Method, self: Any) -> Any:
    """moto asks for a flag that Terraform, as the API's reference has it, leaves out: there is a VPC."""
    if self._get_param("VPC.VPCId"):
        self.params["HostedZoneConfig"] = {**(self._get_param("HostedZoneConfig") or {}), "PrivateZone": True}
    return original(self)


@around(Route53Backend, "create_hosted_zone")
def _create_in_vpc(original: Method, self: Any, name: str, **kwargs: Any) -> Any:
    vpc_id = kwargs.get("vpcid")
    _check_vpc(self, vpc_id, kwargs.get("vpcregion"))
    for zone in self.zones.values():
        in_vpc = any(vpc["vpc_id"] == vpc_id for vpc in zone.vpcs)
        if in_vpc and zone.name.rstrip(".") == name.rstrip("."):
            said = f"The VPC {vpc_id} is already associated with another hosted zone {zone.name}"
            raise Route53ClientError("ConflictingDomainExists", said)
    zone = original(self, name, **kwargs)
    authority = next(record for record in zone.rrsets if record.type == "SOA")
    authority.records = [AUTHORITY]
    return zone


@around(Route53Backend, "associate_vpc_with_hosted_zone")
def _associate(original: Method, self: Any, zone_id: str, vpcid: str, vpcregion: str) -> Any:
    _check_vpc(self, vpcid, vpcregion)
    return original(self, zone_id, vpcid, vpcregion)


def _check_vpc(route53: Any, vpc_id: str | None, region: str | None) -> None:
    if vpc_id and (not region or vpc_id not in ec2_backends[route53.account_id][region].vpcs):
        raise InvalidVPCId


@around(Route53Backend, "change_resource_record_sets")
def _change(original: Method, self: Any, zoneid: str, change_list: list[dict[str, Any]]) -> Any:
    """moto takes a second record set of one name and type, and values of any form."""
    there = {
        (record.name.rstrip("."), record.type, record.set_identifier) for record in self.get_hosted_zone(zoneid).rrsets
    }
    for change in change_list:
        record = change["ResourceRecordSet"]
        name, kind = record["Name"].rstrip("."), record["Type"]
        if change["Action"] == "CREATE" and (name, kind, record.get("SetIdentifier")) in there:
            raise ResourceRecordAlreadyExists(name=name, _type=kind)
        if change["Action"] != "DELETE":
            values = [entry["Value"] for entry in record.get("ResourceRecords", ())]
            _check_values(name, kind, values, record.get("TTL"))
    return original(self, zoneid, change_list)


def _check_values(name: str, kind: str, values: list[str], ttl: Any) -> None:
    form = FORMS.get(kind, re.compile(".+"))
    wrong = [value for value in values if not form.fullmatch(value)]
    if wrong or len(values) != len(set(values)) or (values and ttl is None):
        said = f"Invalid Resource Record: '{kind} {name}' with TTL {ttl} and values {values}"
        raise Route53ClientError("InvalidChangeBatch", said)
