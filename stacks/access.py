"""What a machine may do: an IAM role for each node, with the permissions that its roles take, and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.topology import Cluster, Node, Problem, Role, names, users
from stacks.base import Stack
from stacks.bindings.aws.iam_instance_profile import IamInstanceProfile
from stacks.bindings.aws.iam_role import IamRole
from stacks.bindings.aws.iam_role_policy import IamRolePolicy

Statement = dict[str, Any]

LIMIT, SPARE = 10_240, 512
"""Characters of all policies that are in a role itself, whitespace aside; those kept for what an incident adds."""


@dataclass(frozen=True)
class Scope:
    """What a node's policy speaks of: the node, and the environment that it is in."""

    cluster: Cluster
    node: Node
    key: str
    """The ARN of the environment's key."""
    account: str
    backups_key: str | None = None
    """The ARN of the key of the backups; None where there are none."""

    @property
    def region(self) -> str:
        return self.cluster.environment.region

    @property
    def bucket(self) -> str:
        return f"arn:aws:s3:::{names.bucket(self.cluster.environment)}"

    def objects(self, *keys: str) -> list[str]:
        return [f"{self.bucket}/{key}" for key in keys]

    @property
    def backups(self) -> str:
        return f"arn:aws:s3:::{names.backups_bucket(self.cluster.environment)}"

    def secret(self, name: str) -> str:
        """Secrets Manager ends each ARN with a hyphen and six characters of its own."""
        return f"arn:aws:secretsmanager:{self.region}:{self.account}:secret:{name}-??????"

    def ec2(self, kind: str) -> str:
        return f"arn:aws:ec2:{self.region}:{self.account}:{kind}/*"

    def tagged(self, **more: str) -> dict[str, Any]:
        """What has the tags of everything in the environment, and `more`."""
        tags = names.tags(self.cluster.environment) | more
        return {"StringEquals": {f"aws:ResourceTag/{name}": value for name, value in tags.items()}}

    @property
    def ours(self) -> dict[str, Any]:
        """What is in this account: a bucket's name may be another's by now."""
        return {"StringEquals": {"aws:ResourceAccount": self.account}}

    def through(self, *services: str) -> dict[str, Any]:
        return {"StringEquals": {"kms:ViaService": [f"{service}.{self.region}.amazonaws.com" for service in services]}}


class Access:
    """A node's role, with what it takes to give it to a machine."""

    def __init__(self, stack: Stack, node: Node, key: str, account: str, backups_key: str | None) -> None:
        name = names.node_role(stack.environment, node)
        tags = {"Name": name, "Node": node.name}
        role = IamRole(
            stack,
            f"{node.name}-role",
            name=name,
            description=f"The node {node.name} of the Holdfast environment {stack.environment.name}",
            assume_role_policy=json.dumps(allow_service("ec2.amazonaws.com")),
            permissions_boundary=stack.environment.cloud.permissions_boundary,
            tags=tags,
        )
        policy = node_policy(Scope(stack.cluster, node, key, account, backups_key))
        self.policy = IamRolePolicy(stack, f"{node.name}-policy", name=name, role=role.id, policy=json.dumps(policy))
        """A machine that boots waits for it."""
        self.profile = IamInstanceProfile(stack, f"{node.name}-profile", name=name, role=role.name, tags=tags)


def policy(*statements: Statement) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow_service(service: str) -> dict[str, Any]:
    """By which a service of AWS takes on a role."""
    return policy({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})


def whole_account(account: str) -> Statement:
    """Of a key's policy: the account's own policies decide who uses it."""
    return {
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }


def length(document: dict[str, Any]) -> int:
    """Of a policy, as IAM counts."""
    return len(json.dumps(document, separators=(",", ":")))


def check_policies(cluster: Cluster) -> list[Problem]:
    """A problem where IAM would refuse the policy of a node: it names the secret of every user that the node knows."""
    account, environment = "0" * 12, cluster.environment
    key = f"arn:aws:kms:{environment.region}:{account}:key/{'0' * 36}"
    backups_key = key if environment.backup is not None else None
    sizes = {node.name: length(node_policy(Scope(cluster, node, key, account, backups_key))) for node in cluster.nodes}
    longest = max(sizes, key=lambda name: sizes[name])
    if sizes[longest] <= LIMIT - SPARE:
        return []
    found = f"{len(environment.applications)}, with which the policy of {longest} has {sizes[longest]:,} characters"
    return [Problem("applications", found, f"fewer or shorter names: {LIMIT - SPARE:,} characters fit")]


def node_policy(scope: Scope) -> dict[str, Any]:
    """What a node may do."""
    roles = scope.node.roles
    statements = list(_every_machine(scope))
    if roles & {Role.DATA, Role.SENTINEL}:
        statements += _attach_volume(scope)
    if Role.DATA in roles and scope.backups_key is not None:
        statements += _add_backups(scope, scope.backups_key)
    if Role.GATEWAY in roles and scope.cluster.floating:
        statements += _move_floating_pair(scope)
    return policy(*statements)


