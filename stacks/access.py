"""What a machine may do: the permissions that its roles take, and no other. One IAM role for each set of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.topology import Node, Role, names
from holdfast.topology.users import User

Statement = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """What the policies of an environment speak of. ARNs, but for `region`, `account` and `tags`."""

    bucket: str
    key: str
    secrets: Mapping[User, str]
    """By whose password it is."""
    certificates: Mapping[Node, str]
    """By whose certificate it is; empty without TLS."""
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


def _allow(
    sid: str, action: str | list[str], resource: str | list[str], condition: dict[str, Any] | None = None
) -> Statement:
    statement = {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
    return statement if condition is None else {**statement, "Condition": condition}


def _every_machine(roles: frozenset[Role], scope: Scope) -> Iterator[Statement]:
    data, begins = Role.DATA in roles, bool(roles & {Role.DATA, Role.SENTINEL})
    read = [names.program_key("*"), names.MEMBERS_KEY, names.USERS_KEY, names.RENEWAL_ORDER_KEY]
    read += [names.BOOTSTRAP_KEY] if begins else []
    read += [names.FAILOVER_ORDER_KEY, names.HOLDERS_KEY] if data else []
    write = [f"{names.REPORTS_PREFIX}*", *([names.HOLDERS_KEY] if data else [])]
    own = [secret for user, secret in scope.secrets.items() if user.known_by & roles]
    own += [secret for node, secret in scope.certificates.items() if node.roles == roles]
    yield _allow("OwnSecrets", "secretsmanager:GetSecretValue", own)
    yield _allow("Read", "s3:GetObject", _objects(scope, read))
    yield _allow("Write", "s3:PutObject", _objects(scope, write))
    if data:
        # Only a write that S3 refuses where there is one already: nobody may overwrite who began.
        once = {"Null": {"s3:if-none-match": "false"}}
        yield _allow("BeginOnce", "s3:PutObject", _objects(scope, [names.BOOTSTRAP_KEY]), once)
    # Without it S3 answers 403 for an object that is not there, and a node could not tell that from a refusal.
    yield _allow("TellMissingFromForbidden", "s3:ListBucket", scope.bucket)
    through = scope.through("s3", "secretsmanager")
    yield _allow("KeyThroughThose", ["kms:Decrypt", "kms:GenerateDataKey"], scope.key, through)


def _objects(scope: Scope, keys: list[str]) -> list[str]:
    return [f"{scope.bucket}/{key}" for key in keys]


def _attach_volume(scope: Scope) -> Iterator[Statement]:
    # EC2 has no finer permission for looking at something.
    yield _allow("FindOwnVolume", "ec2:DescribeVolumes", "*")
    attached = [f"{scope.ec2}:volume/*", f"{scope.ec2}:instance/*"]
    yield _allow("AttachInThisEnvironment", "ec2:AttachVolume", attached, scope.of_this_environment)
    # By which EC2 decrypts an attached volume, as long as it is attached.
    for_aws = {"Bool": {"kms:GrantIsForAWSResource": "true"}, **scope.through("ec2")}
    yield _allow("GrantForAttachment", "kms:CreateGrant", scope.key, for_aws)


def _move_floating_pair(scope: Scope) -> Iterator[Statement]:
    yield _allow("FindFloatingPair", "ec2:DescribeRouteTables", "*")
    yield _allow("MoveFloatingPair", "ec2:ReplaceRoute", f"{scope.ec2}:route-table/*", scope.of_this_environment)
