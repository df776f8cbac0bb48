"""Who the nodes are and what they may do, and what outlives them: key, bucket, node program, secrets, role."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cdktf import App, AssetType, TerraformAsset

from holdfast import rendering
from holdfast.topology import Cluster, names
from stacks.base import REPOSITORY, Stack
from stacks.bindings.aws.data_aws_caller_identity import DataAwsCallerIdentity
from stacks.bindings.aws.iam_instance_profile import IamInstanceProfile
from stacks.bindings.aws.iam_role import IamRole
from stacks.bindings.aws.iam_role_policy import IamRolePolicy
from stacks.bindings.aws.kms_alias import KmsAlias
from stacks.bindings.aws.kms_key import KmsKey
from stacks.bindings.aws.s3_bucket import S3Bucket
from stacks.bindings.aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleFilter,
    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration,
)
from stacks.bindings.aws.s3_bucket_ownership_controls import S3BucketOwnershipControls, S3BucketOwnershipControlsRule
from stacks.bindings.aws.s3_bucket_policy import S3BucketPolicy
from stacks.bindings.aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from stacks.bindings.aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from stacks.bindings.aws.s3_bucket_versioning import S3BucketVersioningA, S3BucketVersioningVersioningConfiguration
from stacks.bindings.aws.s3_object import S3Object
from stacks.bindings.aws.secretsmanager_secret import SecretsmanagerSecret
from stacks.bindings.aws.secretsmanager_secret_version import SecretsmanagerSecretVersion

USERS = ("app", "system")
"""Redis users with a secret each: what applications use, and what Redis, Sentinel and HAProxy use among themselves."""

PASSWORD_LENGTH = 40
OLD_VERSIONS_DAYS = 30
PROGRAMS = REPOSITORY / ".holdfast" / "programs"


class IdentityStack(Stack):
    """`<env>-identity`. Others take from it the key, and the nodes' instance profile."""

    def __init__(self, app: App, cluster: Cluster) -> None:
        super().__init__(app, names.identity_stack(cluster.environment), cluster)
        self.account = DataAwsCallerIdentity(self, "account").account_id
        self.key = self._add_key()
        self._bucket = self._add_bucket()
        self._secrets = [self._add_secret(user) for user in USERS]
        self.instance_profile = self._add_role()

    def _add_key(self) -> KmsKey:
        environment = self.environment
        key = KmsKey(
            self,
            "key",
            description=f"Everything at rest in the Holdfast environment {environment.name}",
            enable_key_rotation=True,
            deletion_window_in_days=30 if environment.protected else 7,
            policy=json.dumps(_key_policy(self.account, environment.region)),
            tags=self.tags("key"),
        )
        KmsAlias(self, "key-alias", name=f"alias/{names.resource(environment, 'key')}", target_key_id=key.key_id)
        return key

    def _add_bucket(self) -> S3Bucket:
        environment = self.environment
        bucket = S3Bucket(
            self,
            "bucket",
            bucket=names.bucket(environment),
            force_destroy=not environment.protected,
            tags={"Name": names.bucket(environment)},
        )
        closed = S3BucketPublicAccessBlock(
            self,
            "bucket-closed",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        S3BucketOwnershipControls(
            self,
            "bucket-owner",
            bucket=bucket.id,
            rule=S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
        )
        encryption = S3BucketServerSideEncryptionConfigurationA(
            self,
            "bucket-encryption",
            bucket=bucket.id,
            rule=[
                S3BucketServerSideEncryptionConfigurationRuleA(
                    bucket_key_enabled=True,
                    apply_server_side_encryption_by_default=(
                        S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
                            sse_algorithm="aws:kms", kms_master_key_id=self.key.arn
                        )
                    ),
                )
            ],
        )
        S3BucketPolicy(
            self, "bucket-policy", bucket=bucket.id, policy=json.dumps(_tls_only(bucket.arn)), depends_on=[closed]
        )
        if environment.protected:
            self._keep_old_versions(bucket)
        program = rendering.program()
        S3Object(
            self,
            "program",
            bucket=bucket.id,
            key=names.program_key(program.sha256),
            source=TerraformAsset(
                self,
                "program-file",
                path=str(_stored(program.content, program.sha256)),
                type=AssetType.FILE,
                asset_hash=program.sha256,
            ).path,
            tags={"Name": names.program_key(program.sha256)},
            depends_on=[encryption],
        )
        # By which the nodes tell one that is gone for good from one that comes back: see node/README.md.
        S3Object(
            self,
            "members",
            bucket=bucket.id,
            key=names.MEMBERS_KEY,
            content=json.dumps({node.name: str(node.address) for node in self.cluster.nodes}),
            tags={"Name": names.MEMBERS_KEY},
            depends_on=[encryption],
        )
        return bucket

    def _keep_old_versions(self, bucket: S3Bucket) -> None:
        """A way back from a mistake. Not where all may be destroyed: the provider needs a minute for it."""
        versioning = S3BucketVersioningA(
            self,
            "bucket-versions",
            bucket=bucket.id,
            versioning_configuration=S3BucketVersioningVersioningConfiguration(status="Enabled"),
        )
        S3BucketLifecycleConfiguration(
            self,
            "bucket-lifecycle",
            bucket=bucket.id,
            rule=[
                S3BucketLifecycleConfigurationRule(
                    id="old-versions",
                    status="Enabled",
                    filter=[S3BucketLifecycleConfigurationRuleFilter()],
                    noncurrent_version_expiration=[
                        S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=OLD_VERSIONS_DAYS)
                    ],
                    abort_incomplete_multipart_upload=[
                        S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(days_after_initiation=1)
                    ],
                )
            ],
            # Reports are overwritten every few seconds, and each overwrite leaves a version: from the first one on.
            depends_on=[versioning],
        )

    def _add_secret(self, user: str) -> SecretsmanagerSecret:
        """A password that only Secrets Manager has: Terraform makes it, passes it on and forgets it."""
        secret = SecretsmanagerSecret(
            self,
            f"secret-{user}",
            name=names.secret(self.environment, user),
            description=f"Redis user {user} of the Holdfast environment {self.environment.name}",
            kms_key_id=self.key.arn,
            recovery_window_in_days=30 if self.environment.protected else 0,
            tags={"Name": names.secret(self.environment, user)},
        )
        self.add_override(
            f"ephemeral.aws_secretsmanager_random_password.{user}",
            {"password_length": PASSWORD_LENGTH, "exclude_punctuation": True},
        )
        password = f"ephemeral.aws_secretsmanager_random_password.{user}.random_password"
        SecretsmanagerSecretVersion(
            self,
            f"secret-{user}-first",
            secret_id=secret.id,
            secret_string_wo=f'${{jsonencode({{"user" = "{user}", "password" = {password}}})}}',
            secret_string_wo_version=1,
        )
        return secret

    def _add_role(self) -> IamInstanceProfile:
        name = names.resource(self.environment, "node")
        role = IamRole(
            self,
            "node",
            name=name,
            description=f"Nodes of the Holdfast environment {self.environment.name}",
            assume_role_policy=json.dumps(_allow_service("ec2.amazonaws.com")),
            tags=self.tags("node"),
        )
        policy = _node_policy(
            bucket=self._bucket.arn,
            secrets=[secret.arn for secret in self._secrets],
            key=self.key.arn,
            region=self.environment.region,
            ec2=f"arn:aws:ec2:{self.environment.region}:{self.account}",
            tags=names.tags(self.environment),
            floating=self.cluster.floating is not None,
        )
        IamRolePolicy(self, "node-policy", name=name, role=role.id, policy=json.dumps(policy))
        return IamInstanceProfile(self, "node-profile", name=name, role=role.name, tags=self.tags("node"))


