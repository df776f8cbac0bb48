"""How far IAM can narrow each action: to names where it knows names, to tags where it knows these, else not at all.

Service Authorization Reference, "Actions, resources, and condition keys", of each service.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.ops.policies.place import Condition, Place
from holdfast.topology import names

Statement = dict[str, Any]


@dataclass(frozen=True)
class Limit:
    """One statement: these actions on these resources, where the condition holds."""

    sid: str
    actions: tuple[str, ...]
    resources: Callable[[Place], list[str]]
    condition: Callable[[Place], Condition] | None = None

    def statement(self, place: Place, wanted: Collection[str]) -> Statement | None:
        """For those of `wanted` that it is about; None where it is about none, or about no resource of this place."""
        actions = sorted(set(self.actions) & set(wanted))
        resources = self.resources(place)
        if not actions or not resources:
            return None
        made = {"Sid": self.sid, "Effect": "Allow", "Action": actions, "Resource": resources}
        return made if self.condition is None else {**made, "Condition": self.condition(place)}


def statements(place: Place, wanted: Collection[str]) -> list[Statement]:
    """What allows all of `wanted` at `place`, as narrowly as IAM can.

    Raises:
        KeyError: nobody has written down how an action is limited.
    """
    looks = tuple(action for action in wanted if action.startswith("ec2:Describe"))
    limits = [Limit("Look", (*looks, *UNLIMITED), _anything), *LIMITS]
    known = {action for limit in limits for action in limit.actions}
    if missing := sorted(set(wanted) - known):
        raise KeyError(", ".join(missing))
    return [made for limit in limits if (made := limit.statement(place, wanted)) is not None]


def _anything(place: Place) -> list[str]:
    return ["*"]


def _ec2(*kinds: str) -> Callable[[Place], list[str]]:
    return lambda place: [place.arn("ec2", f"{kind}/*") for kind in kinds]


def _requested(place: Place) -> Condition:
    return place.tags("aws:RequestTag")


def _tagged(place: Place) -> Condition:
    return place.tags("aws:ResourceTag")


def _adopted(place: Place) -> Condition:
    """What has no such tag yet gets ours. One that has another environment's keeps it."""
    return {**_requested(place), "Null": {"aws:ResourceTag/Environment": "true"}}


MAKES = {
    "ec2:AllocateAddress": ("elastic-ip",),
    "ec2:AuthorizeSecurityGroupEgress": ("security-group-rule",),
    "ec2:AuthorizeSecurityGroupIngress": ("security-group-rule",),
    "ec2:CreateFlowLogs": ("vpc-flow-log",),
    "ec2:CreateInternetGateway": ("internet-gateway",),
    "ec2:CreateNatGateway": ("natgateway",),
    "ec2:CreateNetworkInterface": ("network-interface",),
    "ec2:CreatePlacementGroup": ("placement-group",),
    "ec2:CreateRouteTable": ("route-table",),
    "ec2:CreateSecurityGroup": ("security-group",),
    "ec2:CreateSubnet": ("subnet",),
    "ec2:CreateVolume": ("volume",),
    "ec2:CreateVpc": ("vpc",),
    "ec2:CreateVpcEndpoint": ("vpc-endpoint",),
    "ec2:RunInstances": ("instance", "volume"),
}
"""Action of EC2 → kinds of what it makes, all of it with the environment's tags."""

WITHIN = {
    "ec2:AuthorizeSecurityGroupEgress": ("security-group",),
    "ec2:AuthorizeSecurityGroupIngress": ("security-group",),
    "ec2:CreateFlowLogs": ("vpc",),
    "ec2:CreateNatGateway": ("subnet", "elastic-ip"),
    "ec2:CreateNetworkInterface": ("subnet", "security-group"),
    "ec2:CreateRouteTable": ("vpc",),
    "ec2:CreateSecurityGroup": ("vpc",),
    "ec2:CreateSubnet": ("vpc",),
    "ec2:CreateVpcEndpoint": ("vpc", "subnet", "security-group", "route-table"),
    "ec2:RunInstances": ("network-interface", "placement-group", "subnet", "security-group"),
}
"""And kinds of what it is made in or of, which must have them already."""

CHANGES = (
    *WITHIN,
    "ec2:AssignPrivateIpAddresses",
    "ec2:AssociateAddress",
    "ec2:AssociateRouteTable",
    "ec2:AttachInternetGateway",
    "ec2:CreateRoute",
    "ec2:CreateTags",
    "ec2:DeleteFlowLogs",
    "ec2:DeleteInternetGateway",
    "ec2:DeleteNatGateway",
    "ec2:DeleteNetworkInterface",
    "ec2:DeletePlacementGroup",
    "ec2:DeleteRoute",
    "ec2:DeleteRouteTable",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteSubnet",
    "ec2:DeleteTags",
    "ec2:DeleteVolume",
    "ec2:DeleteVpc",
    "ec2:DeleteVpcEndpoints",
    "ec2:DetachInternetGateway",
    "ec2:DetachNetworkInterface",
    "ec2:DisassociateAddress",
    "ec2:DisassociateRouteTable",
    "ec2:ModifyInstanceAttribute",
    "ec2:ModifyInstanceMetadataOptions",
    "ec2:ModifyNetworkInterfaceAttribute",
    "ec2:ModifySecurityGroupRules",
    "ec2:ModifySubnetAttribute",
    "ec2:ModifyVolume",
    "ec2:ModifyVpcAttribute",
    "ec2:ModifyVpcEndpoint",
    "ec2:ReleaseAddress",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:StartInstances",
    "ec2:StopInstances",
    "ec2:TerminateInstances",
    "ec2:UnassignPrivateIpAddresses",
)
"""Actions of EC2 on what has the tags."""


