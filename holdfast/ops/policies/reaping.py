"""What `holdfast reap` calls for each kind of resource: to find all of it in an account, and to remove one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reaping:
    """Actions. `finds`: whatever there is, with its tags. `removes`: what has the tags of a test stack."""

    finds: tuple[str, ...]
    removes: tuple[str, ...] = ()


def _of(service: str, finds: str, removes: str = "") -> Reaping:
    named = (tuple(f"{service}:{action}" for action in actions.split()) for actions in (finds, removes))
    return Reaping(*named)


KINDS: dict[str, Reaping] = {
    "alarm": _of("cloudwatch", "DescribeAlarms ListTagsForResource", "DeleteAlarms"),
    "flow log": _of("ec2", "DescribeFlowLogs", "DeleteFlowLogs"),
    "instance": _of("ec2", "DescribeInstances", "TerminateInstances"),
    "placement group": _of("ec2", "DescribePlacementGroups", "DeletePlacementGroup"),
    # IAM knows a zone's id alone, and a record's name: see `roles.reap`.
    "zone": _of("route53", "ListHostedZones ListTagsForResource ListResourceRecordSets"),
    "snapshot": _of("ec2", "DescribeSnapshots", "DeleteSnapshot"),
    "volume": _of("ec2", "DescribeVolumes", "DeleteVolume"),
    "endpoint": _of("ec2", "DescribeVpcEndpoints", "DeleteVpcEndpoints"),
    "NAT gateway": _of("ec2", "DescribeNatGateways", "DeleteNatGateway"),
    "interface": _of("ec2", "DescribeNetworkInterfaces", "DeleteNetworkInterface"),
    "address": _of("ec2", "DescribeAddresses", "ReleaseAddress"),
    "internet gateway": _of("ec2", "DescribeInternetGateways", "DetachInternetGateway DeleteInternetGateway"),
    "security group": _of(
        "ec2",
        "DescribeSecurityGroups DescribeSecurityGroupRules",
        "RevokeSecurityGroupEgress RevokeSecurityGroupIngress DeleteSecurityGroup",
    ),
    "route table": _of("ec2", "DescribeRouteTables", "DisassociateRouteTable DeleteRouteTable"),
    "subnet": _of("ec2", "DescribeSubnets", "DeleteSubnet"),
    "network": _of("ec2", "DescribeVpcs", "DeleteVpc"),
    "topic": _of("sns", "ListTopics ListTagsForResource", "DeleteTopic"),
    "log group": _of("logs", "DescribeLogGroups ListTagsForResource", "DeleteLogGroup"),
    "parameter": _of("ssm", "DescribeParameters ListTagsForResource", "DeleteParameter"),
    "secret": _of("secretsmanager", "ListSecrets", "DeleteSecret"),
    # IAM knows a bucket's name alone: see `roles.reap`.
    "bucket": _of("s3", "ListAllMyBuckets GetBucketTagging"),
    "instance profile": _of(
        "iam", "ListInstanceProfiles GetInstanceProfile", "RemoveRoleFromInstanceProfile DeleteInstanceProfile"
    ),
    "role": _of(
        "iam",
        "ListRoles ListRoleTags",
        "ListRolePolicies DeleteRolePolicy ListAttachedRolePolicies DetachRolePolicy DeleteRole",
    ),
    "key": _of("kms", "ListKeys ListResourceTags DescribeKey ListAliases", "DeleteAlias ScheduleKeyDeletion"),
}
"""By the kind's name in `holdfast.ops.teststacks.kinds`."""

BUCKETS = (
    "s3:AbortMultipartUpload",
    "s3:DeleteBucket",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
    "s3:PutObject",
)
"""Of a test stack: to read and write its Terraform states, and to empty and delete its buckets."""
