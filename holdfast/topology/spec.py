"""The environment file as types: what a user may write, with its defaults, and what each value means."""

from __future__ import annotations

import difflib
import hashlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    PrivateAttr,
    ValidationInfo,
    WithJsonSchema,
)

from holdfast.topology import channels, redis_settings, sessions
from holdfast.topology.instances import BUILT_IN, InstanceType
from holdfast.topology.pinned_packages import Packages, baked_key
from holdfast.topology.pinned_types import Known
from holdfast.topology.ranges import is_public, within
from holdfast.topology.regions import REGIONS
from holdfast.topology.risks import Risk
from holdfast.topology.sizes import parse_mebibytes, parse_milliseconds


class Spec(BaseModel):
    """Base of every section: unknown keys are refused and a parsed value never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Role(StrEnum):
    """What a machine runs."""

    DATA = "data"
    """Redis."""
    GATEWAY = "gateway"
    """HAProxy, on a leader and a replica endpoint."""
    SENTINEL = "sentinel"


class Eviction(StrEnum):
    """What Redis does at its memory limit (Redis' own names)."""

    NOEVICTION = "noeviction"
    ALLKEYS_LRU = "allkeys-lru"
    ALLKEYS_LFU = "allkeys-lfu"
    ALLKEYS_RANDOM = "allkeys-random"
    VOLATILE_LRU = "volatile-lru"
    VOLATILE_LFU = "volatile-lfu"
    VOLATILE_RANDOM = "volatile-random"
    VOLATILE_TTL = "volatile-ttl"


class Persistence(StrEnum):
    """What is on disk: `aof` every write, `rdb` snapshots only, `none` nothing."""

    AOF = "aof"
    RDB = "rdb"
    NONE = "none"


class Durability(StrEnum):
    """What an acknowledged write has reached.

    `available`: the leader's memory. `replicated`: the leader refuses writes while no replica follows.
    `strict`: as `replicated`, and on the leader's disk before the answer.
    """

    AVAILABLE = "available"
    REPLICATED = "replicated"
    STRICT = "strict"


class Egress(StrEnum):
    """How private subnets reach the cloud's APIs: a `nat` gateway per zone, or VPC `endpoints` and no internet."""

    NAT = "nat"
    ENDPOINTS = "endpoints"


class Nat(StrEnum):
    """How many NAT gateways there are, with `egress: nat`. `zonal`: one in each zone. `one`: in the first zone alone.

    With `one`, an outage of that zone cuts the others off from the cloud's APIs too.
    """

    ZONAL = "zonal"
    ONE = "one"


class Images(StrEnum):
    """`stock`: a distribution's image, packages are installed at first boot. `baked`: everything is in the image."""

    STOCK = "stock"
    BAKED = "baked"


class Distribution(StrEnum):
    DEBIAN_12 = "debian-12"
    DEBIAN_13 = "debian-13"
    UBUNTU_22_04 = "ubuntu-22.04"
    UBUNTU_24_04 = "ubuntu-24.04"


def _known(context: Any) -> Known:
    """What `load_environment` found pinned; without it, what is built in."""
    return context if isinstance(context, Known) else Known("ENV", BUILT_IN)


def _known_instance_type(name: str, info: ValidationInfo) -> str:
    known = _known(info.context)
    if name not in known.types:
        near = " or ".join(difflib.get_close_matches(name, known.types, cutoff=0.5) or ["m7i.large"])
        raise ValueError(
            f"a known instance type, such as {near}; for one of EC2's that is not known yet: "
            f"holdfast images update {known.owner}"
        )
    return name


def _domain(name: str) -> str:
    label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    if name != NO_DOMAIN and not (re.fullmatch(rf"{label}(\.{label})+", name) and len(name) <= LONGEST_DOMAIN):
        raise ValueError(
            f"a domain such as prod.holdfast.internal, of {LONGEST_DOMAIN} letters at most, or {NO_DOMAIN}"
        )
    return name


OTHER_CLOUDS = "cn-|us-gov-|us-iso|eu-iso|eusc-"
"""What the regions of AWS' other partitions begin with."""


def _region(name: str) -> str:
    if name in REGIONS:
        return name
    if re.match(OTHER_CLOUDS, name):
        raise ValueError(
            "a region such as eu-central-1; those of China, of GovCloud and of sovereign clouds are not supported: "
            "names and addresses differ there"
        )
    near = difflib.get_close_matches(name, REGIONS, n=2) or ["eu-central-1"]
    raise ValueError(f"a region of AWS, such as {' or '.join(near)}")


def _floating(value: Any) -> Any:
    return value if value == NO_FLOATING else _network(value)


def _network(value: Any) -> IPv4Network:
    try:
        return IPv4Network(value if isinstance(value, str | IPv4Network) else repr(value))
    except ValueError as error:
        raise ValueError(f"an IPv4 network such as 10.40.0.0/16 ({error})") from None


def _detection(milliseconds: int) -> int:
    if not QUICKEST <= milliseconds <= SLOWEST:
        raise ValueError(f"a time from {QUICKEST}ms to {SLOWEST // 1000}s")
    return milliseconds


QUICKEST, QUICKEST_BEFORE_7_0, SLOWEST = 600, 2500, 30_000
"""Milliseconds without an answer, after which a leader may count as lost. A Sentinel of Redis 6 asks once a second;
and a leader that is busy for longer loses its replicas (`repl-timeout`)."""

NO_DOMAIN = NO_FLOATING = "none"
LONGEST_DOMAIN = 200
"""Letters. A name below it has 255 at most, of which a node's takes 33."""
FLOATING_RANGE = IPv4Network("100.127.0.0/16")
"""The end of the range for carriers (RFC 6598): as private as 10/8, and the last place where anybody has a network."""
FLOATING_PREFIX = 31

TAG_SIGNS = " _.:/=+-@"
"""What a tag may have beside letters and digits (Tag Editor user guide, "Tag naming limits and requirements")."""
LONGEST_TAG_KEY, LONGEST_TAG_VALUE = 127, 256
"""Characters. EC2 takes one less in a key than other services."""


def _tag_text(text: str, longest: int) -> str:
    if not 1 <= len(text) <= longest or any(not (sign.isalnum() or sign in TAG_SIGNS) for sign in text):
        raise ValueError(f"1 to {longest} letters, digits, spaces and _ . : / = + - @")
    return text


def _tag_key(key: str) -> str:
    if key.lower().startswith("aws:"):
        raise ValueError("a name that does not begin with aws:, which is AWS' own")
    return _tag_text(key, LONGEST_TAG_KEY)


def _tag_value(value: Any) -> str:
    """YAML takes 4711 for a number, and no for false."""
    if not isinstance(value, str):
        raise ValueError("text, in quotes")
    return _tag_text(value, LONGEST_TAG_VALUE)


SMALL = "small letters, digits and hyphens"

WORDS: dict[str, str] = {}
"""Pattern → what it accepts, in words."""


def _text(pattern: str, accepted: str) -> Any:
    WORDS[pattern] = accepted
    return Field(pattern=pattern)


TagKey = Annotated[str, AfterValidator(_tag_key)]
TagValue = Annotated[str, BeforeValidator(_tag_value)]
Domain = Annotated[str, AfterValidator(_domain)]
Name = Annotated[str, _text(r"^[a-z][a-z0-9-]{1,18}[a-z0-9]$", f"3 to 20 {SMALL}, the first one a letter")]
Region = Annotated[str, AfterValidator(_region), WithJsonSchema({"type": "string", "enum": list(REGIONS)})]
UserName = Annotated[str, _text(r"^[a-z][a-z0-9-]{0,30}$", f"up to 31 {SMALL}, the first one a letter")]
Pattern = Annotated[
    str,
    _text(
        r"^[A-Za-z0-9_.:*?{}\[\]!^/@+=,-]{1,200}$",
        "up to 200 letters, digits and _.:*?{}[]!^/@+=,- without spaces and quotes",
    ),
]
"""Of keys or channels, as Redis has them."""
ZoneLetter = Annotated[str, _text(r"^[a-h]$", "the letter of a zone, from a to h")]
VpcId = Annotated[str, _text(r"^vpc-([0-9a-f]{8}|[0-9a-f]{17})$", "the id of a VPC, as vpc-0a1b2c3d4e5f60718")]
SubnetId = Annotated[
    str, _text(r"^subnet-([0-9a-f]{8}|[0-9a-f]{17})$", "the id of a subnet, as subnet-0a1b2c3d4e5f60718")
]
RouteTableId = Annotated[
    str, _text(r"^rtb-([0-9a-f]{8}|[0-9a-f]{17})$", "the id of a route table, as rtb-0a1b2c3d4e5f60718")
]
Network = Annotated[IPv4Network, BeforeValidator(_network)]
Floating = Annotated[IPv4Network | Literal["none"], BeforeValidator(_floating)]
Mebibytes = Annotated[
    int,
    BeforeValidator(parse_mebibytes),
    Field(ge=16),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]+ ?([mMgG][iI]?[bB])$", "examples": ["512MB", "4GB"]}),
]
Detection = Annotated[
    int,
    BeforeValidator(parse_milliseconds),
    AfterValidator(_detection),
    WithJsonSchema(
        {"type": "string", "pattern": r"^([0-9]+|[0-9]+\.[0-9]+) ?(ms|s)$", "examples": ["600ms", "5s"]},
    ),
]
PolicyArn = Annotated[
    str,
    _text(
        r"^arn:aws:iam::[0-9]{12}:policy/[A-Za-z0-9+=,.@/_-]+$",
        "the ARN of a managed policy, as arn:aws:iam::123456789012:policy/boundary",
    ),
]
InstanceTypeName = Annotated[str, AfterValidator(_known_instance_type)]


