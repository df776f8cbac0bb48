"""Of S3: buckets and objects, by the path; which part of a bucket's settings, by the query.

Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, unquote

from holdfast.twin.api.needs.account import Account, Unknown
from holdfast.twin.api.policies import Need
from holdfast.twin.api.serving import Request

SETTINGS = {
    "accelerate": "AccelerateConfiguration",
    "acl": "BucketAcl",
    "cors": "BucketCORS",
    "encryption": "EncryptionConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "object-lock": "BucketObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "replication": "ReplicationConfiguration",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
"""What the query names → how actions call it, behind Get or Put."""

BUCKET = {"HEAD": "s3:ListBucket", "GET": "s3:ListBucket", "PUT": "s3:CreateBucket", "DELETE": "s3:DeleteBucket"}
OBJECT = {"HEAD": "s3:GetObject", "GET": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}
OF_KEY = {"GET": "kms:Decrypt", "PUT": "kms:GenerateDataKey"}
"""Method → the permission for the key that encrypts an object."""


def needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    method, _, path = request.call.action.partition(" ")
    query = parse_qs(request.environ["QUERY_STRING"], keep_blank_values=True)
    bucket, _, key = unquote(path).strip("/").partition("/")
    # moto has one account, so whatever is there is its own.
    ours = {"aws:ResourceAccount": account.id}
    arn = f"arn:aws:s3:::{bucket}"
    if not bucket:
        yield Need("s3:ListAllMyBuckets", "*") if method == "GET" else Unknown(f"s3: {method} {path}")
    elif method == "POST" and "delete" in query:
        for name, version in _listed(request.body):
            action = "s3:DeleteObjectVersion" if version else "s3:DeleteObject"
            yield Need(action, f"{arn}/{name}", ours)
    elif key:
        yield from _of_object(account, request, bucket, key, query)
    elif setting := next((name for name in SETTINGS if name in query), None):
        # There is no action to delete them, but for the policy.
        verb = {"GET": "Get", "DELETE": "Delete" if setting == "policy" else "Put"}.get(method, "Put")
        yield Need(f"s3:{verb}{SETTINGS[setting]}", arn, ours)
    elif "versions" in query:
        yield Need("s3:ListBucketVersions", arn, ours)
    elif "uploads" in query:
        yield Need("s3:ListBucketMultipartUploads", arn, ours)
    elif method in BUCKET:
        prefix = {"s3:prefix": query["prefix"][0]} if "prefix" in query else {}
        yield Need(BUCKET[method], arn, {} if method == "PUT" else {**ours, **prefix})
    else:
        yield Unknown(f"s3: {method} {path}")


def _of_object(
    account: Account, request: Request, bucket: str, key: str, query: Mapping[str, list[str]]
) -> Iterator[Need | Unknown]:
    method = request.call.action.partition(" ")[0]
    stored = account.everywhere("s3").buckets.get(bucket)
    ours = {"aws:ResourceAccount": account.id}
    arn = f"arn:aws:s3:::{bucket}/{key}"
    if stored is None or method not in OBJECT:
        yield Unknown(f"s3: {method} /{bucket}/{key}")
        return
    if "tagging" in query:
        yield Need(f"s3:{'Get' if method == 'GET' else 'Put'}ObjectTagging", arn, ours)
        return
    once = {} if request.if_none_match is None else {"s3:if-none-match": request.if_none_match}
    version = "Version" if "versionId" in query else ""
    yield Need(OBJECT[method] + version, arn, {**ours, **once} if method == "PUT" else ours)
    if method == "PUT" and "HTTP_X_AMZ_TAGGING" in request.environ:
        yield Need("s3:PutObjectTagging", arn, ours)
    if method in ("GET", "HEAD") and key not in stored.keys:
        # Else S3 does not tell that there is none.
        yield Need("s3:ListBucket", f"arn:aws:s3:::{bucket}", ours)
        return
    default = ((stored.encryption or {}).get("Rule") or {}).get("ApplyServerSideEncryptionByDefault") or {}
    if default.get("SSEAlgorithm") == "aws:kms" and "KMSMasterKeyID" in default and method in OF_KEY:
        yield account.through("s3", OF_KEY[method], default["KMSMasterKeyID"])


def _listed(body: bytes) -> Iterator[tuple[str, bool]]:
    """Name of each object that is to go, and whether one version of it is named."""
    for entry in re.findall(r"<Object>(.*?)</Object>", body.decode(), re.DOTALL):
        yield re.findall(r"<Key>(.*?)</Key>", entry)[0], "<VersionId>" in entry
