"""Of EC2: an action on what it makes, with the tags that this is to get, and on what the call names.

Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2". Where EC2 has a call take a
key or a role, its user guide says so ("Amazon EBS encryption", "Grant permissions to pass an IAM role").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from holdfast.twin.api.needs import iam
from holdfast.twin.api.needs.account import Account, Unknown, numbered, request_tags, resource_tags
from holdfast.twin.api.placements import PlacementGroup
from holdfast.twin.api.policies import Need
from holdfast.twin.api.serving import Request

KINDS = {
    "ami": "image",
    "eipalloc": "elastic-ip",
    "eni": "network-interface",
    "fl": "vpc-flow-log",
    "i": "instance",
    "igw": "internet-gateway",
    "nat": "natgateway",
    "pg": "placement-group",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "snap": "snapshot",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
"""How an id begins → what ARNs call it."""


@dataclass(frozen=True)
class Call:
    """`makes`: kinds of what it makes. `on`: the parameters whose ids it takes the action on, by how they begin."""

    makes: tuple[str, ...] = ()
    on: tuple[str, ...] = ()


CALLS = {
    "AllocateAddress": Call(("elastic-ip",)),
    "AssignPrivateIpAddresses": Call(on=("NetworkInterfaceId",)),
    "AssociateAddress": Call(on=("AllocationId", "NetworkInterfaceId")),
    "AssociateRouteTable": Call(on=("RouteTableId", "SubnetId")),
    "AttachInternetGateway": Call(on=("InternetGatewayId", "VpcId")),
    "AttachVolume": Call(on=("VolumeId", "InstanceId")),
    "AuthorizeSecurityGroupEgress": Call(("security-group-rule",), ("GroupId",)),
    "AuthorizeSecurityGroupIngress": Call(("security-group-rule",), ("GroupId",)),
    "CreateImage": Call(("image", "snapshot"), ("InstanceId",)),
    "CreateFlowLogs": Call(("vpc-flow-log",), ("ResourceId",)),
    "CreateInternetGateway": Call(("internet-gateway",)),
    "CreateNatGateway": Call(("natgateway",), ("SubnetId", "AllocationId")),
    "CreateNetworkInterface": Call(("network-interface",), ("SubnetId", "SecurityGroupId")),
    "CreatePlacementGroup": Call(("placement-group",)),
    "CreateRoute": Call(on=("RouteTableId",)),
    "CreateRouteTable": Call(("route-table",), ("VpcId",)),
    "CreateSecurityGroup": Call(("security-group",), ("VpcId",)),
    "CreateSubnet": Call(("subnet",), ("VpcId",)),
    "CreateSubnetCidrReservation": Call(on=("SubnetId",)),
    "CreateVolume": Call(("volume",)),
    "CreateVpc": Call(("vpc",)),
    "CreateVpcEndpoint": Call(("vpc-endpoint",), ("VpcId", "RouteTableId", "SubnetId", "SecurityGroupId")),
    "DeregisterImage": Call(on=("ImageId",)),
    "GetConsoleOutput": Call(on=("InstanceId",)),
    "DeleteFlowLogs": Call(on=("FlowLogId",)),
    "DeleteInternetGateway": Call(on=("InternetGatewayId",)),
    "DeleteNatGateway": Call(on=("NatGatewayId",)),
    "DeleteNetworkInterface": Call(on=("NetworkInterfaceId",)),
    "DeletePlacementGroup": Call(on=("GroupName",)),
    "DeleteRoute": Call(on=("RouteTableId",)),
    "DeleteRouteTable": Call(on=("RouteTableId",)),
    "DeleteSecurityGroup": Call(on=("GroupId",)),
    "DeleteSnapshot": Call(on=("SnapshotId",)),
    "DeleteSubnet": Call(on=("SubnetId",)),
    "DeleteSubnetCidrReservation": Call(on=("SubnetCidrReservationId",)),
    "DeleteVolume": Call(on=("VolumeId",)),
    "DeleteVpc": Call(on=("VpcId",)),
    "DeleteVpcEndpoints": Call(on=("VpcEndpointId",)),
    "DetachInternetGateway": Call(on=("InternetGatewayId", "VpcId")),
    "DetachNetworkInterface": Call(on=("AttachmentId",)),
    "DetachVolume": Call(on=("VolumeId", "InstanceId")),
    "DisassociateAddress": Call(on=("AssociationId",)),
    "DisassociateRouteTable": Call(on=("AssociationId",)),
    "ModifyInstanceAttribute": Call(on=("InstanceId",)),
    "ModifyInstanceMetadataOptions": Call(on=("InstanceId",)),
    "ModifyNetworkInterfaceAttribute": Call(on=("NetworkInterfaceId", "SecurityGroupId")),
    "ModifySecurityGroupRules": Call(on=("GroupId",)),
    "ModifySubnetAttribute": Call(on=("SubnetId",)),
    "ModifyVolume": Call(on=("VolumeId",)),
    "ModifyVpcAttribute": Call(on=("VpcId",)),
    "ModifyVpcEndpoint": Call(
        on=("VpcEndpointId", "AddRouteTableId", "RemoveRouteTableId", "AddSubnetId", "RemoveSubnetId")
    ),
    "ReleaseAddress": Call(on=("AllocationId",)),
    "ReplaceRoute": Call(on=("RouteTableId",)),
    "RevokeSecurityGroupEgress": Call(on=("GroupId", "SecurityGroupRuleId")),
    "RevokeSecurityGroupIngress": Call(on=("GroupId", "SecurityGroupRuleId")),
    "RunInstances": Call(
        ("instance", "volume"),
        (
            "ImageId",
            "NetworkInterface.1.NetworkInterfaceId",
            "NetworkInterface.1.SecurityGroupId",
            "NetworkInterface.1.SubnetId",
            "Placement.GroupName",
            "SubnetId",
        ),
    ),
    "StartInstances": Call(on=("InstanceId",)),
    "StopInstances": Call(on=("InstanceId",)),
    "TerminateInstances": Call(on=("InstanceId",)),
    "UnassignPrivateIpAddresses": Call(on=("NetworkInterfaceId",)),
}

TAGGING = ("CreateTags", "DeleteTags")

OF_ENCRYPTED = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
"""What whoever makes an encrypted volume may do with its key: Amazon EBS user guide, "Requirements"."""

FOR_AWS = {"kms:GrantIsForAWSResource": "true"}


def needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    action, parameters = request.call.action, request.parameters
    if action.startswith("Describe") or action == "GetSubnetCidrReservations":
        yield Need(f"ec2:{action}", "*")
    elif action in TAGGING:
        tags = request_tags(numbered(parameters, "Tag."))
        for id in _ids(account, parameters, ("ResourceId",)):
            yield _on(account, action, id, tags)
    elif action in CALLS:
        yield from _of(account, action, CALLS[action], parameters)
    else:
        yield Unknown(f"ec2:{action}")


def _of(account: Account, action: str, call: Call, parameters: Mapping[str, str]) -> Iterator[Need]:
    given = _specified(parameters)
    for kind in call.makes:
        tags = request_tags(given.get(kind, {}))
        yield Need(f"ec2:{action}", _arn(account, kind, "*"), tags)
        if tags:
            yield Need("ec2:CreateTags", _arn(account, kind, "*"), {**tags, "ec2:CreateAction": action})
    # The tags that a call gives are known of all that it is about, what it makes and what it names.
    asked = request_tags({name: value for tags in given.values() for name, value in tags.items()})
    for id in _ids(account, parameters, call.on):
        yield _on(account, action, id, asked)
    yield from EXTRA.get(action, _nothing)(account, parameters)


def _on(account: Account, action: str, id: str, more: Mapping[str, str] | None = None) -> Need:
    kind = KINDS[id.split("-")[0]]
    tags = resource_tags(account.here("ec2").tags.get(id, {}))
    names = {group.id: name for name, group in _placement_groups(account).items()}
    return Need(f"ec2:{action}", _arn(account, kind, names.get(id, id)), {**tags, **(more or {})})


def _arn(account: Account, kind: str, name: str) -> str:
    """An image or a snapshot may be another account's: it is named without one."""
    whose = "" if kind in ("image", "snapshot") else account.id
    return f"arn:aws:ec2:{account.region}:{whose}:{kind}/{name}"


