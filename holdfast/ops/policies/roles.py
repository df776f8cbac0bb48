"""What each role may do: who deploys, reviews, renews or bakes, and what bounds the machines' own roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from holdfast.ops.policies import baking, reaping, resources
from holdfast.ops.policies.limits import Statement, records, statements
from holdfast.ops.policies.place import Place
from holdfast.ops.policies.size import Document, allow, pack
from holdfast.topology import Environment, names

LOOKS = frozenset(
    {
        # `holdfast preflight`.
        "ec2:DescribeAvailabilityZones",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceTypeOfferings",
        "servicequotas:GetServiceQuota",
        # `holdfast review`: whether an environment was renamed.
        "s3:ListAllMyBuckets",
        # `holdfast status` and `review`: what the nodes report, and whether a secret's name is free.
        "s3:GetObject",
        "s3:ListBucket",
        "kms:Decrypt",
        "secretsmanager:DescribeSecret",
    }
)

RUNS = frozenset(
    {
        # `holdfast secrets ensure` and `certs ensure`, in every deploy.
        "secretsmanager:PutSecretValue",
        "secretsmanager:GetSecretValue",
        # Orders to nodes.
        "s3:PutObject",
        "s3:DeleteObject",
        # `holdfast retire`.
        "s3:ListBucketVersions",
        "s3:DeleteObjectVersion",
    }
)


def deploy(environment: Environment) -> list[Document]:
    """Everything that a deploy, a rollout and a retirement take."""
    place = Place.of(environment)
    made = statements(place, resources.to_deploy() | LOOKS | RUNS)
    return pack([*made, *_states(place), _write_states(place), keep_boundary()])


def review(environment: Environment) -> list[Document]:
    """What a plan reads, and no more."""
    place = Place.of(environment)
    return pack([*statements(place, resources.to_plan() | LOOKS), *_states(place)])


def renew(environment: Environment) -> list[Document]:
    """What `holdfast certs rotate --due` takes."""
    place = Place.of(environment)
    bucket = f"arn:aws:s3:::{place.bucket}"
    look = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
    return pack(
        [
            allow("Certificates", look, [place.secret("tls/*")]),
            allow("Reports", ["s3:GetObject"], place.objects(f"{names.REPORTS_PREFIX}*"), place.ours),
            allow("ListReports", ["s3:ListBucket"], [bucket], place.ours),
            allow("Orders", ["s3:DeleteObject", "s3:PutObject"], place.objects(names.RENEWAL_ORDER_KEY), place.ours),
            allow("Publish", ["s3:PutObject"], place.objects(names.AUTHORITY_KEY), place.ours),
            allow("PublicAddresses", ["ec2:DescribeAddresses"], ["*"]),
            allow(
                "KeyThroughThose",
                ["kms:Decrypt", "kms:GenerateDataKey"],
                [place.arn("kms", "key/*")],
                place.through("s3", "secretsmanager"),
            ),
        ]
    )


def reap(environment: Environment) -> list[Document]:
    """What the end of any test stack in the account takes, of whatever it consists."""
    place = Place.of_test_stacks(environment)
    finds = {action for kind in reaping.KINDS.values() for action in kind.finds}
    removes = {action for kind in reaping.KINDS.values() for action in kind.removes}
    zones = ["arn:aws:route53:::hostedzone/*"]
    buckets = [f"arn:aws:s3:::{place.bucket}", *place.objects("*")]
    aliases, rules = (
        [f"arn:aws:{kind}:*:{place.account}:{what}/*"]
        for kind, what in (("kms", "alias"), ("ec2", "security-group-rule"))
    )
    swept = [
        allow("Find", sorted(finds), ["*"]),
        allow("Remove", sorted(removes), ["*"], place.tags("aws:ResourceTag")),
        # The call is about the group or the key too, which must have the tags.
        allow("RemoveRules", ["ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"], rules),
        allow("RemoveAliases", ["kms:DeleteAlias"], aliases),
        allow("RemoveRecords", ["route53:ChangeResourceRecordSets"], zones, records(place)),
        allow("RemoveZones", ["route53:DeleteHostedZone"], zones),
        allow("Buckets", list(reaping.BUCKETS), buckets, place.ours),
    ]
    known = finds | removes | {action for one in swept for action in one["Action"]}
    return pack([*swept, *statements(place, resources.to_destroy() - known)])


def boundary(environment: Environment) -> list[Document]:
    """What a machine of the environment, or its flow log, may ever do, whatever its own policy says."""
    place = Place.of(environment)
    bucket = f"arn:aws:s3:::{place.bucket}"
    tagged = place.tags("aws:ResourceTag")
    logs = place.arn("logs", f"log-group:/{names.PROJECT}/{place.environment}/flows")
    return pack(
        [
            allow("Secrets", ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], [place.secret("*")]),
            allow("Objects", ["s3:GetObject", "s3:PutObject"], place.objects("*"), place.ours),
            allow("TellMissingFromForbidden", ["s3:ListBucket"], [bucket], place.ours),
            allow("AddBackups", ["s3:PutObject"], place.backups(f"{names.BASE_PREFIX}*"), place.ours),
            allow("SeeBackups", ["s3:ListBucket"], [f"arn:aws:s3:::{place.backups_bucket}"], place.ours),
            allow(
                "KeyThroughThose",
                ["kms:Decrypt", "kms:GenerateDataKey"],
                [place.arn("kms", "key/*")],
                place.through("s3", "secretsmanager"),
            ),
            allow("Find", ["ec2:DescribeRouteTables", "ec2:DescribeVolumes"], ["*"]),
            allow(
                "Attach",
                ["ec2:AttachVolume"],
                [place.arn("ec2", "instance/*"), place.arn("ec2", "volume/*")],
                tagged,
            ),
            allow("MoveFloatingPair", ["ec2:ReplaceRoute"], [place.arn("ec2", "route-table/*")], tagged),
            allow(
                "GrantForAttachment",
                ["kms:CreateGrant"],
                [place.arn("kms", "key/*")],
                {"Bool": {"kms:GrantIsForAWSResource": "true"}, **place.through("ec2")},
            ),
            allow(
                "FlowLog",
                ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                [logs, f"{logs}:*"],
            ),
        ]
    )


def keep_boundary() -> Statement:
    """Denied, so that no other policy of the role allows it: who takes a boundary away is bounded by none."""
    return {
        "Sid": "KeepBoundary",
        "Effect": "Deny",
        "Action": [
            "iam:CreatePolicyVersion",
            "iam:DeletePolicy",
            "iam:DeletePolicyVersion",
            "iam:DeleteRolePermissionsBoundary",
            "iam:SetDefaultPolicyVersion",
        ],
        "Resource": "*",
    }


def _states(place: Place) -> Iterator[Statement]:
    """Of Terraform: those of other environments too, by which a review knows of a renamed one.

    The buckets' key is AWS' own, whose policy lets in who may use the bucket.
    """
    buckets = f"arn:aws:s3:::{names.PROJECT}-*{names.STATE_BUCKET_END}"
    yield allow("ReadStates", ["s3:GetObject"], [f"{buckets}/*"], place.ours)
    yield allow("ListStates", ["s3:ListBucket"], [buckets], place.ours)


def _write_states(place: Place) -> Statement:
    """With their locks."""
    own = [f"arn:aws:s3:::{place.state_bucket}/*"]
    return allow("WriteStates", ["s3:DeleteObject", "s3:PutObject"], own, place.ours)


ROLES: dict[str, Callable[[Environment], list[Document]]] = {
    "bake": baking.bake,
    "boundary": boundary,
    "deploy": deploy,
    "reap": reap,
    "renew": renew,
    "review": review,
}
"""By the name that `holdfast policies --role` takes. Each gives its managed policies."""


UNBOUNDED = frozenset({"bake", "reap"})
"""Who makes no role, and so needs no boundary for those that are made."""


def managed(environment: Environment, roles: list[str]) -> dict[str, Document]:
    """Name of each managed policy → its document.

    Raises:
        NoBoundary: `cloud.permissions_boundary` is not set, which all but `bake` and `reap` need.
        NoAccount: these need that or `cloud.account`.
    """
    found: dict[str, Document] = {}
    # Of two problems the boundary is told: it names the account too.
    for role in sorted(roles, key=lambda role: role in UNBOUNDED):
        documents = ROLES[role](environment)
        for number, one in enumerate(documents, start=1):
            end = f"-{number}" if len(documents) > 1 else ""
            found[f"{names.PROJECT}-{environment.name}-{role}{end}"] = one
    return found