class SubnetSpec(Spec):
    """A subnet that is there already."""

    id: SubnetId
    cidr: Network
    """Its range, as AWS has it."""
    block: Network
    """The addresses in it that are the environment's alone."""


class VpcSpec(Spec):
    """A network that is there already, and stays when the environment goes."""

    id: VpcId
    subnets: Mapping[ZoneLetter, SubnetSpec]
    """One for each zone, by its letter."""
    route_tables: tuple[RouteTableId, ...] = ()
    """Those that get routes to the floating pair. Empty: there is no such pair."""


class NetworkSpec(Spec):
    cidr: Network
    """The whole private network, /16 to /24: it is cut into sixteen equal parts, two for each zone. With `vpc`: that
    range of the VPC in which its subnets are."""
    vpc: VpcSpec | None = None
    """An existing VPC to be in. Default: one of the environment's own."""
    egress: Egress = Egress.NAT
    nat: Nat = Nat.ZONAL
    clients: tuple[Network, ...] = ()
    """Who may use the endpoints. Empty: the network itself."""
    public: bool = False
    """Whether the endpoints have public addresses too, for those `clients` that are on the internet. Takes `tls`."""
    floating: Floating | None = None
    """The pair of addresses that moves to a gateway that lives: a /31 outside of `cidr`. Default: derived from the
    name, in 100.127.0.0/16; `none`: no such pair. In a `vpc` without `route_tables` there is none."""
    domain: Domain | None = None
    """Private names of endpoints and nodes. Default: `<name>.holdfast.internal`; `none`: no names."""
    sessions_per_address: Annotated[int, Field(ge=1, le=sessions.SESSIONS)] = sessions.OF_ONE_ADDRESS
    """How many sessions one address may have at each endpoint of each gateway. Clients behind a NAT share one."""
    sentinel_clients: tuple[Network, ...] = ()
    """Who may ask the Sentinels, and reach Redis past the gateways. Empty: nobody."""
    peered: tuple[Network, ...] = ()
    """Other networks this one is or will be connected to: it must not overlap them."""

    @property
    def public_clients(self) -> tuple[IPv4Network, ...]:
        """Those `clients` that come to the public addresses; empty where there are none."""
        inside = (self.cidr, *self.peered)
        return tuple(cidr for cidr in self.clients if self.public and is_public(cidr) and not within(cidr, inside))


