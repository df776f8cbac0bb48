"""The bucket of backups, as a node has it: it sees the names of what is there, and adds to it. It can do no more."""

from __future__ import annotations

from holdfast_node import aws, base
from holdfast_node.identity import Identity

TIMEOUT = 60.0
"""Seconds for a part of 16 MiB, of all of which the connection's end is told at once."""

THERE = 412
"""HTTP status of a conditional write where there is an object already."""


class Saved:
    """Every call raises `aws.Refused`, or OSError where none answers."""

    def __init__(self, identity: Identity, bucket: str) -> None:
        self._api = aws.Api(identity.region, identity.api_endpoint, TIMEOUT)
        self._bucket = bucket

    def complete(self, tier: str, since: float) -> list[float]:
        """When those were taken that have a manifest, in seconds since the epoch."""
        prefix = base.prefix(tier)
        keys = self._list(prefix, prefix + base.name_of("", since - 1))
        names = [key.removeprefix(prefix).split("/")[0] for key in keys if key.endswith(f"/{base.MANIFEST}")]
        return [at for name in names if (at := base.taken_at(name)) is not None and at >= since]

    def there(self, tier: str, name: str) -> set[str]:
        """Which parts of a base there are."""
        prefix = base.prefix(tier, name)
        return {key.removeprefix(prefix) for key in self._list(prefix, prefix)}

    def put(self, tier: str, name: str, part: str, content: bytes) -> None:
        """Add an object. One of that name stays as it is: only this node may have written it, from the same file."""
        try:
            self._api.s3("PUT", self._bucket, base.prefix(tier, name) + part, content, {"if-none-match": "*"})
        except aws.Refused as refused:
            if refused.status != THERE:
                raise

    def _list(self, prefix: str, after: str) -> list[str]:
        """The keys that begin so, and come behind `after`, in their order."""
        keys, token = list[str](), ""
        while True:
            query = {"list-type": "2", "prefix": prefix, "start-after": after}
            query |= {"continuation-token": token} if token else {}
            answer = aws.plain(self._api.s3("GET", self._bucket, "", query=query))
            keys += [key.text or "" for key in answer.findall("./Contents/Key")]
            token = answer.findtext("NextContinuationToken", "")
            if not token:
                return keys