def _stored(content: bytes, sha256: str) -> Path:
    """A file of that content: CDKTF takes assets from files only."""
    file = PROGRAMS / f"{sha256}.pyz"
    if not file.exists():
        PROGRAMS.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".tmp")
        unfinished.write_bytes(content)
        unfinished.replace(file)
    return file


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow_service(service: str) -> dict[str, Any]:
    return _policy({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})


def _tls_only(bucket: str) -> dict[str, Any]:
    return _policy(
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket, f"{bucket}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )


def _key_policy(account: str, region: str) -> dict[str, Any]:
    """The account's own policies decide who uses the key; the two services that use it by themselves are named."""
    return _policy(
        {
            "Sid": "Account",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "Alarms",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        },
        {
            "Sid": "Logs",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{region}.amazonaws.com"},
            "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
            "Resource": "*",
            "Condition": {
                "ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{region}:{account}:log-group:*"}
            },
        },
    )


def _node_policy(
    *, bucket: str, secrets: list[str], key: str, region: str, ec2: str, tags: dict[str, str], floating: bool
) -> dict[str, Any]:
    """What a node may do, and nothing else. `ec2`: how the ARN of anything in EC2 begins; `tags`: the environment's."""
    bootstrap, reports = f"{bucket}/{names.BOOTSTRAP_KEY}", f"{bucket}/{names.REPORTS_PREFIX}*"
    services = [f"{service}.{region}.amazonaws.com" for service in ("s3", "secretsmanager")]
    of_this_environment = {"StringEquals": {f"aws:ResourceTag/{name}": value for name, value in tags.items()}}
    return _policy(
        {
            "Sid": "OwnSecrets",
            "Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": secrets,
        },
        {
            "Sid": "Read",
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": [
                f"{bucket}/{names.program_key('*')}",
                *(f"{bucket}/{key}" for key in (names.BOOTSTRAP_KEY, names.FAILOVER_ORDER_KEY, names.MEMBERS_KEY)),
            ],
        },
        {
            "Sid": "Write",
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": [bootstrap, reports],
        },
        {
            # Without it S3 answers 403 for an object that is not there, and a node could not tell that from a refusal.
            "Sid": "TellMissingFromForbidden",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": bucket,
        },
        {
            "Sid": "KeyThroughThose",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": key,
            "Condition": {"StringEquals": {"kms:ViaService": services}},
        },
        {
            # EC2 has no finer permission for looking at something.
            "Sid": "FindOwnVolume",
            "Effect": "Allow",
            "Action": "ec2:DescribeVolumes",
            "Resource": "*",
        },
        {
            "Sid": "AttachInThisEnvironment",
            "Effect": "Allow",
            "Action": "ec2:AttachVolume",
            "Resource": [f"{ec2}:volume/*", f"{ec2}:instance/*"],
            "Condition": of_this_environment,
        },
        {
            # By which EC2 decrypts an attached volume, as long as it is attached.
            "Sid": "GrantForAttachment",
            "Effect": "Allow",
            "Action": "kms:CreateGrant",
            "Resource": key,
            "Condition": {
                "Bool": {"kms:GrantIsForAWSResource": "true"},
                "StringEquals": {"kms:ViaService": f"ec2.{region}.amazonaws.com"},
            },
        },
        *(_move_floating_pair(f"{ec2}:route-table/*", of_this_environment) if floating else ()),
    )


def _move_floating_pair(tables: str, condition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"Sid": "FindFloatingPair", "Effect": "Allow", "Action": "ec2:DescribeRouteTables", "Resource": "*"}
    yield {
        "Sid": "MoveFloatingPair",
        "Effect": "Allow",
        "Action": "ec2:ReplaceRoute",
        "Resource": tables,
        "Condition": condition,
    }