class CompactLayout(Spec):
    """Every node runs Redis, a Sentinel and HAProxy."""

    kind: Literal["compact"] = "compact"
    nodes: Literal[3, 5] = 3

    def counts(self) -> dict[Role, int]:
        """How many machines have each role."""
        return dict.fromkeys(Role, self.nodes)


class SingleLayout(Spec):
    """One node, with the endpoints that it keeps when it becomes the first of a `compact` layout."""

    kind: Literal["single"]

    def counts(self) -> dict[Role, int]:
        """How many machines have each role."""
        return dict.fromkeys(Role, 1)


class TieredLayout(Spec):
    """Data nodes, gateways and Sentinels, each on machines of its own or together: as `machines` says."""

    kind: Literal["tiered"]
    data: Annotated[int, Field(ge=2, le=5)] = 3
    gateways: Annotated[int, Field(ge=2, le=5)] = 2
    sentinels: Literal[3, 5] = 3

    def counts(self) -> dict[Role, int]:
        """How many machines have each role."""
        return {Role.DATA: self.data, Role.GATEWAY: self.gateways, Role.SENTINEL: self.sentinels}


Layout = CompactLayout | SingleLayout | TieredLayout
LAYOUTS: dict[str, type[Spec]] = {"compact": CompactLayout, "single": SingleLayout, "tiered": TieredLayout}
LAYOUTS_TO_COME = ("cluster", "sharded")