def _allow(
    sid: str, action: str | list[str], resource: str | list[str], condition: dict[str, Any] | None = None
) -> Statement:
    statement = {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
    return statement if condition is None else {**statement, "Condition": condition}


def _every_machine(scope: Scope) -> Iterator[Statement]:
    node, environment = scope.node, scope.cluster.environment
    data, begins = Role.DATA in node.roles, bool(node.roles & {Role.DATA, Role.SENTINEL})
    read = [names.program_key("*"), names.MEMBERS_KEY, names.USERS_KEY, names.RENEWAL_ORDER_KEY]
    # Where a Sentinel was told of a forged leader, it begins anew with the last one that wrote who has everything.
    read += [names.BOOTSTRAP_KEY, names.HOLDERS_KEY] if begins else []
    read += [names.FAILOVER_ORDER_KEY] if data else []
    # Of backups it reads the copy alone that an operator makes for a restore.
    read += [names.RESTORES] if data else []
    read += [names.BACKUP_ORDER_KEY] if data and scope.backups_key is not None else []
    write = [names.report_key(node.name), *([names.HOLDERS_KEY] if data else [])]
    said = users.said_by(environment, node.roles)
    checked = [user for user in users.known_to(environment, node.roles) if user not in said]
    # To describe is to read versions and tags, with the hashes by which it checks passwords; never a password.
    describe, get = "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"
    # Each name once: with many applications IAM's limit is near.
    yield _allow("Logins", [describe, get], [scope.secret(names.secret(environment, user)) for user in said])
    yield _allow("Hashes", describe, [scope.secret(names.secret(environment, user)) for user in checked])
    if environment.tls.on:
        yield _allow("Certificate", get, scope.secret(names.node_certificate(environment, node.name)))
    yield _allow("Read", "s3:GetObject", scope.objects(*read), scope.ours)
    yield _allow("Write", "s3:PutObject", scope.objects(*write), scope.ours)
    if data:
        # Only a write that S3 refuses where there is one already: nobody may overwrite who began.
        once = {"Null": {"s3:if-none-match": "false"}, **scope.ours}
        yield _allow("BeginOnce", "s3:PutObject", scope.objects(names.BOOTSTRAP_KEY), once)
    # Without it S3 answers 403 for an object that is not there, and a node could not tell that from a refusal.
    yield _allow("TellMissingFromForbidden", "s3:ListBucket", scope.bucket, scope.ours)
    through = scope.through("s3", "secretsmanager")
    yield _allow("KeyThroughThose", ["kms:Decrypt", "kms:GenerateDataKey"], scope.key, through)


def _add_backups(scope: Scope, key: str) -> Iterator[Statement]:
    """It sees the names of all backups, adds its own, and reads, changes or deletes none: see stacks/backups.py."""
    once = {"Null": {"s3:if-none-match": "false"}, **scope.ours}
    # The name of a base ends in its node's.
    own = f"{scope.backups}/{names.BASE_PREFIX}*-{scope.node.name}/*"
    yield _allow("AddBackups", "s3:PutObject", own, once)
    seen = {"StringLike": {"s3:prefix": f"{names.BASE_PREFIX}*"}, **scope.ours}
    yield _allow("SeeBackups", "s3:ListBucket", scope.backups, seen)
    yield _allow("EncryptBackups", "kms:GenerateDataKey", key, scope.through("s3"))


def _attach_volume(scope: Scope) -> Iterator[Statement]:
    # EC2 has no finer permission for looking at something.
    yield _allow("FindOwnVolume", "ec2:DescribeVolumes", "*")
    own = scope.tagged(Node=scope.node.name)
    yield _allow("AttachOwnVolume", "ec2:AttachVolume", [scope.ec2("volume"), scope.ec2("instance")], own)
    # By which EC2 decrypts an attached volume, as long as it is attached.
    for_aws = {"Bool": {"kms:GrantIsForAWSResource": "true"}, **scope.through("ec2")}
    yield _allow("GrantForAttachment", "kms:CreateGrant", scope.key, for_aws)


def _move_floating_pair(scope: Scope) -> Iterator[Statement]:
    yield _allow("FindFloatingPair", "ec2:DescribeRouteTables", "*")
    # IAM tells tables apart, by their tags; not routes, nor where one shall lead. So gateways watch each other: see
    # node/holdfast_node/floating.py.
    yield _allow("MoveFloatingPair", "ec2:ReplaceRoute", scope.ec2("route-table"), scope.tagged())
    others = [slot.name for slot in scope.cluster.slots_having(Role.GATEWAY) if slot.name != scope.node.name]
    if others:
        reports = scope.objects(*(names.report_key(name) for name in others))
        yield _allow("WhoHoldsFloatingPair", "s3:GetObject", reports, scope.ours)
