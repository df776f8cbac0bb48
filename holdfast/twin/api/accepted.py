"""Which texts AWS takes, by member of a request: as botocore's models say, and as the documents say where those do not.

A member is named by its service, its structure in the service's model, and itself. Where both know it, both count.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.session


@dataclass(frozen=True)
class Rule:
    """The whole text matches `pattern`, which may have Java's `\\p{L}`, and has so many characters."""

    pattern: str | None = None
    least: int = 0
    most: int | None = None

    def broken_by(self, text: str) -> str | None:
        """What the text does not do, as most services word it; None where all is well."""
        if len(text) < self.least:
            return f"Member must have length greater than or equal to {self.least}"
        if self.most is not None and len(text) > self.most:
            return f"Member must have length less than or equal to {self.most}"
        if self.pattern is not None and not _compiled(self.pattern).fullmatch(text):
            return f"Member must satisfy regular expression pattern: {self.pattern}"
        return None


EC2_SET = "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
"""What a security group and its rules may say, in EC2's own words."""

# EC2 API reference, SecurityGroupRuleRequest and CreateSecurityGroup: `Description`, `GroupName`.
_SAID = Rule(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]*", most=255)
_GROUP = Rule(rf"(?!sg-){_SAID.pattern}", least=1, most=255)
# Tag Editor user guide, "Tag naming limits and requirements"; EC2 API reference, Tag.
_TAG_KEY = Rule(r"(?!(?i:aws:))[\p{L}\p{Z}\p{N}_.:/=+\-@]+", most=128)
_EC2_TAG_KEY = Rule(_TAG_KEY.pattern, most=127)
_TAG_VALUE = Rule(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", most=256)
# Amazon S3 user guide, "General purpose bucket naming rules".
_BUCKET = Rule(
    r"(?!xn--|sthree-|amzn-s3-demo-)(?!.*\.\.)[a-z0-9][a-z0-9.\-]*[a-z0-9](?<!-s3alias)(?<!--ol-s3)", least=3, most=63
)
# Amazon Route 53 developer guide, "DNS domain name format".
_DNS_NAME = Rule(r"([A-Za-z0-9_*\-]{1,63}\.)*[A-Za-z0-9_*\-]{1,63}\.?", most=255)

CITED: dict[tuple[str, str, str], Rule] = {
    ("ec2", "IpRange", "Description"): _SAID,
    ("ec2", "Ipv6Range", "Description"): _SAID,
    ("ec2", "UserIdGroupPair", "Description"): _SAID,
    ("ec2", "PrefixListId", "Description"): _SAID,
    ("ec2", "SecurityGroupRuleRequest", "Description"): _SAID,
    ("ec2", "CreateSecurityGroupRequest", "Description"): _SAID,
    ("ec2", "CreateSecurityGroupRequest", "GroupName"): _GROUP,
    ("ec2", "CreateNetworkInterfaceRequest", "Description"): Rule(most=255),
    # EC2 API reference, CreateImage.
    ("ec2", "CreateImageRequest", "Name"): Rule(r"[a-zA-Z0-9()\[\] ./\-'@_]*"),
    # EC2 API reference, CreatePlacementGroup: ASCII.
    ("ec2", "CreatePlacementGroupRequest", "GroupName"): Rule(r"[\x20-\x7e]+", most=255),
    # Amazon VPC user guide, "Amazon VPC quotas".
    ("ec2", "CreateVpcEndpointRequest", "PolicyDocument"): Rule(most=20_480),
    ("ec2", "Tag", "Key"): _EC2_TAG_KEY,
    ("ec2", "Tag", "Value"): _TAG_VALUE,
    ("iam", "Tag", "Key"): _TAG_KEY,
    ("iam", "Tag", "Value"): _TAG_VALUE,
    # IAM user guide, "IAM and AWS STS quotas".
    ("iam", "PutRolePolicyRequest", "PolicyDocument"): Rule(most=10_240),
    ("iam", "CreateRoleRequest", "AssumeRolePolicyDocument"): Rule(most=2048),
    # AWS KMS developer guide, "Resource quotas"; API reference, CreateAlias.
    ("kms", "CreateKeyRequest", "Policy"): Rule(most=32_768),
    ("kms", "CreateAliasRequest", "AliasName"): Rule("alias/(?!aws/).+"),
    ("kms", "Tag", "TagKey"): _TAG_KEY,
    ("kms", "Tag", "TagValue"): _TAG_VALUE,
    ("cloudwatch", "Tag", "Key"): _TAG_KEY,
    ("cloudwatch", "Tag", "Value"): _TAG_VALUE,
    ("route53", "CreateHostedZoneRequest", "Name"): _DNS_NAME,
    ("route53", "ResourceRecordSet", "Name"): _DNS_NAME,
    ("route53", "Tag", "Key"): _TAG_KEY,
    ("route53", "Tag", "Value"): _TAG_VALUE,
    # Amazon S3 user guide, "Creating object key names", "Bucket policies"; API reference, LifecycleRule.
    ("s3", "CreateBucketRequest", "Bucket"): _BUCKET,
    ("s3", "PutObjectRequest", "Key"): Rule(most=1024),
    ("s3", "PutBucketPolicyRequest", "Policy"): Rule(most=20_480),
    ("s3", "LifecycleRule", "ID"): Rule(most=255),
    ("s3", "Tag", "Key"): _TAG_KEY,
    ("s3", "Tag", "Value"): _TAG_VALUE,
    # API references: CreateSecret and CreateTopic, `Name`.
    ("secretsmanager", "CreateSecretRequest", "Name"): Rule(r"[A-Za-z0-9/_+=.@\-]+"),
    ("secretsmanager", "Tag", "Key"): _TAG_KEY,
    ("secretsmanager", "Tag", "Value"): _TAG_VALUE,
    ("sns", "CreateTopicInput", "Name"): Rule(r"[A-Za-z0-9_\-]+", most=256),
    ("sns", "Tag", "Key"): _TAG_KEY,
    ("sns", "Tag", "Value"): _TAG_VALUE,
}


def broken(service: str, structure: str, member: str, text: str) -> str | None:
    """Why AWS refuses the text as that member; None where it takes it.

    Raises:
        KeyError: the service's model has no such member.
    """
    return _broken(service, structure, member, _model(service).shape_for(structure).members[member], text)


@dataclass(frozen=True)
class Refused:
    """A text of a request that AWS does not take."""

    structure: str
    member: str
    text: str
    """Not itself where it is secret."""
    why: str


def refusals(service: str, shape: Any, value: Any) -> Iterator[Refused]:
    """Of the parameters of a request, whose shape is given."""
    for member, below in shape.members.items():
        yield from _below(service, shape.name, member, below, value.get(member))


def _below(service: str, structure: str, member: str, shape: Any, value: Any) -> Iterator[Refused]:
    if isinstance(value, str) and shape.type_name == "string":
        if why := _broken(service, structure, member, shape, value):
            yield Refused(structure, member, "***" if shape.metadata.get("sensitive") else value, why)
    elif isinstance(value, dict) and shape.type_name == "structure":
        yield from refusals(service, shape, value)
    elif isinstance(value, list) and shape.type_name == "list":
        most = shape.metadata.get("max")
        if most is not None and len(value) > most:
            yield Refused(
                structure, member, f"{len(value)} of them", f"Member must have length less than or equal to {most}"
            )
        for item in value:
            yield from _below(service, structure, member, shape.member, item)
    elif isinstance(value, dict) and shape.type_name == "map":
        for key, item in value.items():
            yield from _below(service, structure, member, shape.key, key)
            yield from _below(service, structure, member, shape.value, item)


def _broken(service: str, structure: str, member: str, shape: Any, text: str) -> str | None:
    said = shape.metadata
    rules = [Rule(said.get("pattern"), said.get("min", 0), said.get("max")), CITED.get((service, structure, member))]
    return next((why for rule in rules if rule and (why := rule.broken_by(text))), None)


@cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """AWS' models speak Java's words, in which there are classes by Unicode category."""
    return re.compile(re.sub(r"\\p\{(\w+)\}", lambda found: _characters(found[1]), pattern))


@cache
def _characters(category: str) -> str:
    """Every character of a Unicode category, such as L or Lu, as it stands between brackets."""
    ranges: list[tuple[int, int]] = []
    for number in range(sys.maxunicode + 1):
        if unicodedata.category(chr(number)).startswith(category):
            first = ranges.pop()[0] if ranges and ranges[-1][1] == number - 1 else number
            ranges.append((first, number))
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)