def _ids(account: Account, parameters: Mapping[str, str], prefixes: tuple[str, ...]) -> list[str]:
    """Each once. An association or an attachment is of the things that it joins."""
    named = [value for name, value in parameters.items() if name.startswith(prefixes)]
    found = [id for value in named for id in _joined(account, value)]
    return list(dict.fromkeys(id for id in found if id.split("-")[0] in KINDS))


def _joined(account: Account, id: str) -> list[str]:
    ec2 = account.here("ec2")
    if id.startswith("rtbassoc-"):
        return [
            it
            for table in ec2.route_tables.values()
            if id in table.associations
            for it in (table.id, table.associations[id])
        ]
    if id.startswith("eipassoc-"):
        return [
            it for address in ec2.addresses if address.association_id == id for it in (address.allocation_id,) if it
        ]
    if id.startswith("scr-"):
        return [it.id for it in ec2.describe_subnets() if any(one.id == id for one in it._cidr_reservations)]
    if id in _placement_groups(account):
        return [_placement_groups(account)[id].id]
    if id.startswith("eni-attach-"):
        return [eni.id for eni in ec2.enis.values() if eni.attachment_id == id]
    return [id]


def _placement_groups(account: Account) -> dict[str, PlacementGroup]:
    """By name."""
    return getattr(account.here("ec2"), "placement_groups", {})


