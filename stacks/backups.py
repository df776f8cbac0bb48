"""Where backups are: a bucket with a key of its own, which stay when the environment is retired."""

from __future__ import annotations

import json

from cdktf import App

from holdfast.topology import Cluster, names
from holdfast.topology.spec import BackupSpec
from stacks import access
from stacks.base import Stack
from stacks.bindings.aws.data_aws_caller_identity import DataAwsCallerIdentity
from stacks.bindings.aws.kms_alias import KmsAlias
from stacks.bindings.aws.kms_key import KmsKey
from stacks.bindings.aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
)
from stacks.buckets import BUCKET, Bucket, deny

UNDO_DAYS = 7
"""For which a deleted backup can be brought back: an expired one costs for as long."""


class BackupsStack(Stack):
    """`<env>-backups`. The zones' stacks take the key from it."""

    def __init__(self, app: App, cluster: Cluster, backup: BackupSpec) -> None:
        super().__init__(app, names.backups_stack(cluster.environment), cluster)
        environment = self.environment
        account = DataAwsCallerIdentity(self, "account").account_id
        self.key = KmsKey(
            self,
            "key",
            description=f"Backups of the Holdfast environment {environment.name}",
            enable_key_rotation=True,
            deletion_window_in_days=30 if environment.protected else 7,
            policy=json.dumps(access.policy(access.whole_account(account))),
            tags=self.tags("backups"),
        )
        KmsAlias(
            self, "key-alias", name=f"alias/{names.resource(environment, 'backups')}", target_key_id=self.key.key_id
        )
        nodes = {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{account}:role/{names.node_roles(environment)}"}}
        saved = Bucket(
            self,
            names.backups_bucket(environment),
            self.key,
            # Whoever it is: what is there stays as it is. A multipart upload has no such condition before its end.
            deny(
                "AddOnly",
                [f"{BUCKET}/{names.BASE_PREFIX}*"],
                {"Null": {"s3:if-none-match": "true"}},
                Action="s3:PutObject",
            ),
            # Whatever its own policy comes to say.
            deny(
                "NodesOnlyAdd",
                [BUCKET, f"{BUCKET}/*"],
                nodes,
                NotAction=["s3:ListBucket", "s3:PutObject"],
            ),
        )
        saved.keep_versions(UNDO_DAYS, *(_expire(tier, days) for tier, days in backup.keep.days.items()))


def _expire(tier: str, days: int) -> S3BucketLifecycleConfigurationRule:
    return S3BucketLifecycleConfigurationRule(
        id=tier,
        status="Enabled",
        filter=[S3BucketLifecycleConfigurationRuleFilter(prefix=f"{names.BASE_PREFIX}{tier}/")],
        expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=days)],
    )
