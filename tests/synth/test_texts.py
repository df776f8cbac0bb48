"""Every name, description, tag, alias and path that goes to AWS is one that AWS takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from holdfast.twin.api.accepted import broken

Stacks = dict[str, dict[str, Any]]

FREE = {
    "aws_cloudwatch_log_group": {"name": ("logs", "CreateLogGroupRequest", "logGroupName")},
    "aws_cloudwatch_metric_alarm": {
        "alarm_name": ("cloudwatch", "PutMetricAlarmInput", "AlarmName"),
        "alarm_description": ("cloudwatch", "PutMetricAlarmInput", "AlarmDescription"),
        "metric_name": ("cloudwatch", "PutMetricAlarmInput", "MetricName"),
        "namespace": ("cloudwatch", "PutMetricAlarmInput", "Namespace"),
    },
    "aws_ec2_subnet_cidr_reservation": {
        "description": ("ec2", "CreateSubnetCidrReservationRequest", "Description"),
    },
    "aws_iam_instance_profile": {"name": ("iam", "CreateInstanceProfileRequest", "InstanceProfileName")},
    "aws_iam_role": {
        "name": ("iam", "CreateRoleRequest", "RoleName"),
        "description": ("iam", "CreateRoleRequest", "Description"),
        "assume_role_policy": ("iam", "CreateRoleRequest", "AssumeRolePolicyDocument"),
    },
    "aws_iam_role_policy": {
        "name": ("iam", "PutRolePolicyRequest", "PolicyName"),
        "policy": ("iam", "PutRolePolicyRequest", "PolicyDocument"),
    },
    "aws_kms_alias": {"name": ("kms", "CreateAliasRequest", "AliasName")},
    "aws_kms_key": {
        "description": ("kms", "CreateKeyRequest", "Description"),
        "policy": ("kms", "CreateKeyRequest", "Policy"),
    },
    "aws_network_interface": {"description": ("ec2", "CreateNetworkInterfaceRequest", "Description")},
    "aws_placement_group": {"name": ("ec2", "CreatePlacementGroupRequest", "GroupName")},
    "aws_route53_record": {
        "name": ("route53", "ResourceRecordSet", "Name"),
        "records": ("route53", "ResourceRecord", "Value"),
    },
    "aws_route53_zone": {
        "name": ("route53", "CreateHostedZoneRequest", "Name"),
        "comment": ("route53", "HostedZoneConfig", "Comment"),
    },
    "aws_s3_bucket": {"bucket": ("s3", "CreateBucketRequest", "Bucket")},
    "aws_s3_bucket_lifecycle_configuration": {
        "rule.id": ("s3", "LifecycleRule", "ID"),
        "rule.filter.prefix": ("s3", "PutObjectRequest", "Key"),
    },
    "aws_s3_bucket_policy": {"policy": ("s3", "PutBucketPolicyRequest", "Policy")},
    "aws_s3_object": {"key": ("s3", "PutObjectRequest", "Key")},
    "aws_secretsmanager_secret": {
        "name": ("secretsmanager", "CreateSecretRequest", "Name"),
        "description": ("secretsmanager", "CreateSecretRequest", "Description"),
    },
    "aws_security_group": {
        "name": ("ec2", "CreateSecurityGroupRequest", "GroupName"),
        "description": ("ec2", "CreateSecurityGroupRequest", "Description"),
    },
    "aws_sns_topic": {"name": ("sns", "CreateTopicInput", "Name")},
    "aws_vpc_endpoint": {"policy": ("ec2", "CreateVpcEndpointRequest", "PolicyDocument")},
    "aws_vpc_security_group_egress_rule": {"description": ("ec2", "SecurityGroupRuleRequest", "Description")},
    "aws_vpc_security_group_ingress_rule": {"description": ("ec2", "SecurityGroupRuleRequest", "Description")},
}
"""Of a resource, what we word ourselves, and what it is in the service's model."""

TAGGED_BY = {
    "aws_cloudwatch_metric_alarm": "cloudwatch",
    "aws_iam_": "iam",
    "aws_kms_": "kms",
    "aws_route53_": "route53",
    "aws_s3_": "s3",
    "aws_secretsmanager_": "secretsmanager",
    "aws_sns_": "sns",
    "aws_": "ec2",
}
"""Of a resource whose name begins so, the service that keeps its tags. Of log groups EC2's rules: they are no wider."""