def _specified(parameters: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Kind → the tags that are given to what is made of it."""
    found: dict[str, dict[str, str]] = {}
    for name, kind in parameters.items():
        if match := re.fullmatch(r"(TagSpecification\.\d+\.)ResourceType", name):
            found.setdefault(kind, {}).update(numbered(parameters, f"{match[1]}Tag."))
    return found


def _nothing(account: Account, parameters: Mapping[str, str]) -> Iterator[Need]:
    yield from ()


def _attachment(account: Account, parameters: Mapping[str, str]) -> Iterator[Need]:
    volume = account.here("ec2").volumes.get(parameters["VolumeId"])
    if volume is not None and volume.kms_key_id:
        # By which EC2 decrypts it, as long as it is attached.
        yield account.through("ec2", "kms:CreateGrant", volume.kms_key_id, **FOR_AWS)


def _volume(account: Account, parameters: Mapping[str, str]) -> Iterator[Need]:
    for name, key in parameters.items():
        if name.endswith("KmsKeyId"):
            for action in OF_ENCRYPTED:
                yield account.through("ec2", action, key, **(FOR_AWS if action == "kms:CreateGrant" else {}))


def _instance(account: Account, parameters: Mapping[str, str]) -> Iterator[Need]:
    yield from _volume(account, parameters)
    if any(name.startswith("NetworkInterface.1.SubnetId") for name in parameters):
        # One that is made with it: it gets no tags unless they are given to it by name.
        tags = request_tags(_specified(parameters).get("network-interface", {}))
        yield Need("ec2:RunInstances", account.arn("ec2", "network-interface/*"), tags)
    if profile := parameters.get("IamInstanceProfile.Name"):
        for role in account.everywhere("iam").get_instance_profile(profile).roles:
            yield iam.passed(account, role.name, "ec2.amazonaws.com")


def _flow_log(account: Account, parameters: Mapping[str, str]) -> Iterator[Need]:
    if role := parameters.get("DeliverLogsPermissionArn"):
        yield iam.passed(account, role.rpartition("/")[2], "vpc-flow-logs.amazonaws.com")


def _endpoint(account: Account, parameters: Mapping[str, str]) -> Iterator[Need]:
    if parameters.get("PrivateDnsEnabled") == "true":
        # The zone is one that EC2 makes.
        yield Need("route53:AssociateVPCWithHostedZone", "arn:aws:route53:::hostedzone/*")


EXTRA = {
    "AttachVolume": _attachment,
    "CreateFlowLogs": _flow_log,
    "CreateVolume": _volume,
    "CreateVpcEndpoint": _endpoint,
    "RunInstances": _instance,
}
"""What else an action takes."""