class MachineSpec(Spec):
    type: InstanceTypeName
    image: Distribution = Distribution.DEBIAN_12
    data_volume_gib: Annotated[int, Field(ge=1, le=16384)] | None = None
    """Size of the data volume. Default: four times the Redis memory (append-only file, its rewrite, a snapshot)."""

    _types: Mapping[str, InstanceType] = PrivateAttr(default_factory=lambda: BUILT_IN)
    """Those that its environment may name."""
    _packages: Mapping[str, Packages] = PrivateAttr(default_factory=dict)
    """What is pinned for its environment, by `packages_key`."""

    def model_post_init(self, context: Any) -> None:
        known = _known(context)
        self._types, self._packages = known.types, known.packages

    @property
    def instance(self) -> InstanceType:
        """The facts of its type: the one place to read them from."""
        return self._types[self.type]

    @property
    def packages_key(self) -> str:
        """Under which its packages are pinned: `debian-12/amd64`."""
        return f"{self.image}/{self.instance.arch}"

    @property
    def packages(self) -> Packages | None:
        """What a stock image gets at first boot; None: the newest, nothing is pinned."""
        return self._packages.get(self.packages_key)

    @property
    def baked_packages(self) -> Packages | None:
        """What the pinned baked image has; None: nobody wrote it down."""
        return self._packages.get(baked_key(self.image, self.instance.arch))


MachineKey = Literal[
    "node",
    "data",
    "gateway",
    "sentinel",
    "data+gateway",
    "data+sentinel",
    "gateway+sentinel",
    "data+gateway+sentinel",
]
"""`node` in the layouts `compact` and `single`. In `tiered`, the roles that share a machine."""


class RedisSpec(Spec):
    memory: Mebibytes
    """`maxmemory`, as `512MB` or `4GB` (binary units, as in redis.conf)."""
    eviction: Eviction = Eviction.NOEVICTION
    persistence: Persistence = Persistence.AOF
    durability: Durability | None = None
    """Default: `replicated`; `available` with fewer than three data nodes, where the loss of one would stop writes."""
    settings: Annotated[Mapping[str, str], redis_settings.Checked()] = {}
    """Settings of Redis by their own names, as `notify-keyspace-events: Ex`, alike on every node."""


class FailoverSpec(Spec):
    detection: Detection | None = None
    """For how long a leader may not answer until it counts as lost, as `600ms` or `5s`: 100 ms more than its longest
    command takes, and the first part of every outage. Default: `600ms`, more from 8 GiB of memory on."""


class CommandGroup(StrEnum):
    """Redis' own groups of commands, but for those with which one administers a server."""

    ALL = "all"
    READ = "read"
    WRITE = "write"
    KEYSPACE = "keyspace"
    STRING = "string"
    HASH = "hash"
    LIST = "list"
    SET = "set"
    SORTEDSET = "sortedset"
    STREAM = "stream"
    BITMAP = "bitmap"
    HYPERLOGLOG = "hyperloglog"
    GEO = "geo"
    PUBSUB = "pubsub"
    SCRIPTING = "scripting"
    TRANSACTION = "transaction"
    BLOCKING = "blocking"


