"""What the nodes last said of themselves: each writes a report into the environment's bucket every few seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from holdfast.ops import cloud, report_body
from holdfast.ops.report_body import Body
from holdfast.plain import plain
from holdfast.topology import Cluster, Environment, names

STALE_AFTER = 15.0
"""Seconds. A node reports every 5 s; one that missed two is not counted on."""

LARGEST = 64 * 1024
"""Bytes. A report has about 2,000, and 150 more for each application."""


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
class Killed:
    """When the kernel killed a node's Redis for want of memory. Seconds since 1970, and what it was allowed."""

    at: float
    limit_mib: int


@dataclass(frozen=True)
class Refusal:
    """What a node's Redis refused to a user within the last hour."""

    user: str
    """`?`: none that there is."""
    what: str
    """command, key, channel or auth, as Redis says."""
    name: str
    """Of the command, in capitals; the beginning of the key or the channel, as a pattern; none of a login."""
    count: int
    at: float
    """The last time, in seconds since 1970."""


@dataclass(frozen=True)
class Route:
    """One of the environment's that leads to a network interface, as no deploy made it."""

    table: str
    destination: str
    interface: str
    instance: str | None


@dataclass(frozen=True)
class Software:
    """What a node runs. `packages`: name → version, of those that serve."""

    kernel: str
    image: str | None
    packages: Mapping[str, str]


@dataclass(frozen=True)
class Backup:
    """What a node's backup process last did, or does. `turn`: whether the next backup is this node's to take."""

    turn: bool
    says: str
    done: bool | None
    """None while it is at work."""
    id: str | None
    order: str | None
    """The order that it obeyed; None where it was the schedule's turn."""


@dataclass(frozen=True)
class Preparation:
    """What a node's process last did, or does, that prepares a restore. `done`: None while it is at work."""

    order: str | None
    says: str
    done: bool | None
    backup: str | None
    """SHA-256 of what is ready."""

    @property
    def at_work(self) -> bool:
        return self.order is not None and self.done is None


@dataclass(frozen=True)
class Exchange:
    """The same of the process that brings a node into another generation, of that `id`."""

    id: str | None
    says: str
    done: bool | None
    away: float | None
    """Seconds without writes, as measured by the node that brought the data."""


@dataclass(frozen=True)
class Restore:
    """`generation`: of the node's data."""

    generation: str
    kept_until: float | None
    """Until when it keeps the data of before, in seconds since the epoch; None where it has none."""
    preparation: Preparation
    exchange: Exchange


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
    strangers: tuple[str, ...] = ()
    """`ADDRESS:PORT` of whom its own Sentinel takes for a Sentinel, a replica or the leader, and is no node."""
    forged_epoch: int | None = None
    """An epoch of its own Sentinel that no election gave; None where there is none."""
    aside: Aside | None = None
    killed: Killed | None = None
    """None where that was not within the last day."""
    refused: tuple[Refusal, ...] = ()
    """The newest ones, the last first."""
    holds_floating: bool = False
    """Whether the floating pair's addresses lead to this node."""
    routes: tuple[Route, ...] = ()
    """What it found to lead to a network interface beside the floating pair."""
    order: OrderAnswer | None = None
    """What came of the last `holdfast failover` that this node was told."""
    sessions: OrderAnswer | None = None
    """The same of the last order to end sessions."""
    secrets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """User → versions of its password that all services of this node know, the one in use first."""
    certificate: Certificate | None = None
    """None where there is no TLS."""
    program: str | None = None
    """SHA-256 of the node program."""
    software: Software | None = None
    """None where the node program is of before."""
    backup: Backup | None = None
    """None where there are no backups, or the node has no data."""
    restore: Restore | None = None
    """None where the node has no data, or its program is of before."""

    @property
    def fresh(self) -> bool:
        return self.age <= STALE_AFTER


@dataclass(frozen=True)
class Unreadable:
    """What a node wrote in place of a report. Nothing is known of the node."""

    why: str

    @property
    def says(self) -> str:
        return f"its report cannot be read: {self.why}"


class NotDeployed(cloud.CloudError):
    """The environment has no bucket: nothing was ever deployed, or all of it was removed."""


class Refused(Unreadable):
    """S3 does not give it out."""


REFUSALS = {"AccessDenied", "InvalidRequest", "InvalidObjectState"}
"""S3's words for an object whose key, its writer's own or one of KMS, the reader has not, or that was archived."""


