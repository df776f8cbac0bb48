"""S3 as the twin needs it: buckets are their account's, and what a bucket's policy denies is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from moto.iam.access_control import PermissionResult
from moto.s3.exceptions import AccessDeniedByLock, BucketAlreadyExists, S3ClientError
from moto.s3.models import FakeBucket, FakeDeleteMarker, S3Backend, s3_backends

from holdfast.twin.api.needs import Account, Unknown, needs
from holdfast.twin.api.patching import Method, around
from holdfast.twin.api.policies import CALLER, denied_by
from holdfast.twin.api.serving import Refusal, Request, refuse


@around(FakeBucket, "get_permission")
def _permission(original: Method, self: Any, action: str, resource: str) -> Any:
    """Decided before moto is asked, which knows neither conditions nor who calls: see `refusal`."""
    return PermissionResult.NEUTRAL


OF_POLICY = re.compile("s3:(Get|Put|Delete)BucketPolicy")
"""What no policy of a bucket takes from the root of its account, which otherwise could lock itself out."""


def refusal(account: Account, request: Request, caller: str) -> Refusal | None:
    """Why the policy of the bucket does not allow a call; None where it does, or where there is no policy.

    `caller`: the ARN of a role, or of the account's root. The twin's wire is taken for one with TLS.
    """
    if request.call.service != "s3":
        return None
    name = unquote(request.call.action.partition(" ")[2]).strip("/").partition("/")[0]
    bucket = account.everywhere("s3").buckets.get(name)
    if bucket is None or bucket.policy is None:
        return None
    policy = json.loads(bucket.policy)
    for need in needs(account, request):
        if isinstance(need, Unknown) or (caller == account.root and OF_POLICY.fullmatch(need.action)):
            continue
        context = {**need.context, CALLER: caller, "aws:SecureTransport": "true"}
        if sid := denied_by(policy, replace(need, context=context)):
            why = f"{caller} is not authorized to perform: {need}: the bucket's policy denies it ({sid})"
            return refuse(request.call, None, why)
    return None


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
