"""What a machine may do: the permissions that its roles take, and no other. One IAM role for each set of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.topology import Role, names, users

Statement = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """What the policies of an environment speak of. ARNs, but for `region`, `account` and `tags`."""

    bucket: str
    key: str
    secrets: Mapping[str, str]
    """By the user whose password it is."""
    region: str
    account: str
    tags: Mapping[str, str]
    """Of everything in the environment."""
    floating: bool
    """Whether there is a floating pair."""

    @property
    def ec2(self) -> str:
        """How the ARN of anything in EC2 begins."""
        return f"arn:aws:ec2:{self.region}:{self.account}"

    @property
    def of_this_environment(self) -> dict[str, Any]:
        return {"StringEquals": {f"aws:ResourceTag/{name}": value for name, value in self.tags.items()}}

    def through(self, *services: str) -> dict[str, Any]:
        return {"StringEquals": {"kms:ViaService": [f"{service}.{self.region}.amazonaws.com" for service in services]}}


def policy(*statements: Statement) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def kind(roles: frozenset[Role]) -> str:
    """What the IAM role of machines with these roles is called."""
    return "node" if roles == frozenset(Role) else "-".join(role for role in Role if role in roles)


def node_policy(roles: frozenset[Role], scope: Scope) -> dict[str, Any]:
    """What a machine with these roles may do."""
    statements = list(_every_machine(roles, scope))
    if roles & {Role.DATA, Role.SENTINEL}:
        statements += _attach_volume(scope)
    if Role.GATEWAY in roles and scope.floating:
        statements += _move_floating_pair(scope)
    return policy(*statements)


def _every_machine(roles: frozenset[Role], scope: Scope) -> Iterator[Statement]:
    data, begins = Role.DATA in roles, bool(roles & {Role.DATA, Role.SENTINEL})
    read = [names.program_key("*"), names.MEMBERS_KEY]
    read += [names.BOOTSTRAP_KEY] if begins else []
    read += [names.FAILOVER_ORDER_KEY] if data else []
    write = [f"{names.REPORTS_PREFIX}*", *([names.BOOTSTRAP_KEY] if data else [])]
    yield {
        "Sid": "OwnSecrets",
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": [scope.secrets[user] for user in users.known_to(roles)],
    }
    yield {"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": _objects(scope, read)}
    yield {"Sid": "Write", "Effect": "Allow", "Action": "s3:PutObject", "Resource": _objects(scope, write)}
    if begins:
        # Without it S3 answers 403 for an object that is not there, and a node could not tell that from a refusal.
        yield {
            "Sid": "TellMissingFromForbidden",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": scope.bucket,
        }
    yield {
        "Sid": "KeyThroughThose",
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": scope.key,
        "Condition": scope.through("s3", "secretsmanager"),
    }


def _objects(scope: Scope, keys: list[str]) -> list[str]:
    return [f"{scope.bucket}/{key}" for key in keys]


def _attach_volume(scope: Scope) -> Iterator[Statement]:
    # EC2 has no finer permission for looking at something.
    yield {"Sid": "FindOwnVolume", "Effect": "Allow", "Action": "ec2:DescribeVolumes", "Resource": "*"}
    yield {
        "Sid": "AttachInThisEnvironment",
        "Effect": "Allow",
        "Action": "ec2:AttachVolume",
        "Resource": [f"{scope.ec2}:volume/*", f"{scope.ec2}:instance/*"],
        "Condition": scope.of_this_environment,
    }
    # By which EC2 decrypts an attached volume, as long as it is attached.
    yield {
        "Sid": "GrantForAttachment",
        "Effect": "Allow",
        "Action": "kms:CreateGrant",
        "Resource": scope.key,
        "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}, **scope.through("ec2")},
    }


def _move_floating_pair(scope: Scope) -> Iterator[Statement]:
    yield {"Sid": "FindFloatingPair", "Effect": "Allow", "Action": "ec2:DescribeRouteTables", "Resource": "*"}
    yield {
        "Sid": "MoveFloatingPair",
        "Effect": "Allow",
        "Action": "ec2:ReplaceRoute",
        "Resource": f"{scope.ec2}:route-table/*",
        "Condition": scope.of_this_environment,
    }