def _makers() -> Iterator[Limit]:
    """The tags of a request count for all that it is about. So no statement may have an action beside a kind that this
    is made in: else a subnet could be made in another environment's network."""
    left = dict(sorted(MAKES.items()))
    number = 0
    while left:
        number += 1
        chosen: dict[str, tuple[str, ...]] = {}
        for action, kinds in left.items():
            beside = {*(kind for others in chosen.values() for kind in others), *kinds}
            if not any(beside & set(WITHIN.get(one, ())) for one in (*chosen, action)):
                chosen[action] = kinds
        together = sorted({kind for made in chosen.values() for kind in made})
        yield Limit(f"Make{number}", tuple(chosen), _ec2(*together), _requested)
        left = {action: kinds for action, kinds in left.items() if action not in chosen}


def _tag_what_is_made(place: Place) -> Condition:
    own = _requested(place)
    made = {"ec2:CreateAction": sorted(action.removeprefix("ec2:") for action in MAKES)}
    return {"StringEquals": {**own["StringEquals"], **made}}


def _bounded(place: Place) -> Condition:
    return {"StringEquals": {"iam:PermissionsBoundary": place.boundary}}


def _passed_to(service: str) -> Callable[[Place], Condition]:
    return lambda place: {"StringEquals": {"iam:PassedToService": service}}


def _roles(place: Place) -> list[str]:
    return [place.iam(f"role/{place.node_roles}"), place.iam(f"role/{place.flows_role}")]


def _keys(place: Place) -> list[str]:
    """Their ids are known to nobody before they are made."""
    return [place.arn("kms", "key/*")]


def _grants(place: Place) -> Condition:
    """By which EC2 decrypts a volume, as long as it is attached. Without it an instance ends as soon as it begins."""
    return {"Bool": {"kms:GrantIsForAWSResource": "true"}, **place.through("ec2")}


def records(place: Place) -> Condition:
    key = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
    return {"ForAllValues:StringLike": {key: [f"*.{place.domain}"]}}


UNLIMITED = (
    "cloudwatch:DescribeAlarms",
    "ec2:GetSubnetCidrReservations",
    "kms:ListAliases",
    "logs:DescribeLogGroups",
    "route53:CreateHostedZone",
    "s3:ListAllMyBuckets",
    "servicequotas:GetServiceQuota",
)
"""Beside all `ec2:Describe…`."""

OBJECTS = (
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetObject",
    "s3:GetObjectTagging",
    "s3:PutObject",
    "s3:PutObjectTagging",
)

