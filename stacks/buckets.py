"""A bucket as every one of ours is: closed to the public, encrypted with a key of ours, and reached by TLS alone."""

from __future__ import annotations

import json
from typing import Any

from stacks import access
from stacks.base import Stack
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


class Bucket:
    """With the constructs `bucket`, `bucket-closed`, `bucket-owner`, `bucket-encryption` and `bucket-policy`."""

    def __init__(self, stack: Stack, name: str, key: KmsKey, *statements: access.Statement) -> None:
        """`statements`: what its policy has beside the one that demands TLS, with `BUCKET` for the bucket's ARN."""
        self._stack = stack
        self.bucket = S3Bucket(
            stack, "bucket", bucket=name, force_destroy=not stack.environment.protected, tags={"Name": name}
        )
        closed = S3BucketPublicAccessBlock(
            stack,
            "bucket-closed",
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        S3BucketOwnershipControls(
            stack,
            "bucket-owner",
            bucket=self.bucket.id,
            rule=S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
        )
        self.encryption = S3BucketServerSideEncryptionConfigurationA(
            stack,
            "bucket-encryption",
            bucket=self.bucket.id,
            rule=[
                S3BucketServerSideEncryptionConfigurationRuleA(
                    bucket_key_enabled=True,
                    apply_server_side_encryption_by_default=(
                        S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
                            sse_algorithm="aws:kms", kms_master_key_id=key.arn
                        )
                    ),
                )
            ],
        )
        policy = json.dumps(access.policy(_tls_only(), *statements)).replace(BUCKET, self.bucket.arn)
        S3BucketPolicy(stack, "bucket-policy", bucket=self.bucket.id, policy=policy, depends_on=[closed])

    def keep_versions(self, days: int, *rules: S3BucketLifecycleConfigurationRule) -> None:
        """What is overwritten or deleted stays as an older version for so long. `rules`: what else ends by age."""
        versions = S3BucketVersioningA(
            self._stack,
            "bucket-versions",
            bucket=self.bucket.id,
            versioning_configuration=S3BucketVersioningVersioningConfiguration(status="Enabled"),
        )
        S3BucketLifecycleConfiguration(
            self._stack,
            "bucket-lifecycle",
            bucket=self.bucket.id,
            rule=[
                S3BucketLifecycleConfigurationRule(
                    id="old-versions",
                    status="Enabled",
                    filter=[S3BucketLifecycleConfigurationRuleFilter()],
                    noncurrent_version_expiration=[
                        S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=days)
                    ],
                    abort_incomplete_multipart_upload=[
                        S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(days_after_initiation=1)
                    ],
                ),
                *rules,
            ],
            depends_on=[versions],
        )


BUCKET = "BUCKET"
"""In a statement: the bucket's ARN, which the stack does not know."""


def deny(sid: str, resource: list[str], condition: dict[str, Any], **actions: list[str] | str) -> access.Statement:
    """`actions`: `Action` or `NotAction`."""
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        **actions,
        "Resource": resource,
        "Condition": condition,
    }


def _tls_only() -> access.Statement:
    return deny("TlsOnly", [BUCKET, f"{BUCKET}/*"], {"Bool": {"aws:SecureTransport": "false"}}, Action="s3:*")
