"""What the nodes last said of themselves: each writes a report into the environment's bucket every few seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops import cloud
from holdfast.topology import Environment, names

STALE_AFTER = 15.0
"""Seconds. A node reports every 5 s; one that missed two is not counted on."""


@dataclass(frozen=True)
class Replica:
    """A replica as its leader sees it. `offset` in bytes of the replication stream."""

    address: str
    offset: int
    online: bool


@dataclass(frozen=True)
class OrderAnswer:
    id: str
    done: bool
    says: str


@dataclass(frozen=True)
class Aside:
    """The data set that a node kept when it gave up leading beside another leader. `file`: an RDB on the node."""

    file: str
    bytes: int
    at: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Certificate:
    """That a node's services use. `version` as Secrets Manager calls it; `ends` in ISO 8601."""

    version: str
    ends: str


@dataclass(frozen=True)
class Report:
    """One node's report. `age` in seconds, by the cloud's own clock where it tells the time."""

    node: str
    instance_id: str
    age: float
    ready: bool
    decision: str
    address: str
    role: str
    """leader, replica, waiting, down, silent; of a machine without Redis what else it is: gateway or sentinel."""
    version: str | None
    offset: int | None
    replicas: tuple[Replica, ...]
    named_leader: str | None
    """Address that the node's own Sentinel names as leader."""
    silent_s: float | None = None
    """Seconds for which its Redis has not answered; None while it does."""
    tilt: bool = False
    """Whether its own Sentinel distrusts its clock, and so misses no leader for some seconds."""
    aside: Aside | None = None
    holds_floating: bool = False
    """Whether the floating pair's addresses lead to this node."""
    order: OrderAnswer | None = None
    """What came of the last `holdfast failover` that this node was told."""
    secrets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """User → versions of its password that all services of this node know, the one in use first."""
    certificate: Certificate | None = None
    """None where there is no TLS."""

    @property
    def fresh(self) -> bool:
        return self.age <= STALE_AFTER

    @classmethod
    def parse(cls, content: dict[str, Any], age: float) -> Report:
        """From the JSON of a report (see node/README.md)."""
        redis = content["redis"] or {"role": "gateway" if "gateway" in content["roles"] else "sentinel"}
        return cls(
            node=content["node"],
            instance_id=content["instance_id"],
            age=age,
            ready=content["ready"],
            decision=content["decision"],
            address=content["address"],
            role=redis["role"],
            version=redis.get("version"),
            offset=redis.get("offset"),
            replicas=tuple(
                Replica(replica["address"], replica["offset"], replica["state"] == "online")
                for replica in redis.get("replicas") or ()
            ),
            named_leader=content["sentinel"].get("leader"),
            silent_s=redis.get("silent_s"),
            tilt=bool(content["sentinel"].get("tilt")),
            aside=Aside(**redis["aside"]) if redis.get("aside") else None,
            holds_floating=bool((content.get("gateway") or {}).get("floating")),
            order=OrderAnswer(**content["order"]) if content.get("order") else None,
            secrets=content.get("secrets", {}),
            certificate=Certificate(**content["certificate"]) if content.get("certificate") else None,
        )


def fetch(environment: Environment) -> dict[str, Report]:
    """The last report of every node that has ever reported, by node name.

    Raises:
        CloudError: the bucket cannot be read, with what to do.
    """
    s3 = cloud.client(environment, "s3")
    bucket = names.bucket(environment)
    try:
        listing = s3.list_objects_v2(Bucket=bucket, Prefix=names.REPORTS_PREFIX)
        reports = [_get(s3, bucket, entry["Key"]) for entry in listing.get("Contents", ())]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            raise cloud.CloudError(
                f"{environment.name}: there is no bucket {bucket}, so the environment is not deployed; "
                f"deploy it: cdktf deploy '{environment.name}-*'"
            ) from None
        raise cloud.explain(environment, "reading the nodes' reports", error) from None
    except BotoCoreError as error:
        raise cloud.explain(environment, "reading the nodes' reports", error) from None
    return {report.node: report for report in reports}


def _get(s3: Any, bucket: str, key: str) -> Report:
    answer = s3.get_object(Bucket=bucket, Key=key)
    said = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(said) if said else datetime.now(UTC)
    age = (now - answer["LastModified"]).total_seconds()
    return Report.parse(json.loads(answer["Body"].read()), age=max(age, 0.0))
