"""What Terraform has recorded of test stacks: their states, in a bucket of each, or in a folder of this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops.review.states import STACK
from holdfast.ops.teststacks.clouds import Cloud
from holdfast.ops.teststacks.judge import Tags
from holdfast.topology import Environment, names
from holdfast.topology.spec import TEST_PREFIX

LATER = ("watch", "names", "zone", "backups", "identity", "network")
"""Stacks that need others come before them: the order in which they are destroyed."""


@dataclass(frozen=True)
class State:
    """The state of one stack."""

    environment: str
    stack: str
    region: str
    bucket: str | None
    """None: a file on this machine."""
    holds: int
    """Resources in it."""
    tags: tuple[Tags, ...]
    """Of each resource in it that has any, as recorded."""
    ids: frozenset[str]
    """Of the resources in it, as the cloud knows them."""


def is_place(bucket: str) -> bool:
    """Whether a test stack's bucket is the one of its states."""
    return bucket.startswith(f"{names.PROJECT}-{TEST_PREFIX}") and bucket.endswith(names.STATE_BUCKET_END)


def find(cloud: Cloud, places: Mapping[str, Tags], stored: Iterable[Environment]) -> list[State]:
    """Every state of a test stack, in the order of destruction. `places`: buckets that `is_place`, with their tags.

    Raises:
        CloudError: a state cannot be read.
        HoldfastError: a state is damaged.
    """
    try:
        found = list(_local(cloud, stored) if cloud.endpoint else _in_buckets(cloud, places))
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain("reading the Terraform states", error) from None
    return sorted(found, key=lambda state: (state.environment, LATER.index(_what(state)), state.stack))


def _what(state: State) -> str:
    return state.stack.removeprefix(f"{state.environment}-").split("-")[0]


def _local(cloud: Cloud, stored: Iterable[Environment]) -> Iterator[State]:
    """Those of another emulation's test stacks are left out. One without a file is taken to be of this emulation."""
    files = {environment.name: environment for environment in stored}
    for file in sorted(names.LOCAL_STATE.glob(f"{TEST_PREFIX}*.tfstate")):
        match = STACK.fullmatch(file.name)
        if match is None:
            continue
        known = files.get(match["environment"])
        if known is None or known.api_endpoint == cloud.endpoint:
            region = known.region if known else cloud.home
            yield _read(file.stem, match["environment"], region, None, file.read_bytes(), str(file))


def _in_buckets(cloud: Cloud, places: Iterable[str]) -> Iterator[State]:
    s3 = cloud.client("s3")
    for bucket in places:
        region = s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1"
        for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", ()):
            if match := STACK.fullmatch(entry["Key"]):
                content = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                stack = entry["Key"].removesuffix(".tfstate")
                yield _read(stack, match["environment"], region, bucket, content, f"s3://{bucket}/{entry['Key']}")


def _read(stack: str, environment: str, region: str, bucket: str | None, content: bytes, where: str) -> State:
    try:
        # Terraform makes the file before it has anything to write into it.
        resources: list[dict[str, Any]] = json.loads(content)["resources"] if content else []
        managed = [it for resource in resources if resource["mode"] == "managed" for it in resource["instances"]]
        attributes = [it.get("attributes", {}) for it in managed]
        tags = tuple(it["tags_all"] for it in attributes if it.get("tags_all"))
        ids = frozenset(it["id"] for it in attributes if "id" in it)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HoldfastError(
            f"{where}: found no valid Terraform state ({error!r}); take back an older version of it, or move it away: "
            "what it recorded is then found by its tags"
        ) from None
    return State(environment, stack, region, bucket, len(managed), tags, ids)


def forget(cloud: Cloud, environment: str) -> None:
    """The files of an environment whose resources are all gone; a bucket of states is removed as all buckets are."""
    if cloud.endpoint is None:
        return
    for file in names.LOCAL_STATE.glob(f"{environment}-*.tfstate*"):
        match = STACK.match(file.name)
        if match and match["environment"] == environment:
            file.unlink()
