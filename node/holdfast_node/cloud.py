"""The few calls that a node makes to the cloud, with its instance role: volume, routes, secrets, record, report."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address
from typing import Any, TypeVar
from xml.etree.ElementTree import Element

from holdfast_node import aws
from holdfast_node.generation import Generation, began
from holdfast_node.identity import Identity
from holdfast_node.log import say

BOOTSTRAP_KEY = "bootstrap/leader.json"

MEMBERS_KEY, USERS_KEY = "members.json", "users.json"

HOLDERS_KEY = "holders.json"

GENERATION_KEY = "restore/generation.json"

ORDER_KEY, RENEWAL_KEY, BACKUP_KEY = "orders/failover.json", "orders/secrets.json", "orders/backup.json"
RESTORE_KEY = "restore/order.json"
ORDER_COUNTS = 30.0
"""Seconds after which nobody waits for an order any more."""

DATA_DEVICE = "/dev/sdf"
"""The name under which the data volume is attached; on Nitro machines it shows as a disk of NVMe instead."""

RETRY = 2.0
"""Seconds between two attempts, while the API does not answer."""

USED = "AWSCURRENT"
"""Secrets Manager's label of what is in use."""

ACCEPTED = ("AWSPENDING", "AWSPREVIOUS")
"""Its labels of the passwords that may be said beside the one in use: the next one, or the last one."""

HASH_TAG = "holdfast:sha256:"
"""Begins the key of the tag that has a password's hash: then comes the id of its version."""

LOST = (409, 412)
"""HTTP statuses of a conditional write that another one won, or is just winning."""


class Malformed(Exception):
    """Under a key of the bucket is something that neither a node nor a command writes there."""


@dataclass(frozen=True)
class Hash:
    """A password, as those know it who check it."""

    version: str
    """As Secrets Manager calls it."""
    sha256: str
    """64 digits of lower-case hexadecimal, as Redis takes it."""


@dataclass(frozen=True)
class Certificate:
    """`version` as of a password; `ends` in ISO 8601. PEM: the authority's, and this machine's with its key."""

    version: str
    ends: str
    authority: str
    pem: str


@dataclass(frozen=True)
class Route:
    """One that leads to a network interface, and to no address of the floating pair: no deploy makes such a one."""

    table: str
    destination: str
    interface: str
    instance: str | None
    """Whose interface it is; None where it has no machine."""

    def __str__(self) -> str:
        of = f" of {self.instance}" if self.instance else ""
        return f"{self.destination} in {self.table} leads to {self.interface}{of}"


@dataclass(frozen=True)
class Routes:
    """Of all route tables with the environment's tag, of whatever subnet."""

    elsewhere: list[tuple[str, str]]
    """Table and destination of every route to the floating pair that does not lead to this machine."""
    foreign: list[Route]