def read(content: bytes, *, node: str, others: Mapping[str, str], age: float) -> Report | Unreadable:
    """The report under a node's key (see node/README.md).

    Args:
        node: whose key it is.
        others: address → name of all other nodes of the environment file. The node's own address is not compared: the
            file may give it another one than the last deploy did.
        age: in seconds.
    """
    try:
        body = Body.model_validate_json(content)
    except ValidationError as error:
        return Unreadable(_problem(error))
    if body.node != node:
        return Unreadable(f"node: found {body.node}; accepted: {node}")
    if body.address in others:
        return Unreadable(f"address: found {body.address}, which is that of {others[body.address]}")
    redis = body.redis
    return Report(
        node=node,
        instance_id=body.instance_id,
        age=age,
        ready=body.ready,
        decision=body.decision,
        address=body.address,
        role=redis.role if redis else "gateway" if "gateway" in body.roles else "sentinel",
        version=redis.version if redis else None,
        offset=redis.offset if redis else None,
        replicas=tuple(Replica(it.address, it.offset, it.state == "online") for it in redis.replicas) if redis else (),
        named_leader=body.sentinel.leader,
        silent_s=redis.silent_s if redis else None,
        tilt=bool(body.sentinel.tilt),
        strangers=body.sentinel.strangers,
        forged_epoch=body.sentinel.forged_epoch,
        aside=Aside(**dict(redis.aside)) if redis and redis.aside else None,
        killed=Killed(**dict(redis.killed)) if redis and redis.killed else None,
        refused=tuple(Refusal(**dict(one)) for one in redis.refused) if redis else (),
        holds_floating=bool(body.gateway and body.gateway.floating),
        routes=tuple(Route(**dict(route)) for route in body.gateway.routes) if body.gateway else (),
        order=OrderAnswer(**dict(body.order)) if body.order else None,
        sessions=OrderAnswer(**dict(body.sessions)) if body.sessions else None,
        secrets=body.secrets,
        certificate=Certificate(**dict(body.certificate)) if body.certificate else None,
        program=body.program,
        software=Software(**dict(body.software)) if body.software else None,
        backup=Backup(**dict(body.backup)) if body.backup else None,
        restore=_restore(body.restore) if body.restore else None,
    )


def _restore(body: report_body.Restore) -> Restore:
    preparation, exchange = Preparation(**dict(body.preparation)), Exchange(**dict(body.exchange))
    return Restore(body.generation, body.kept_until, preparation, exchange)


def _problem(error: ValidationError) -> str:
    """The first one: the field, what was found there, and what is accepted."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or "the whole"
    found = "nothing" if first["type"] == "missing" else repr(first["input"])
    accepted = first["msg"].removeprefix("Input should be ")
    return plain(f"{where[:60]}: found {found[:60]}; accepted: {accepted}")


def fetch(environment: Environment) -> dict[str, Report | Unreadable]:
    """The last report of every node that has ever reported, by the node whose key it is under.

    Raises:
        NotDeployed: there is no bucket.
        CloudError: the bucket cannot be read, with what to do.
    """
    s3 = cloud.client(environment, "s3")
    bucket = names.bucket(environment)
    nodes = {str(node.address): node.name for node in Cluster.of(environment).nodes}
    try:
        listing = s3.list_objects_v2(Bucket=bucket, Prefix=names.REPORTS_PREFIX)
        keys = [names.node_of_report(entry["Key"]) for entry in listing.get("Contents", ())]
        found = {node: _get(s3, bucket, node, nodes) for node in keys if node is not None}
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            raise NotDeployed(
                f"{environment.name}: there is no bucket {bucket}, so the environment is not deployed; "
                f"deploy it: make deploy ENV={environment.name}"
            ) from None
        raise cloud.explain(environment, "reading the nodes' reports", error) from None
    except BotoCoreError as error:
        raise cloud.explain(environment, "reading the nodes' reports", error) from None
    refused = [report for report in found.values() if isinstance(report, Refused)]
    if refused and len(refused) == len(found):
        raise cloud.CloudError(
            f"{environment.name}: reading the nodes' reports failed for all of them: {refused[0].why}; "
            f"it takes s3:GetObject in {bucket}, and kms:Decrypt with the key that they are encrypted with"
        )
    return {node: report for node, report in found.items() if report is not None}


def _get(s3: Any, bucket: str, node: str, nodes: Mapping[str, str]) -> Report | Unreadable | None:
    """None where there is no report any more."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=names.report_key(node))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchKey":
            return None
        # Whoever writes an object can encrypt it so that others cannot read it: that node's own loss.
        if code in REFUSALS or code.startswith("KMS."):
            return Refused(plain(str(error)))
        raise
    if answer["ContentLength"] > LARGEST:
        return Unreadable(f"found {answer['ContentLength']:,} bytes; accepted: {LARGEST:,} at most")
    said = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(said) if said else datetime.now(UTC)
    age = (now - answer["LastModified"]).total_seconds()
    others = {address: name for address, name in nodes.items() if name != node}
    return read(answer["Body"].read(LARGEST), node=node, others=others, age=max(age, 0.0))
