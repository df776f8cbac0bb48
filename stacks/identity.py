"""What the nodes share, and what outlives them: key, bucket, node program, secrets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from cdktf import App, AssetType, TerraformAsset

from holdfast import rendering
from holdfast.topology import Cluster, Node, certificates, names, users
from holdfast.topology.users import User
from stacks import access
from stacks.base import REPOSITORY, Stack, run_holdfast
from stacks.bindings.aws.data_aws_caller_identity import DataAwsCallerIdentity
from stacks.bindings.aws.kms_alias import KmsAlias
from stacks.bindings.aws.kms_key import KmsKey
from stacks.bindings.aws.s3_bucket import S3Bucket
from stacks.bindings.aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration,
)
from stacks.bindings.aws.s3_object import (
    S3Object,
    S3ObjectOverrideProvider,
    S3ObjectOverrideProviderDefaultTags,
)
from stacks.bindings.aws.secretsmanager_secret import SecretsmanagerSecret
from stacks.buckets import Bucket

OLD_VERSIONS_DAYS = 30
COPIES_DAYS = 1
"""Of what a restore that was interrupted has left: a whole backup."""
OLD_REPORTS_DAYS = 1
"""Each node writes one every 5 s: in a month half a million, all of which a retire would have to delete."""
PROGRAMS = REPOSITORY / ".holdfast" / "programs"


class IdentityStack(Stack):
    """`<env>-identity`. Others take the key from it."""

    def __init__(self, app: App, cluster: Cluster) -> None:
        super().__init__(app, names.identity_stack(cluster.environment), cluster)
        self.account = DataAwsCallerIdentity(self, "account").account_id
        self.key = self._add_key()
        self._add_bucket()
        self._add_secrets()
        self._add_certificates()

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

    def _add_bucket(self) -> None:
        environment = self.environment
        made = Bucket(self, names.bucket(environment), self.key)
        bucket, self._encryption = made.bucket, made.encryption
        if environment.protected:
            self._keep_old_versions(made)
        program = rendering.program()
        self._add_object(
            bucket,
            "program",
            names.program_key(program.sha256),
            source=TerraformAsset(
                self,
                "program-file",
                path=str(_stored(program.content, program.sha256)),
                type=AssetType.FILE,
                asset_hash=program.sha256,
            ).path,
        )
        # By which the nodes tell what is gone for good from what comes back: see node/README.md.
        there = {
            names.MEMBERS_KEY: {node.name: str(node.address) for node in self.cluster.nodes},
            names.USERS_KEY: {user.name: names.secret(environment, user.name) for user in users.of(environment)},
        }
        for key, content in there.items():
            self._add_object(bucket, key.removesuffix(".json"), key, content=json.dumps(content))

    def _add_object(
        self, bucket: S3Bucket, what: str, key: str, *, source: str | None = None, content: str | None = None
    ) -> None:
        environment, name = self.environment, {"Name": key}
        tags, defaults = names.tags_of_ten(environment), None
        if tags != names.all_tags(environment):
            # The provider lets an object do without the default tags, and not have others.
            none = S3ObjectOverrideProviderDefaultTags(tags={})
            name, defaults = tags | name, S3ObjectOverrideProvider(default_tags=none)
        S3Object(
            self,
            what,
            bucket=bucket.id,
            key=key,
            source=source,
            content=content,
            tags=name,
            override_provider=defaults,
            depends_on=[self._encryption],
        )

    def _keep_old_versions(self, made: Bucket) -> None:
        """A way back from a mistake. Not where all may be destroyed: the provider needs a minute for it."""
        made.keep_versions(
            OLD_VERSIONS_DAYS,
            # Of two rules that fit, S3 takes the shorter time. Reports are overwritten every few seconds, and each
            # overwrite leaves a version.
            S3BucketLifecycleConfigurationRule(
                id="old-reports",
                status="Enabled",
                filter=[S3BucketLifecycleConfigurationRuleFilter(prefix=names.REPORTS_PREFIX)],
                noncurrent_version_expiration=[
                    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=OLD_REPORTS_DAYS)
                ],
            ),
            S3BucketLifecycleConfigurationRule(
                id="copies",
                status="Enabled",
                filter=[S3BucketLifecycleConfigurationRuleFilter(prefix=names.RESTORE_PREFIX)],
                expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=COPIES_DAYS)],
                noncurrent_version_expiration=[
                    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=COPIES_DAYS)
                ],
            ),
        )

    def _add_secrets(self) -> None:
        """A place for the password of each user. What is in it no state, plan or output ever sees."""
        secrets = {user: self._add_secret(user) for user in users.of(self.environment)}
        arns = {user.name: secret.arn for user, secret in secrets.items()}
        # Where hashes are kept: a deploy adds those of passwords that were made before there were any.
        run_holdfast(self, "passwords", "secrets ensure", arns | {"hashes in": names.HASH_TAG})

    def _add_certificates(self) -> None:
        """A place for the certificate of each node; and those that no node reads, of the authority and of clients."""
        environment = self.environment
        if not environment.tls.on:
            return
        authority = self._add_place(
            "secret-tls_authority", names.authority(environment), "TLS: who signs certificates, and its key"
        )
        clients = {
            name: self._add_certificate(f"client-{name}", names.client_certificate(environment, name))
            for name in environment.applications
        }
        nodes = {
            node: self._add_certificate(f"node-{node.name}", names.node_certificate(environment, node.name))
            for node in self.cluster.nodes
        }
        others = {"authority": authority.arn, **{f"client {name}": secret.arn for name, secret in clients.items()}}
        subjects = {node.name: [secret.arn, *_subject(self.cluster, node)] for node, secret in nodes.items()}
        run_holdfast(self, "certificates", "certs ensure", others | subjects, after=[self._encryption])

    def _add_secret(self, user: User) -> SecretsmanagerSecret:
        return self._add_place(
            f"secret-{user.name}",
            names.secret(self.environment, user.name),
            f"Redis user {user.name} of the Holdfast environment {self.environment.name}: {user.purpose}",
        )

    def _add_certificate(self, whose: str, name: str) -> SecretsmanagerSecret:
        # Made anew where it is missing: one that goes must not stand in the way of one that comes back.
        return self._add_place(f"secret-tls_{whose}", name, f"TLS: certificate of {whose}", recovery_days=0)

    def _add_place(
        self, what: str, name: str, description: str, recovery_days: int | None = None
    ) -> SecretsmanagerSecret:
        if recovery_days is None:
            recovery_days = 30 if self.environment.protected else 0
        return SecretsmanagerSecret(
            self,
            what,
            name=name,
            description=description,
            kms_key_id=self.key.arn,
            recovery_window_in_days=recovery_days,
            tags={"Name": name},
        )


def _subject(cluster: Cluster, node: Node) -> list[str]:
    subject = certificates.of_node(cluster, node)
    return [*subject.dns, *map(str, subject.addresses)]


def _stored(content: bytes, sha256: str) -> Path:
    """A file of that content: CDKTF takes assets from files only."""
    file = PROGRAMS / f"{sha256}.pyz"
    if not file.exists():
        PROGRAMS.mkdir(parents=True, exist_ok=True)
        # Of its own: another synthesis may write the same one at this moment.
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(content)
        unfinished.replace(file)
    return file


def _key_policy(account: str, region: str) -> dict[str, Any]:
    """The account's own policies decide who uses the key; the two services that use it by themselves are named."""
    return access.policy(
        access.whole_account(account),
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
