"""Whether the names that the environment gives are free, or its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from holdfast.ops import cloud
from holdfast.ops.preflight.check import Check, right, wrong
from holdfast.ops.vault import Vault
from holdfast.topology import Cluster, Environment, names, users

SECRETS = "secrets' names"


def buckets(environment: Environment) -> Iterator[Check]:
    """The bucket of the states is there, by `holdfast bootstrap`; that of the environment comes with a deploy."""
    s3, account = cloud.client(environment, "s3"), cloud.client(environment, "sts").get_caller_identity()["Account"]
    states = names.state_bucket(environment)
    if environment.api_endpoint is None:
        found = _status(s3, states, account)
        if found == 200:
            yield right("bucket of the states", f"{states} is there, and this account's")
        elif found == 404:
            yield wrong("bucket of the states", f"there is no {states}: holdfast bootstrap {environment.name}")
        else:
            yield wrong("bucket of the states", _taken(states, found))
    wanted = {"bucket": names.bucket(environment)}
    if environment.backup is not None:
        wanted["bucket of the backups"] = names.backups_bucket(environment)
    for what, bucket in wanted.items():
        found = _status(s3, bucket, account)
        if found in (200, 404):
            yield right(what, f"{bucket} is {'there, and this account' if found == 200 else 'nobody'}'s")
        else:
            yield wrong(what, _taken(bucket, found))


def _taken(bucket: str, status: int) -> str:
    return (
        f"{bucket} is another account's, or these credentials may not look ({status}): credentials that may, "
        "or another cloud.suffix"
    )


def _status(s3: Any, bucket: str, account: str) -> int:
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return 200


def roles(environment: Environment) -> Iterator[Check]:
    iam = cloud.client(environment, "iam")
    wanted = [names.node_role(environment, node) for node in Cluster.of(environment).nodes]
    wanted.append(names.resource(environment, "flows"))

    def tags(name: str) -> Mapping[str, str] | None:
        try:
            found = iam.get_role(RoleName=name)["Role"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchEntity":
                return None
            raise
        return {tag["Key"]: tag["Value"] for tag in found.get("Tags", ())}

    yield _names(environment, "roles", wanted, tags)


def alias(environment: Environment) -> Iterator[Check]:
    kms = cloud.client(environment, "kms")
    of = ["key", *(["backups"] if environment.backup is not None else [])]
    wanted = [f"alias/{names.resource(environment, what)}" for what in of]
    listed = (it for page in kms.get_paginator("list_aliases").paginate() for it in page["Aliases"])
    keys = {it["AliasName"]: it["TargetKeyId"] for it in listed if it["AliasName"] in wanted and "TargetKeyId" in it}

    def tags(name: str) -> Mapping[str, str] | None:
        if name not in keys:
            return None
        found = kms.list_resource_tags(KeyId=keys[name])["Tags"]
        return {tag["TagKey"]: tag["TagValue"] for tag in found}

    yield _names(environment, "alias of the key", wanted, tags)


def _names(
    environment: Environment, what: str, wanted: Sequence[str], tags: Callable[[str], Mapping[str, str] | None]
) -> Check:
    """`tags`: of what has the name; None where nothing has."""
    ours, taken = 0, []
    for name in wanted:
        found = tags(name)
        if found is None:
            continue
        if (found.get("Project"), found.get("Environment")) == (names.PROJECT, environment.name):
            ours += 1
        else:
            taken.append(name)
    if taken:
        return wrong(what, f"there, and not by {environment.name}'s tags: {', '.join(taken)}; remove or rename it")
    free = len(wanted) - ours
    return right(what, ", ".join(f"{count} {word}" for count, word in ((free, "free"), (ours, "its own")) if count))


def secrets(environment: Environment) -> Iterator[Check]:
    """A deleted secret keeps its name for a while."""
    vault = Vault(environment)
    wanted = [names.secret(environment, user.name) for user in users.of(environment)]
    wanted += [names.authority(environment)] if environment.tls.on else []
    reserved = [name for name in wanted if vault.is_reserved(name)]
    if reserved:
        said = f"deleted and still reserved: {', '.join(reserved)}; bring them back, or let go of their names for good"
        yield wrong(SECRETS, f"{said}: holdfast secrets release {environment.name}")
    else:
        yield right(SECRETS, "none is reserved by a deleted one")
