"""S3 as the twin needs it: a bucket that wants TLS is still reached, as the twin's wire is no one else's."""

from __future__ import annotations

import json
from typing import Any

from moto.s3.models import FakeBucket, FakeDeleteMarker

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


def keep_newest(s3: Any, bucket: str, key: str) -> None:
    """What a lifecycle rule does in days, at once, where a key is written every few seconds."""
    if bucket in s3.buckets:
        keys = s3.buckets[bucket].keys
        keys.setlist(key, keys.getlist(key, [])[-1:])


def _nothing_to_dispose_of(marker: Any) -> None:
    """moto closes the files of a key's versions when the last one goes; a delete marker has none."""


FakeDeleteMarker.dispose = _nothing_to_dispose_of  # type: ignore[attr-defined]
