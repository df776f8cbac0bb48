"""S3 as the twin needs it: a bucket that wants TLS is still reached, as the twin's wire is no one else's."""

from __future__ import annotations

import json
from typing import Any

from moto.s3.exceptions import AccessDeniedByLock, BucketAlreadyExists, S3ClientError
from moto.s3.models import FakeBucket, FakeDeleteMarker, S3Backend, s3_backends

from holdfast.twin.api.patching import Method, around


@around(FakeBucket, "get_permission")
def _permission(original: Method, self: Any, action: str, resource: str) -> Any:
    """moto ignores conditions, so that a policy which denies everything without TLS denies everything."""
    whole = self.policy
    if whole is None:
        return original(self, action, resource)
    document = json.loads(whole)
    document["Statement"] = [statement for statement in document["Statement"] if not _about_tls(statement)]
    try:
        self.policy = json.dumps(document).encode() if document["Statement"] else None
        return original(self, action, resource)
    finally:
        self.policy = whole


def _about_tls(statement: dict[str, Any]) -> bool:
    wanted = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    return statement["Effect"] == "Deny" and str(wanted).lower() == "false"


@around(S3Backend, "get_bucket")
def _get_bucket(original: Method, self: Any, bucket_name: str) -> Any:
    """moto lets every account into the buckets of all."""
    if _is_anothers(self, bucket_name):
        raise AccessDeniedByLock
    return original(self, bucket_name)


@around(S3Backend, "create_bucket")
def _create_bucket(original: Method, self: Any, bucket_name: str, *args: Any, **kwargs: Any) -> Any:
    if _is_anothers(self, bucket_name):
        # moto's own class for it makes it look into the bucket.
        raise S3ClientError("BucketAlreadyExists", BucketAlreadyExists(bucket_name).message)
    return original(self, bucket_name, *args, **kwargs)


def _is_anothers(s3: Any, bucket_name: str) -> bool:
    """Whether another account than the backend's has it: names are unique in the world."""
    owner = s3_backends.bucket_accounts.get(bucket_name)
    return owner is not None and owner[1] != s3.account_id


def keep_newest(s3: Any, bucket: str, key: str) -> None:
    """What a lifecycle rule does in days, at once, where a key is written every few seconds."""
    if bucket in s3.buckets:
        keys = s3.buckets[bucket].keys
        keys.setlist(key, keys.getlist(key, [])[-1:])


def _nothing_to_dispose_of(marker: Any) -> None:
    """moto closes the files of a key's versions when the last one goes; a delete marker has none."""


FakeDeleteMarker.dispose = _nothing_to_dispose_of  # type: ignore[attr-defined]