class Cloud:
    """The environment's bucket, secrets, volumes and routes, for one thread.

    Every call raises `aws.Refused`, or OSError where none answers; one that reads the bucket `Malformed` too.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._api = aws.Api(identity.region, identity.api_endpoint)
        self._interface: str | None = None

    def attach_data_volume(self) -> str:
        """Attach the volume that carries this node's tags to this machine, if it is free. What was found, in words.

        The machine does it, and not Terraform, which would wait for the instance before and for the attachment after.

        Raises:
            LookupError: no volume carries the tags, or several do.
        """
        wanted = {"Environment": self._identity.environment, "Node": self._identity.node, "Volume": "data"}
        filters = {f"tag:{name}": value for name, value in wanted.items()}
        parameters = dict[str, str]()
        for number, (name, value) in enumerate(filters.items(), 1):
            parameters |= {f"Filter.{number}.Name": name, f"Filter.{number}.Value.1": value}
        found = self._api.ec2("DescribeVolumes", **parameters).findall("./volumeSet/item")
        there = [volume for volume in found if volume.findtext("status") in ("available", "in-use")]
        if len(there) != 1:
            ids = ", ".join(volume.findtext("volumeId", "") for volume in there) or "none"
            raise LookupError(f"volumes with the tags {wanted}: {ids}; accepted: exactly one")
        volume, mine = there[0].findtext("volumeId", ""), aws.instance_id()
        holders = [holder.text for holder in there[0].findall("./attachmentSet/item/instanceId")]
        if not holders:
            self._api.ec2("AttachVolume", VolumeId=volume, InstanceId=mine, Device=DATA_DEVICE)
            return f"attaches {volume}"
        if mine in holders:
            return f"{volume} is being attached"
        return f"waits for {volume}, which {holders[0]} still has"

    def routes(self, pair: Sequence[str]) -> Routes:
        """Where the addresses of the floating pair lead, and what else leads to a machine.

        Raises:
            LookupError: no table has such a route.
        """
        self._interface = self._interface or aws.interface_id()
        wanted = [f"{address}/32" for address in pair]
        parameters = {"Filter.1.Name": "tag:Environment", "Filter.1.Value.1": self._identity.environment}
        tables = self._api.ec2("DescribeRouteTables", **parameters).findall("./routeTableSet/item")
        found = [
            (table.findtext("routeTableId", ""), _destination(route), route)
            for table in tables
            for route in table.findall("./routeSet/item")
        ]
        leading = [(table, to, route.findtext("networkInterfaceId")) for table, to, route in found if to in wanted]
        if not leading:
            raise LookupError(f"no route table of the environment has a route to {' or '.join(wanted)}")
        return Routes(
            elsewhere=[(table, to) for table, to, interface in leading if interface != self._interface],
            foreign=[
                Route(table, to, interface, route.findtext("instanceId"))
                for table, to, route in found
                if to not in wanted and (interface := route.findtext("networkInterfaceId"))
            ],
        )

    def lead_here(self, table: str, destination: str) -> None:
        """Have a route lead to this machine."""
        self._api.ec2(
            "ReplaceRoute",
            RouteTableId=table,
            DestinationCidrBlock=destination,
            NetworkInterfaceId=self._interface or aws.interface_id(),
        )

    def hashes(self, user: str) -> list[Hash]:
        """Of the passwords of a Redis user that count, the one in use first; none where it has no password yet.

        Raises:
            LookupError: it is to be deleted, or there is no hash of one of them.
        """
        name = self._identity.secrets[user]
        answer: dict[str, Any] = self._api.json("secretsmanager", "DescribeSecret", SecretId=name)
        if answer.get("DeletedDate"):
            raise LookupError(f"{name} is scheduled for deletion; accepted: a secret that stays")
        stages = (answer.get("VersionIdsToStages") or {}).items()
        labelled = {label: version for version, labels in stages for label in labels}
        if USED not in labelled:
            return []
        tags = {tag["Key"]: tag["Value"] for tag in answer.get("Tags") or []}
        versions = dict.fromkeys(labelled[label] for label in (USED, *ACCEPTED) if label in labelled)
        return [Hash(version, self._hash(name, tags, version)) for version in versions]

    def password(self, user: str, version: str) -> str | None:
        """That version of the password of a Redis user, or None where it is gone."""
        found = self._secret(self._identity.secrets[user], VersionId=version)
        return found[1]["password"] if found else None

    def certificate(self) -> Certificate | None:
        """This machine's certificate, or None where there is none yet."""
        found = self._secret(str(self._identity.certificate), VersionStage=USED)
        if found is None:
            return None
        version, content = found
        return Certificate(version, content["ends"], content["ca"], content["certificate"] + content["key"])

    def _hash(self, name: str, tags: Mapping[str, str], version: str) -> str:
        found = tags.get(key := HASH_TAG + version)
        # It becomes a part of a line of rules.
        if found is None or not re.fullmatch("[0-9a-f]{64}", found):
            has = "no tag" if found is None else f"{found!r} in the tag"
            raise LookupError(
                f"{name} has {has} {key}; accepted: the SHA-256 of that version's password, which the next deploy or "
                f"`holdfast secrets ensure {self._identity.environment}` writes"
            )
        return found

    def _secret(self, name: str, **which: str) -> tuple[str, dict[str, str]] | None:
        """Version and content of what has this VersionStage or VersionId, or None where nothing has."""
        try:
            answer = self._api.json("secretsmanager", "GetSecretValue", SecretId=name, **which)
        except aws.Refused as refused:
            if refused.code == "ResourceNotFoundException":
                return None
            raise
        return str(answer["VersionId"]), json.loads(str(answer["SecretString"]))

    def bootstrap_record(self) -> dict[str, str] | None:
        """The record of who began this cluster, or None where nobody has yet."""
        return self._texts(BOOTSTRAP_KEY, "leader", "token")

    def claim_bootstrap(self, record: dict[str, str]) -> bool:
        """Write the record unless there is one: exactly one node ever gets True."""
        body, only_if_none = json.dumps(record).encode(), {"if-none-match": "*"}
        try:
            self._api.s3("PUT", self._identity.bucket, BOOTSTRAP_KEY, body, only_if_none)
        except aws.Refused as refused:
            if refused.status in LOST:
                return False
            raise
        return True

    def order(self) -> dict[str, str] | None:
        """A failover that an operator ordered, if it still counts: {"id": …, "from": …, "to": …}."""
        return self._fresh(ORDER_KEY, "id", "from")

    def renewal(self) -> dict[str, str] | None:
        """Who shall fetch what anew, if that still counts: {"id": …, "node": …, "what": …}; see node/README.md."""
        return self._fresh(RENEWAL_KEY, "id", "node")

    def backup_order(self) -> dict[str, str] | None:
        """Whether somebody ordered a backup, if that still counts: {"id": …}."""
        return self._fresh(BACKUP_KEY)

    def restore_order(self) -> dict[str, str] | None:
        """Whether somebody restores just now: {"id": …, "node": …, "from": …}; see node/README.md."""
        return self._fresh(RESTORE_KEY, "id", "node")

    def generation(self) -> tuple[Generation | None, float]:
        """Of which generation all data has to be, and for how many seconds; None where nothing was ever restored."""
        found = self._texts(GENERATION_KEY, "id", "node")
        if found is None:
            return None, 0.0
        # They become names of folders.
        for field, value, ok in (
            ("id", found["id"], began(found["id"]) is not None),
            ("undo", found.get("undo"), began(found.get("undo") or "") is not None),
            ("backup", found.get("backup"), bool(re.fullmatch("[0-9a-f]{64}", found.get("backup") or ""))),
            ("bytes", found.get("bytes"), bool(re.fullmatch("[0-9]{1,18}", found.get("bytes") or ""))),
        ):
            if value is not None and not ok:
                raise Malformed(f"{GENERATION_KEY}: {field}: found {_shown(value)}; accepted: what a restore writes")
        size = int(found.get("bytes") or 0) or None
        wanted = Generation(found["id"], found["node"], found.get("backup"), found.get("undo"), size)
        return wanted, self._age()

    def generation_of_leader(self) -> str | None:
        """In which generation the last leader was, by its own word."""
        found = (self._read(HOLDERS_KEY) or {}).get("generation")
        return found if isinstance(found, str) else None

    def report(self, node: str) -> tuple[dict[str, Any], float] | None:
        """What a node has last reported, whatever that is, and how many seconds ago; None where it never has."""
        content = self._read(f"reports/{node}.json")
        return None if content is None else (content, self._age())

    def _fresh(self, key: str, *required: str) -> dict[str, str] | None:
        """An order, if it is young enough."""
        content = self._texts(key, *required)
        if content is None or self._age() > ORDER_COUNTS:
            return None
        if not re.fullmatch("[A-Za-z0-9-]{1,64}", content["id"]):
            # It comes back in the report, which operators would not read.
            found = _shown(content["id"])
            raise Malformed(f"{key}: id: found {found}; accepted: letters, digits and hyphens, 64 at most")
        return content

    def _age(self) -> float:
        """Of the object that was read last, by S3's own clock, which has whole seconds."""
        now, written = (parsedate_to_datetime(self._api.headers[name]) for name in ("date", "last-modified"))
        return (now - written).total_seconds()

    def members(self) -> dict[str, str]:
        """Node → address, of all nodes that there are, as the last deploy wrote them; empty where none has yet."""
        members = self._texts(MEMBERS_KEY) or {}
        _require_addresses(MEMBERS_KEY, members.values())
        return members

    def users(self) -> dict[str, str] | None:
        """User of Redis → its secret, of all users that there are, as the last deploy wrote them; None: not yet."""
        return self._texts(USERS_KEY)

    def holders(self) -> list[str]:
        """Addresses of all data nodes that have everything, by the last leader's word; empty where none has led yet."""
        addresses = (self._read(HOLDERS_KEY) or {}).get("addresses", [])
        if not isinstance(addresses, list):
            raise Malformed(f"{HOLDERS_KEY}: addresses: found {_shown(addresses)}; accepted: a list")
        _require_addresses(HOLDERS_KEY, addresses)
        return addresses

    def last_leader(self) -> str | None:
        """Address of the last one that was proven to lead, by its own word; None where none has led yet."""
        leader: str | None = (self._read(HOLDERS_KEY) or {}).get("leader")
        _require_addresses(HOLDERS_KEY, [] if leader is None else [leader])
        return leader

    def put_holders(self, addresses: list[str], generation: str) -> None:
        content = {
            "leader": self._identity.address,
            "addresses": addresses,
            "generation": generation,
            "at": time.time(),
        }
        self._api.s3("PUT", self._identity.bucket, HOLDERS_KEY, json.dumps(content).encode())

    def put_report(self, report: dict[str, Any]) -> None:
        self._api.s3("PUT", self._identity.bucket, f"reports/{self._identity.node}.json", json.dumps(report).encode())

    def _read(self, key: str) -> dict[str, Any] | None:
        """A JSON object of the bucket, or None where there is none of that key."""
        try:
            content = json.loads(self._api.s3("GET", self._identity.bucket, key))
        except aws.Refused as refused:
            if refused.code == "NoSuchKey":
                return None
            if refused.code == "TooLarge":
                raise Malformed(f"{key}: {refused}") from None
            raise
        except (ValueError, RecursionError) as error:
            raise Malformed(f"{key}: {_shown(error)}; accepted: JSON") from None
        if not isinstance(content, dict):
            raise Malformed(f"{key}: found {_shown(content)}; accepted: a JSON object")
        return content

    def _texts(self, key: str, *required: str) -> dict[str, str] | None:
        """The same of one that has these fields, and all of whose values are texts, or null where they may lack."""
        content = self._read(key)
        if content is None:
            return None
        for field in (*required, *content):
            value = content.get(field)
            if not isinstance(value, str) and (field in required or not required or value is not None):
                raise Malformed(f"{key}: {_shown(field)}: found {_shown(value)}; accepted: a text")
        return content


def _require_addresses(key: str, values: Iterable[Any]) -> None:
    for value in values:
        try:
            IPv4Address(str(value))
        except ValueError:
            raise Malformed(f"{key}: found {_shown(value)}; accepted: an IPv4 address") from None


def _shown(value: object) -> str:
    """Whatever it is, in one short line."""
    return repr(value)[:100]


def _destination(route: Element) -> str:
    kinds = ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")
    return next((text for kind in kinds if (text := route.findtext(kind))), "")


T = TypeVar("T")


def patiently(what: str, ask: Callable[[], T | None], missing: str) -> T:
    """The answer, as soon as there is one; says `missing` while there is none."""
    while True:
        try:
            found = ask()
            if found is not None:
                return found
            say(missing)
        except Exception as error:
            say(f"cannot read the {what} yet: {error}")
        time.sleep(RETRY)