class Preset(StrEnum):
    """Single commands beyond `commands`, named by why frameworks call them. `presets.py` has what each one gives."""

    LIST_KEYS = "list-keys"
    FLUSH_DATABASE = "flush-database"
    LIST_CLIENTS = "list-clients"
    NO_EVICT = "no-evict"


class ApplicationSpec(Spec):
    """A user of Redis for an application. By default: all keys, and every command but those that administer, and those
    that could change what another application runs."""

    keys: tuple[Pattern, ...] = ("*",)
    """Patterns of the keys that it may use, as `orders:*`."""
    channels: tuple[Pattern, ...] = (channels.ALL,)
    """Patterns of the channels on which it may publish, and to which it may subscribe. `*`: all but those that begin
    with `__s`, where Sentinels greet each other; and any pattern to subscribe to. With Redis 6.0 it publishes nothing.
    """
    commands: tuple[CommandGroup, ...] = (CommandGroup.ALL,)
    """Groups of commands that it may use."""
    presets: tuple[Preset, ...] = ()
    """Single commands that some frameworks call, and that no group has: `list-keys` is KEYS, `flush-database` FLUSHDB,
    `list-clients` CLIENT LIST, `no-evict` CLIENT NO-EVICT. docs/clients.md says which framework needs which."""
    functions: bool | None = None
    """Whether it may load, delete and restore functions, and kill or flush scripts and functions, those of others too.
    Default: whether it is the only application."""


class KeepSpec(Spec):
    """How long backups are kept. The first one of a month is a monthly one, else the first of a week a weekly one."""

    daily: Annotated[int, Field(ge=1, le=35)] = 7
    """Days."""
    weekly: Annotated[int, Field(ge=0, le=52)] = 5
    """Weeks; `0`: none is kept as a weekly one."""
    monthly: Annotated[int, Field(ge=0, le=120)] = 12
    """Months, of 31 days; `0`: none is kept as a monthly one."""

    @property
    def days(self) -> dict[str, int]:
        """Tier → days, of those in which any is kept."""
        days = {"daily": self.daily, "weekly": 7 * self.weekly, "monthly": 31 * self.monthly}
        return {tier: kept for tier, kept in days.items() if kept}


