"""What the AWS provider (5.100) calls for each type of resource that the stacks make.

Taken from runs of the provider: `tests/terraform/test_deployer.py` has a whole deploy, a rollout and a retirement run
with these permissions alone, and names what none of them used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Calls:
    """Actions by what is done with a resource. A plan reads; a deploy does all."""

    create: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.create, *self.read, *self.update, *self.delete)


def _of(service: str, create: str = "", read: str = "", update: str = "", delete: str = "") -> Calls:
    """Actions of one service, with blanks between."""

    def named(actions: str) -> tuple[str, ...]:
        return tuple(action if ":" in action else f"{service}:{action}" for action in actions.split())

    return Calls(named(create), named(read), named(update), named(delete))


RETAG = "CreateTags DeleteTags"
"""Of EC2: what is made is tagged in the same call, which takes CreateTags too."""

RESOURCES: dict[str, Calls] = {
    "aws_cloudwatch_log_group": _of(
        "logs",
        create="CreateLogGroup TagResource PutRetentionPolicy",
        read="DescribeLogGroups ListTagsForResource",
        update="TagResource UntagResource AssociateKmsKey",
        delete="DeleteLogGroup",
    ),
    "aws_cloudwatch_metric_alarm": _of(
        "cloudwatch",
        create="PutMetricAlarm TagResource",
        read="DescribeAlarms ListTagsForResource",
        update="UntagResource",
        delete="DeleteAlarms",
    ),
    "aws_default_security_group": _of(
        "ec2",
        create="CreateTags RevokeSecurityGroupIngress RevokeSecurityGroupEgress",
        read="DescribeSecurityGroups DescribeSecurityGroupRules DescribeVpcs",
        update=RETAG,
    ),
    "aws_ebs_volume": _of(
        "ec2",
        create="CreateVolume CreateTags kms:DescribeKey kms:GenerateDataKeyWithoutPlaintext kms:CreateGrant",
        read="DescribeVolumes",
        update=f"ModifyVolume DescribeVolumesModifications {RETAG}",
        delete="DeleteVolume",
    ),
    "aws_ec2_subnet_cidr_reservation": _of(
        "ec2",
        create="CreateSubnetCidrReservation",
        read="GetSubnetCidrReservations",
        delete="DeleteSubnetCidrReservation",
    ),
    "aws_eip": _of(
        "ec2",
        create="AllocateAddress CreateTags",
        read="DescribeAddresses DescribeAddressesAttribute",
        update=RETAG,
        delete="ReleaseAddress",
    ),
    "aws_eip_association": _of(
        "ec2", create="AssociateAddress", read="DescribeAddresses", delete="DisassociateAddress"
    ),
    "aws_flow_log": _of(
        "ec2",
        create="CreateFlowLogs CreateTags iam:PassRole",
        read="DescribeFlowLogs",
        update=RETAG,
        delete="DeleteFlowLogs",
    ),
    "aws_iam_instance_profile": _of(
        "iam",
        create="CreateInstanceProfile TagInstanceProfile AddRoleToInstanceProfile PassRole",
        read="GetInstanceProfile",
        update="UntagInstanceProfile",
        delete="RemoveRoleFromInstanceProfile DeleteInstanceProfile",
    ),
    "aws_iam_role": _of(
        "iam",
        create="CreateRole TagRole",
        read="GetRole ListRolePolicies ListAttachedRolePolicies",
        update="PutRolePermissionsBoundary UpdateAssumeRolePolicy UpdateRole UntagRole",
        delete="ListInstanceProfilesForRole DeleteRole",
    ),
    "aws_iam_role_policy": _of("iam", create="PutRolePolicy", read="GetRolePolicy", delete="DeleteRolePolicy"),
    "aws_instance": _of(
        "ec2",
        create=(
            "RunInstances CreateTags DescribeImages iam:PassRole kms:DescribeKey kms:CreateGrant "
            "kms:GenerateDataKeyWithoutPlaintext kms:Decrypt kms:ReEncryptFrom kms:ReEncryptTo"
        ),
        read=(
            "DescribeInstances DescribeInstanceAttribute DescribeInstanceTypes DescribeVolumes DescribeTags "
            "DescribeInstanceCreditSpecifications iam:GetInstanceProfile"
        ),
        update=f"ModifyInstanceAttribute ModifyInstanceMetadataOptions StopInstances StartInstances {RETAG}",
        delete="ModifyInstanceAttribute TerminateInstances",
    ),
    "aws_internet_gateway": _of(
        "ec2",
        create="CreateInternetGateway CreateTags AttachInternetGateway",
        read="DescribeInternetGateways",
        update=RETAG,
        delete="DetachInternetGateway DeleteInternetGateway",
    ),
    "aws_kms_alias": _of("kms", create="CreateAlias", read="ListAliases", delete="DeleteAlias"),
    "aws_kms_key": _of(
        "kms",
        create="CreateKey TagResource EnableKeyRotation",
        read="DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags",
        update="PutKeyPolicy UpdateKeyDescription UntagResource",
        delete="ScheduleKeyDeletion",
    ),
    "aws_nat_gateway": _of(
        "ec2",
        create="CreateNatGateway CreateTags",
        read="DescribeNatGateways",
        update=RETAG,
        delete="DeleteNatGateway",
    ),
    "aws_network_interface": _of(
        "ec2",
        create="CreateNetworkInterface CreateTags ModifyNetworkInterfaceAttribute",
        read="DescribeNetworkInterfaces",
        update=f"AssignPrivateIpAddresses UnassignPrivateIpAddresses {RETAG}",
        delete="DeleteNetworkInterface DetachNetworkInterface",
    ),
    "aws_placement_group": _of(
        "ec2",
        create="CreatePlacementGroup CreateTags",
        read="DescribePlacementGroups",
        update=RETAG,
        delete="DeletePlacementGroup",
    ),
    "aws_route": _of("ec2", create="CreateRoute", read="DescribeRouteTables", delete="DeleteRoute"),
    "aws_route53_record": _of(
        "route53", create="ChangeResourceRecordSets", read="GetHostedZone ListResourceRecordSets GetChange"
    ),
    "aws_route53_zone": _of(
        "route53",
        create="CreateHostedZone AssociateVPCWithHostedZone ChangeTagsForResource ec2:DescribeVpcs",
        read="GetHostedZone ListTagsForResource ListResourceRecordSets GetChange",
        update="UpdateHostedZoneComment",
        delete="DeleteHostedZone",
    ),
    "aws_route_table": _of(
        "ec2", create="CreateRouteTable CreateTags", read="DescribeRouteTables", update=RETAG, delete="DeleteRouteTable"
    ),
    "aws_route_table_association": _of(
        "ec2", create="AssociateRouteTable", read="DescribeRouteTables", delete="DisassociateRouteTable"
    ),
    "aws_s3_bucket": _of(
        "s3",
        create="CreateBucket PutBucketTagging",
        read=(
            "ListBucket GetAccelerateConfiguration GetBucketAcl GetBucketCORS GetBucketLogging "
            "GetBucketObjectLockConfiguration GetBucketPolicy GetBucketRequestPayment GetBucketTagging "
            "GetBucketVersioning GetBucketWebsite GetEncryptionConfiguration GetLifecycleConfiguration "
            "GetReplicationConfiguration"
        ),
        delete="DeleteBucket ListBucketVersions DeleteObject DeleteObjectVersion",
    ),
    "aws_s3_bucket_lifecycle_configuration": _of(
        "s3", create="PutLifecycleConfiguration", read="GetLifecycleConfiguration"
    ),
    "aws_s3_bucket_ownership_controls": _of(
        "s3", create="PutBucketOwnershipControls", read="GetBucketOwnershipControls"
    ),
    "aws_s3_bucket_policy": _of("s3", create="PutBucketPolicy", read="GetBucketPolicy", delete="DeleteBucketPolicy"),
    "aws_s3_bucket_public_access_block": _of(
        "s3", create="PutBucketPublicAccessBlock", read="GetBucketPublicAccessBlock"
    ),
    "aws_s3_bucket_server_side_encryption_configuration": _of(
        "s3", create="PutEncryptionConfiguration", read="GetEncryptionConfiguration"
    ),
    "aws_s3_bucket_versioning": _of("s3", create="PutBucketVersioning", read="GetBucketVersioning"),
    "aws_s3_object": _of(
        "s3",
        create="PutObject PutObjectTagging kms:GenerateDataKey",
        read="GetObject GetObjectTagging ListBucket kms:Decrypt",
        delete="DeleteObject DeleteObjectVersion ListBucketVersions",
    ),
    "aws_secretsmanager_secret": _of(
        "secretsmanager",
        create="CreateSecret TagResource",
        read="DescribeSecret GetResourcePolicy",
        update="UpdateSecret UntagResource kms:GenerateDataKey kms:Decrypt",
        delete="DeleteSecret",
    ),
    "aws_security_group": _of(
        "ec2",
        create="CreateSecurityGroup CreateTags RevokeSecurityGroupEgress",
        read="DescribeSecurityGroups",
        update=RETAG,
        delete="DescribeNetworkInterfaces DeleteSecurityGroup",
    ),
    "aws_sns_topic": _of(
        "sns",
        create="CreateTopic TagResource SetTopicAttributes",
        read="GetTopicAttributes ListTagsForResource",
        update="UntagResource",
        delete="DeleteTopic",
    ),
    "aws_subnet": _of(
        "ec2",
        create="CreateSubnet CreateTags ModifySubnetAttribute",
        read="DescribeSubnets",
        update=RETAG,
        delete="DescribeNetworkInterfaces DeleteSubnet",
    ),
    "aws_vpc": _of(
        "ec2",
        create="CreateVpc CreateTags ModifyVpcAttribute",
        read="DescribeVpcs DescribeVpcAttribute DescribeNetworkAcls DescribeRouteTables DescribeSecurityGroups",
        update=RETAG,
        delete="DeleteVpc",
    ),
    "aws_vpc_endpoint": _of(
        "ec2",
        create="CreateVpcEndpoint CreateTags route53:AssociateVPCWithHostedZone",
        read="DescribeVpcEndpoints DescribePrefixLists",
        update=f"ModifyVpcEndpoint {RETAG}",
        delete="DeleteVpcEndpoints DescribeNetworkInterfaces",
    ),
    "aws_vpc_security_group_egress_rule": _of(
        "ec2",
        create="AuthorizeSecurityGroupEgress CreateTags",
        read="DescribeSecurityGroupRules",
        update=f"ModifySecurityGroupRules {RETAG}",
        delete="RevokeSecurityGroupEgress",
    ),
    "aws_vpc_security_group_ingress_rule": _of(
        "ec2",
        create="AuthorizeSecurityGroupIngress CreateTags",
        read="DescribeSecurityGroupRules",
        update=f"ModifySecurityGroupRules {RETAG}",
        delete="RevokeSecurityGroupIngress",
    ),
}
"""Type of resource → what it takes."""


def to_deploy() -> frozenset[str]:
    """All: what the stacks of one environment contain today, its file may change tomorrow."""
    return _actions(calls.all for calls in RESOURCES.values())


def to_plan() -> frozenset[str]:
    """What a plan reads."""
    return _actions(calls.read for calls in RESOURCES.values())


def to_destroy() -> frozenset[str]:
    """What the end of an environment takes: Terraform reads each resource before it deletes it."""
    return _actions((*calls.read, *calls.delete) for calls in RESOURCES.values())


def _actions(listed: Iterable[tuple[str, ...]]) -> frozenset[str]:
    return frozenset(action for actions in listed for action in actions)
