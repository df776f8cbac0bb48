"""Buckets with every version of every object; secrets, keys and parameters, some of which take their time to go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from holdfast.ops.teststacks.kinds.kind import (
    Client,
    Kind,
    NotRemoved,
    Stage,
    Thing,
    batches,
    pages,
    tags_of,
    unless_gone,
)
from holdfast.topology import names

AT_ONCE = 1000
"""Objects that S3 deletes in one call."""

KEY_DAYS = 7
"""The shortest waiting period of KMS."""


def _buckets(client: Client) -> Iterator[Thing]:
    for bucket in pages(client, "list_buckets", "Buckets"):
        if tags := unless_gone(_bucket_tags, client, bucket["Name"]):
            yield Thing(bucket["Name"], tags)


def _bucket_tags(client: Client, bucket: str) -> Mapping[str, str]:
    try:
        return tags_of(client.get_bucket_tagging(Bucket=bucket)["TagSet"])
    except ClientError as error:
        # Somebody else's bucket may refuse even to be looked at; one of ours may not.
        if error.response["Error"]["Code"] == "AccessDenied" and not bucket.startswith(f"{names.PROJECT}-"):
            return {}
        raise


def _remove_bucket(client: Client, thing: Thing) -> None:
    versions = [
        {"Key": item["Key"], "VersionId": item["VersionId"]}
        for part in ("Versions", "DeleteMarkers")
        for item in pages(client, "list_object_versions", part, Bucket=thing.id)
    ]
    for batch in batches(versions, AT_ONCE):
        done = client.delete_objects(Bucket=thing.id, Delete={"Objects": batch, "Quiet": True})
        for error in done.get("Errors", ()):
            raise NotRemoved(f"{error['Code']}: {error['Message']} ({error['Key']})")
    for upload in pages(client, "list_multipart_uploads", "Uploads", Bucket=thing.id):
        client.abort_multipart_upload(Bucket=thing.id, Key=upload["Key"], UploadId=upload["UploadId"])
    client.delete_bucket(Bucket=thing.id)


def _secrets(client: Client) -> Iterator[Thing]:
    """Those too that wait for their deletion: without recovery they go at once."""
    for secret in pages(client, "list_secrets", "SecretList", IncludePlannedDeletion=True):
        note = f"to be deleted on {secret['DeletedDate']:%Y-%m-%d}" if "DeletedDate" in secret else ""
        yield Thing(secret["ARN"], tags_of(secret.get("Tags", ())), note=note)


def _keys(client: Client) -> Iterator[Thing]:
    for listed in pages(client, "list_keys", "Keys"):
        if tags := unless_gone(_key_tags, client, listed["KeyId"]):
            yield _key(client.describe_key(KeyId=listed["KeyId"])["KeyMetadata"], tags)


def _key_tags(client: Client, key: str) -> Mapping[str, str]:
    try:
        return tags_of(list(pages(client, "list_resource_tags", "Tags", KeyId=key)), "TagKey", "TagValue")
    except ClientError as error:
        # AWS's own keys, and those whose policy leaves the account's administrators out: none of ours does.
        if error.response["Error"]["Code"] == "AccessDeniedException":
            return {}
        raise


def _key(described: Mapping[str, Any], tags: Mapping[str, str]) -> Thing:
    if described["KeyState"] != "PendingDeletion":
        return Thing(described["KeyId"], tags)
    return Thing(described["KeyId"], tags, Stage.WAITING, f"to be deleted on {described['DeletionDate']:%Y-%m-%d}")


def _remove_key(client: Client, thing: Thing) -> None:
    """Its aliases first: they have no tags, and would hold their names until the key is gone."""
    for alias in list(pages(client, "list_aliases", "Aliases", KeyId=thing.id)):
        client.delete_alias(AliasName=alias["AliasName"])
    client.schedule_key_deletion(KeyId=thing.id, PendingWindowInDays=KEY_DAYS)


def _parameters(client: Client) -> Iterator[Thing]:
    ours = [{"Key": "tag:Project", "Values": [names.PROJECT]}]
    for parameter in pages(client, "describe_parameters", "Parameters", ParameterFilters=ours):
        if tags := unless_gone(_parameter_tags, client, parameter["Name"]):
            yield Thing(parameter["Name"], tags)


def _parameter_tags(client: Client, name: str) -> Mapping[str, str]:
    return tags_of(client.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"])


BUCKET = Kind("bucket", "s3", _buckets, _remove_bucket, everywhere=True)
SECRET = Kind(
    "secret",
    "secretsmanager",
    _secrets,
    lambda client, thing: client.delete_secret(SecretId=thing.id, ForceDeleteWithoutRecovery=True),
)
KEY = Kind("key", "kms", _keys, _remove_key)
PARAMETER = Kind("parameter", "ssm", _parameters, lambda client, thing: client.delete_parameter(Name=thing.id))