def _at(value: Any) -> str:
    """YAML takes a bare 13:00 for 780."""
    if not (isinstance(value, str) and re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", value)):
        raise ValueError('a time of the day in UTC, in quotes, as "03:00"')
    return value


class BackupSpec(Spec):
    """Copies of all data, in a bucket that outlives the environment."""

    every: Literal["1h", "2h", "3h", "4h", "6h", "8h", "12h", "24h"] = "24h"
    """The interval between two."""
    at: Annotated[str, BeforeValidator(_at)] = "03:00"
    """The time of one of them, in UTC."""
    keep: KeepSpec = KeepSpec()

    @property
    def interval(self) -> int:
        """Seconds."""
        return 3600 * int(self.every.removesuffix("h"))

    @property
    def anchor(self) -> int:
        """`at`, in seconds after midnight."""
        hours, minutes = self.at.split(":")
        return 3600 * int(hours) + 60 * int(minutes)


def _backup(value: Any) -> Any:
    """`off` is none; YAML takes it for false."""
    return None if value is False or value == "off" else value


class TlsMode(StrEnum):
    """What is encrypted. `off`: nothing. `optional`: everything, but for clients that come to the plaintext port of the
    endpoints. `required`: everything, and there is no such port."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


IN_PLAINTEXT = "passwords and data are readable for whoever can read the network"
"""What `off` means, for whoever reads it in a sentence."""


def _tls_mode(value: Any) -> Any:
    """YAML takes a bare `off` for false."""
    return TlsMode.OFF if value is False else value


def _tls(value: Any) -> Any:
    """`required` is short for `{mode: required}`."""
    return value if isinstance(value, dict | TlsSpec) else {"mode": value}


class TlsSpec(Spec):
    """Certificates come from a private authority of the environment: `holdfast certs`."""

    mode: Annotated[TlsMode, BeforeValidator(_tls_mode)]
    mutual: bool = False
    """Whether clients need a certificate too. Takes `required`: a plaintext port would be a way around it."""

    @property
    def on(self) -> bool:
        return self.mode is not TlsMode.OFF


def _account(value: Any) -> Any:
    """YAML takes bare digits for a number, and loses the zeros that it begins with."""
    if not (isinstance(value, str) and re.fullmatch("[0-9]{12}", value)):
        raise ValueError('an account\'s id, as "123456789012": 12 digits, in quotes')
    return value


def _default_tls(validated: Mapping[str, Any]) -> TlsSpec:
    """Where the file does not say it. `single` has nobody to speak to but its clients, and is for what matters less."""
    single = isinstance(validated.get("layout"), SingleLayout)
    return TlsSpec(mode=TlsMode.OFF if single else TlsMode.REQUIRED)


class CloudSpec(Spec):
    account: Annotated[str, BeforeValidator(_account), WithJsonSchema({"type": "string", "pattern": "^[0-9]{12}$"})] | (
        None
    ) = None
    """The AWS account in which it is. With credentials of another one nothing is made or changed, and no bucket of
    another one is used. Default: whichever account the credentials are of."""
    endpoint: HttpUrl | None = None
    """The cloud's API as operators reach it; unset means AWS itself. The twin: http://127.0.0.1:5599"""
    node_endpoint: HttpUrl | None = None
    """The same API as the machines reach it. Default: `endpoint`."""
    permissions_boundary: PolicyArn | None = None
    """The ARN of the managed policy that bounds every role which the stacks make: `holdfast policies` writes one.
    Without it, whoever may deploy can give a machine any permission. Default: none."""
    suffix: Annotated[str, _text(r"^[a-z0-9]{1,12}$", "up to 12 small letters and digits")] | None = None
    """Ends the buckets' names, which must be unique in the world: `holdfast bootstrap` writes it. Default: derived from
    name and region, as of environments that were there before."""


FORK_MS_PER_GIB = 25
"""What a fork (a snapshot, a rewrite, a full resync) stops a leader for, with as much again to spare: 10 to 13 ms for
each GiB of its memory were measured."""

REPLICATING = 3
"""Data nodes of which any one can be lost, and the leader still has a replica."""


class OverrideSpec(Spec):
    """A finding of `holdfast review` that was looked at, and may happen once."""

    rule: Risk
    reason: Annotated[str, Field(min_length=1)]
    expires: date
    """The last day on which it counts, as 2026-12-31."""


class ReviewSpec(Spec):
    overrides: tuple[OverrideSpec, ...] = ()
    """Findings that may not stop a change for now. Remove each when its change is deployed."""


TEST_PREFIX = "test-"
"""Begins the names of test stacks, and of nothing else: what does not begin so is never reaped."""

LABEL = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"
"""Who or what, as it fits into a tag."""

Label = Annotated[str, _text(LABEL, "up to 64 letters, digits and ._@-, the first one a letter or a digit")]


class TeststackSpec(Spec):
    """What makes an environment one that goes away: written by `holdfast teststack up`, once, and by nobody else."""

    source: Name
    """The environment that it is like: its image pins apply."""
    owner: Label
    run: Label
    expires: AwareDatetime
    """From when on it may be reaped, as 2026-12-31T16:00:00Z."""

    @property
    def expires_text(self) -> str:
        """The same text for ever: it is a tag of everything in the test stack."""
        return instant(self.expires)


def instant(moment: datetime) -> str:
    """A moment as tags and files have it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _layout(value: Any) -> Any:
    """`tiered` is short for `{kind: tiered}`, and `compact` is the kind where none is given."""
    if isinstance(value, dict):
        return {"kind": "compact"} | value
    return {"kind": value} if isinstance(value, str) else value


class Environment(Spec):
    """One environment: everything that `make deploy ENV=<name>` creates."""

    name: Name
    region: Region
    zones: Annotated[tuple[ZoneLetter, ...], Field(min_length=1, max_length=8)]
    network: NetworkSpec
    layout: Annotated[Layout, Field(discriminator="kind"), BeforeValidator(_layout)] = CompactLayout()
    images: Images = Images.STOCK
    machines: Mapping[MachineKey, MachineSpec]
    redis: RedisSpec
    applications: Mapping[UserName, ApplicationSpec] = {"app": ApplicationSpec()}
    """Users of Redis for applications, by name: each has a password of its own."""
    failover: FailoverSpec = FailoverSpec()
    backup: Annotated[BackupSpec | None, BeforeValidator(_backup)] = None
    """Default: `off`, no backups."""
    tls: Annotated[TlsSpec, BeforeValidator(_tls)] = Field(default_factory=_default_tls)
    """Default: `required`; `off` in the layout `single`."""
    cloud: CloudSpec = CloudSpec()
    tags: Mapping[TagKey, TagValue] = {}
    """Tags of your own, as `CostCentre: "4711"`, on everything in the cloud that has tags."""
    review: ReviewSpec = ReviewSpec()
    teststack: TeststackSpec | None = None
    """Only of test stacks: `holdfast teststack up` writes it."""
    protected: bool = True
    """Termination protection, and no destruction of data with the stacks."""

    @property
    def says_tls(self) -> bool:
        """Whether the file itself has `tls`, and not its default."""
        return "tls" in self.model_fields_set

    @property
    def durability(self) -> Durability:
        """What an acknowledged write has reached, by the file or by the layout."""
        if self.redis.durability is not None:
            return self.redis.durability
        enough = self.layout.counts()[Role.DATA] >= REPLICATING
        return Durability.REPLICATED if enough else Durability.AVAILABLE

    @property
    def quickest(self) -> int:
        """The shortest `detection` that its Sentinels are capable of. Milliseconds."""
        old = any(machine.image is Distribution.UBUNTU_22_04 for machine in self.machines.values())
        return QUICKEST_BEFORE_7_0 if old else QUICKEST

    @property
    def detection(self) -> int:
        """For how long a leader may not answer until it counts as lost. Milliseconds."""
        if self.failover.detection is not None:
            return self.failover.detection
        # Beside the fork the leader must find the time to answer.
        fork = 400 + FORK_MS_PER_GIB * self.redis.memory / 1024
        return max(self.quickest, 100 * math.ceil(fork / 100))

    @property
    def longest_command(self) -> int:
        """What a command of the leader may take: gateways close it a moment before it counts as lost. Milliseconds."""
        return self.detection - 100

    @property
    def domain(self) -> str | None:
        """Where the private names are, as `prod.holdfast.internal`; None where there are none."""
        given = self.network.domain or f"{self.name}.holdfast.internal"
        return None if given == NO_DOMAIN else given

    @property
    def floating(self) -> IPv4Network | None:
        """The floating pair's network: the leader's address, then the replicas'. None where there is none."""
        given, vpc = self.network.floating, self.network.vpc
        if isinstance(given, IPv4Network):
            return given
        if given is not None or (vpc is not None and not vpc.route_tables):
            return None
        pairs = 2 ** (FLOATING_PREFIX - FLOATING_RANGE.prefixlen)
        number = int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % pairs
        return IPv4Network((FLOATING_RANGE.network_address + 2 * number, FLOATING_PREFIX))

    @property
    def elastic_ips(self) -> int:
        """How many it takes of the region's: one for each NAT gateway, two for each gateway that is public."""
        network = self.network
        gateways = 0
        if network.egress is Egress.NAT and network.vpc is None:
            gateways = 1 if network.nat is Nat.ONE else len(self.zones)
        return gateways + (2 * self.layout.counts()[Role.GATEWAY] if network.public else 0)

    @property
    def installing(self) -> Mapping[str, MachineSpec]:
        """Whose machines install packages at first boot, one for each `packages_key`; none with baked images."""
        machines = () if self.images is Images.BAKED else self.machines.values()
        return {machine.packages_key: machine for machine in machines}

    @property
    def suffix(self) -> str:
        return self.cloud.suffix or hashlib.sha256(f"{self.name}/{self.region}".encode()).hexdigest()[:8]

    @property
    def api_endpoint(self) -> str | None:
        """URL of the cloud's API for operators, without a trailing slash; None for AWS itself."""
        return str(self.cloud.endpoint).rstrip("/") if self.cloud.endpoint else None

    @property
    def node_api_endpoint(self) -> str | None:
        """URL of the cloud's API for the machines, without a trailing slash; None for AWS itself."""
        return str(self.cloud.node_endpoint).rstrip("/") if self.cloud.node_endpoint else self.api_endpoint