WORDED = re.compile(r"(^|[._])((?<!service_)name|description|comment|bucket|key|policy|path|alias|id|prefix)$")
"""An attribute that is called so, or ends so, is one that we word ourselves, unless it refers to another resource."""

GIVEN = re.compile(r"(vpc|subnet|rtb)-[0-9a-f]+")
"""What was there already has its name from AWS."""

REFERENCE = re.compile(r"\$\{[^}]*\}")
STAND_IN = "0" * 80
"""As long as what a reference in a policy stands for: an ARN of a key at most."""


def texts(at: str, value: Any) -> Iterator[tuple[str, str]]:
    """Each text of a resource, by where it is."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, list):
        for item in value:
            yield from texts(at, item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in ("//", "tags", "lifecycle", "provisioner", "depends_on", "triggers_replace"):
                yield from texts(f"{at}.{key}".lstrip("."), item)


def resources(stacks: Stacks) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Address, type and attributes of each."""
    for stack, content in stacks.items():
        for kind, named in content.get("resource", {}).items():
            for name, resource in named.items():
                yield f"{stack}: {kind}.{name}", kind, resource


def tags(stack: dict[str, Any], resource: dict[str, Any]) -> dict[str, str]:
    return dict(stack["provider"]["aws"][0]["default_tags"][0]["tags"]) | dict(resource.get("tags", {}))


def problems(stacks: Stacks) -> Iterator[str]:
    """What AWS would refuse, and what this table does not know."""
    for address, kind, resource in resources(stacks):
        for at, text in texts("", resource):
            if REFERENCE.fullmatch(text) or GIVEN.fullmatch(text):
                continue
            literal = REFERENCE.sub(STAND_IN, text)
            if member := FREE.get(kind, {}).get(at):
                if why := broken(*member, literal):
                    yield f"{address}.{at}: {text!r}: {why}"
            elif WORDED.search(at):
                yield f"{address}.{at}: {text!r} is worded by us, and no row of FREE says what it is for AWS"
        if not kind.startswith("aws_"):
            continue
        service = next(service for prefix, service in TAGGED_BY.items() if kind.startswith(prefix))
        members = ("TagKey", "TagValue") if service == "kms" else ("Key", "Value")
        for tag in tags(stacks[address.partition(":")[0]], resource).items():
            for member, text in zip(members, tag, strict=True):
                if why := broken(service, "Tag", member, text):
                    yield f"{address}: tag {tag}: {why}"


def test_aws_takes_every_text_of_every_environment_and_example(stacks: Stacks) -> None:
    assert list(problems(stacks)) == []


def test_aws_takes_the_longest_texts_that_a_file_may_lead_to(synth: Callable[..., Stacks]) -> None:
    name = "test-" + "n" * 15
    machine = {"type": "t3.small"}
    stacks = synth(
        name=name,
        region="ap-southeast-2",
        network={
            "cidr": "10.200.200.0/22",
            "egress": "endpoints",
            "domain": ".".join(["d" * 63, "d" * 63, "d" * 63, "dddddddd"]),
            "clients": ["100.100.100.128/28"],
            "sentinel_clients": ["100.100.100.128/28"],
        },
        layout={"kind": "tiered", "data": 5, "gateways": 5, "sentinels": 5},
        machines={"data": machine, "gateway": machine, "sentinel": machine},
        applications={letter * 31: {} for letter in "ab"},
        tls={"mode": "optional"},
        cloud={"suffix": "s" * 12},
        teststack={"source": "s" * 20, "owner": "o" * 64, "run": "r" * 64, "expires": "2026-12-31T16:00:00Z"},
    )
    assert list(problems(stacks)) == []


def test_an_apostrophe_would_be_found(stacks: Stacks) -> None:
    rule = {"description": "The cloud's APIs", "tags": {}}
    provider = stacks["prod-network"]["provider"]
    broken_stack = {"provider": provider, "resource": {"aws_vpc_security_group_egress_rule": {"https-out": rule}}}
    [problem] = problems({"prod-network": broken_stack})
    assert problem.startswith("prod-network: aws_vpc_security_group_egress_rule.https-out.description")


def test_every_row_is_of_something_that_there_is(stacks: Stacks, synth: Callable[..., Stacks]) -> None:
    there = {(kind, at) for _, kind, resource in resources(stacks) for at, _ in texts("", resource)}
    assert {(kind, at) for kind, rows in FREE.items() for at in rows} - there == set()