LIMITS: tuple[Limit, ...] = (
    *_makers(),
    # A team's own network has no tags of ours.
    Limit(
        "InGivenNetwork",
        (
            "ec2:CreateNetworkInterface",
            "ec2:CreateSecurityGroup",
            "ec2:CreateSubnetCidrReservation",
            "ec2:DeleteSubnetCidrReservation",
            "ec2:RunInstances",
        ),
        lambda place: [place.arn("ec2", one) for one in place.given],
    ),
    Limit("Change", CHANGES, lambda place: [place.arn("ec2", "*/*")], _tagged),
    Limit("TagWhatIsMade", ("ec2:CreateTags",), lambda place: [place.arn("ec2", "*/*")], _tag_what_is_made),
    # The rules that a group comes with have no tags; the group, which the same call is about, has.
    Limit(
        "RevokeRules",
        ("ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"),
        _ec2("security-group-rule"),
    ),
    # The group that a network comes with.
    Limit("AdoptGroup", ("ec2:CreateTags",), _ec2("security-group"), _adopted),
    Limit("UseImages", ("ec2:RunInstances",), lambda place: [f"arn:aws:ec2:{place.region}::image/*"]),
    Limit(
        "BoundedRoles",
        ("iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"),
        _roles,
        _bounded,
    ),
    Limit(
        "Roles",
        (
            "iam:DeleteRole",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListInstanceProfilesForRole",
            "iam:ListRolePolicies",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
        ),
        _roles,
    ),
    Limit(
        "Profiles",
        (
            "iam:AddRoleToInstanceProfile",
            "iam:CreateInstanceProfile",
            "iam:DeleteInstanceProfile",
            "iam:GetInstanceProfile",
            "iam:RemoveRoleFromInstanceProfile",
            "iam:TagInstanceProfile",
            "iam:UntagInstanceProfile",
        ),
        lambda place: [place.iam(f"instance-profile/{place.node_roles}")],
    ),
    Limit(
        "PassToMachines",
        ("iam:PassRole",),
        lambda place: [place.iam(f"role/{place.node_roles}")],
        _passed_to("ec2.amazonaws.com"),
    ),
    Limit(
        "PassToFlowLogs",
        ("iam:PassRole",),
        lambda place: [place.iam(f"role/{place.flows_role}")],
        _passed_to("vpc-flow-logs.amazonaws.com"),
    ),
    Limit("MakeKey", ("kms:CreateKey",), _anything, _requested),
    Limit("TagNewKey", ("kms:TagResource",), _keys, _adopted),
    # KMS may know a new key's tags minutes later than the provider asks: these do no harm to another key.
    Limit(
        "LookAtKeys",
        (
            "kms:DescribeKey",
            "kms:EnableKeyRotation",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:ListResourceTags",
        ),
        _keys,
    ),
    Limit(
        "ChangeKey",
        (
            "kms:PutKeyPolicy",
            "kms:ScheduleKeyDeletion",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:UpdateKeyDescription",
        ),
        _keys,
        _tagged,
    ),
    Limit(
        "NameKey",
        ("kms:CreateAlias", "kms:DeleteAlias"),
        lambda place: [*_aliases(place), *_keys(place)],
    ),
    Limit(
        "KeyThroughServices",
        (
            "kms:Decrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ),
        _keys,
        lambda place: place.through("ec2", "s3", "secretsmanager"),
    ),
    Limit("GrantForVolumes", ("kms:CreateGrant",), _keys, _grants),
    Limit(
        "Secrets",
        (
            "secretsmanager:CreateSecret",
            "secretsmanager:DeleteSecret",
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetResourcePolicy",
            "secretsmanager:PutSecretValue",
            "secretsmanager:TagResource",
            "secretsmanager:UntagResource",
            "secretsmanager:UpdateSecret",
        ),
        lambda place: [place.secret("*")],
    ),
    Limit("ReadCertificates", ("secretsmanager:GetSecretValue",), lambda place: [place.secret("tls/*")]),
    Limit(
        "Bucket",
        (
            "s3:CreateBucket",
            "s3:DeleteBucket",
            "s3:DeleteBucketPolicy",
            "s3:GetAccelerateConfiguration",
            "s3:GetBucketAcl",
            "s3:GetBucketCORS",
            "s3:GetBucketLogging",
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketRequestPayment",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:GetBucketWebsite",
            "s3:GetEncryptionConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:GetReplicationConfiguration",
            "s3:ListBucket",
            "s3:ListBucketVersions",
            "s3:PutBucketOwnershipControls",
            "s3:PutBucketPolicy",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutBucketTagging",
            "s3:PutBucketVersioning",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
        ),
        lambda place: [f"arn:aws:s3:::{bucket}" for bucket in (place.bucket, place.backups_bucket)],
    ),
    Limit("Objects", OBJECTS, lambda place: place.objects("*"), lambda place: place.ours),
    Limit(
        "Alarms",
        (
            "cloudwatch:DeleteAlarms",
            "cloudwatch:ListTagsForResource",
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:TagResource",
            "cloudwatch:UntagResource",
        ),
        lambda place: [place.arn("cloudwatch", f"alarm:{place.node_roles}")],
    ),
    Limit(
        "Topic",
        (
            "sns:CreateTopic",
            "sns:DeleteTopic",
            "sns:GetTopicAttributes",
            "sns:ListTagsForResource",
            "sns:SetTopicAttributes",
            "sns:TagResource",
            "sns:UntagResource",
        ),
        lambda place: [place.arn("sns", f"{names.PROJECT}-{place.environment}-alarms")],
    ),
    Limit(
        "FlowLog",
        (
            "logs:AssociateKmsKey",
            "logs:CreateLogGroup",
            "logs:DeleteLogGroup",
            "logs:ListTagsForResource",
            "logs:PutRetentionPolicy",
            "logs:TagResource",
            "logs:UntagResource",
        ),
        # Some of these name it with `:*` behind.
        lambda place: [f"{_log_group(place)}{end}" for end in ("", ":*")],
    ),
    # IAM knows a zone's id alone, and who deletes one must have emptied it before.
    Limit(
        "Zone",
        (
            "route53:AssociateVPCWithHostedZone",
            "route53:ChangeTagsForResource",
            "route53:DeleteHostedZone",
            "route53:GetHostedZone",
            "route53:ListResourceRecordSets",
            "route53:ListTagsForResource",
            "route53:UpdateHostedZoneComment",
        ),
        lambda place: ["arn:aws:route53:::hostedzone/*"],
    ),
    Limit("ZoneChange", ("route53:GetChange",), lambda place: ["arn:aws:route53:::change/*"]),
    Limit("Records", ("route53:ChangeResourceRecordSets",), lambda place: ["arn:aws:route53:::hostedzone/*"], records),
)


def _aliases(place: Place) -> list[str]:
    return [place.arn("kms", f"alias/{names.PROJECT}-{place.environment}-{key}") for key in ("key", "backups")]


def _log_group(place: Place) -> str:
    return place.arn("logs", f"log-group:/{names.PROJECT}/{place.environment}/flows")
