"""The settings of Redis that are an application's business, with what Redis and Holdfast take for them.

Names, versions and defaults are those of the distributions' Redis 6.0.16, 7.0.15 and 8.0.2, by `CONFIG GET *`; ranges
are narrower where Redis takes what helps nobody. `tests/unit/test_redis_engines.py` tries them on Redis itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.topology.redis_settings.kinds import (
    OLDEST,
    UNITS,
    YES_NO,
    Buffers,
    Choice,
    Events,
    Kind,
    Percentiles,
    Size,
    Version,
    Whole,
)

KB, MB, GB = (UNITS[unit] for unit in ("kb", "mb", "gb"))


@dataclass(frozen=True)
class Setting:
    """One setting, by its name in the newest Redis that has it."""

    name: str
    kind: Kind
    redis: str
    """What Redis takes for it, as the text that redis.conf gets."""
    about: str
    """What it does, or why `ours` is what it is: one line for a person."""
    ours: str | None = None
    """What Holdfast takes instead."""
    since: Version = OLDEST
    until: Version | None = None
    """The last Redis that has it."""
    before_7_0: str | None = None
    """Its name until then."""
    while_running: bool = True
    """Whether Redis takes it by CONFIG SET, and not only at its start."""

    def name_in(self, version: Version) -> str:
        return self.before_7_0 if self.before_7_0 and version < (7, 0) else self.name

    def is_in(self, version: Version) -> bool:
        return self.since <= version and (self.until is None or version <= self.until)


def _lazy(what: str, about: str, since: Version = OLDEST) -> Setting:
    return Setting(f"lazyfree-lazy-{what}", YES_NO, "no", about, ours="yes", since=since)


def _packed(name: str, default: int, about: str, since: Version = OLDEST) -> Setting:
    """How many elements, or bytes of one, a small collection has at most that is stored without pointers."""
    old = name.replace("listpack", "ziplist") if since == OLDEST else None
    unit = "bytes" if name.endswith("value") else ""
    return Setting(name, Whole(0, 65536, unit), str(default), about, since=since, before_7_0=old)


OUTPUT, CLIENTS = "client-output-buffer-limit", "maxmemory-clients"
DATABASES, IO_THREADS = "databases", "io-threads"

FEWEST_MIB = 64
"""Of all clients' buffers: less closes sessions that do nothing wrong."""

_ALL = (
    Setting(
        "notify-keyspace-events",
        Events(),
        "",
        "changes of keys to publish, for subscribers; each node publishes its own",
    ),
    Setting(
        DATABASES,
        Whole(1, 1024),
        "16",
        "how many `SELECT` knows; see above",
        while_running=False,
    ),
    # Memory of small collections.
    _packed("hash-max-listpack-entries", 512, "most fields of a compact hash: more save memory and cost time"),
    _packed("hash-max-listpack-value", 64, "longest of them"),
    Setting("set-max-intset-entries", Whole(0, 65536), "512", "most members of a compact set of numbers"),
    _packed("set-max-listpack-entries", 128, "most members of a compact set", since=(8, 0)),
    _packed("set-max-listpack-value", 64, "longest of them", since=(8, 0)),
    _packed("zset-max-listpack-entries", 128, "most members of a compact sorted set"),
    _packed("zset-max-listpack-value", 64, "longest of them"),
    Setting(
        "list-max-listpack-size",
        Whole(-5, 32767),
        "-2",
        "most elements of a list's node; -1 to -5: 4, 8, 16, 32 or 64 KB",
        before_7_0="list-max-ziplist-size",
    ),
    Setting(
        "list-compress-depth",
        Whole(0, 1000),
        "0",
        "nodes at each end of a list to leave uncompressed; 0: compress nothing",
    ),
    Setting("hll-sparse-max-bytes", Whole(0, 16000, "bytes"), "3000", "largest compact HyperLogLog"),
    Setting("stream-node-max-bytes", Size(0, MB), "4kb", "size of a stream's node; 0: no limit"),
    Setting("stream-node-max-entries", Whole(0, 65536), "100", "entries of a stream's node; 0: no limit"),
    Setting("activerehashing", YES_NO, "yes", "resize tables of keys in idle time too"),
    # Eviction and expiry.
    Setting(
        "maxmemory-samples", Whole(1, 64), "5", "keys to choose from for each eviction: more are exacter and slower"
    ),
    Setting(
        "maxmemory-eviction-tenacity",
        Whole(0, 100),
        "10",
        "time for evictions before a command: 0 none, 100 until there is room",
        since=(7, 0),
    ),
    Setting("lfu-log-factor", Whole(0, 255), "10", "the higher, the slower a key's count of uses grows"),
    Setting("lfu-decay-time", Whole(0, 1440, "minutes"), "1", "until a use counts less; 0: never"),
    Setting("active-expire-effort", Whole(1, 10), "1", "effort to find expired keys before anybody asks for them"),
    # Freeing of memory.
    _lazy("user-del", "a `DEL` of a large key holds nobody up: another thread frees it"),
    _lazy("user-flush", "the same for `FLUSHDB` and `FLUSHALL`", since=(7, 0)),
    _lazy("eviction", "the same for evicted keys"),
    _lazy("expire", "the same for expired keys"),
    _lazy("server-del", "the same for overwritten keys, as by `RENAME`"),
    # Clients.
    Setting(
        OUTPUT,
        Buffers(),
        "normal 0 0 0 pubsub 32mb 8mb 60",
        "a client asks and does not read: it is closed before its answers fill the memory",
        ours="normal: an eighth of `redis.memory`, at least 64mb",
    ),
    Setting(
        CLIENTS,
        Size(FEWEST_MIB * MB, 64 * GB, percent=(1, 50)),
        "0",
        "limit of all clients' buffers together: the largest are closed first, and no key is evicted for them",
        ours="an eighth of `redis.memory`, at least 128mb",
        since=(7, 0),
    ),
    Setting("client-query-buffer-limit", Size(MB, GB), "1gb", "largest command of one client"),
    Setting("proto-max-bulk-len", Size(MB, 512 * MB), "512mb", "largest argument of a command, and so largest string"),
    Setting(
        "tracking-table-max-keys",
        Whole(1000, 10_000_000),
        "1000000",
        "keys to remember for client-side caching; beyond, clients are told to drop some",
    ),
    Setting(
        "timeout",
        Whole(60, 86400, "seconds", {0: "never"}),
        "0",
        "until a silent session ends; subscribers stay. Pools keep silent sessions for hours",
    ),
    Setting(
        "tcp-keepalive",
        Whole(10, 300, "seconds"),
        "300",
        "until a silent client is probed: a vanished one is noticed in twice that time",
        ours="60",
    ),
    Setting(
        "max-new-connections-per-cycle",
        Whole(1, 1000),
        "10",
        "connections to accept before others are served again",
        since=(8, 0),
    ),
    Setting("max-new-tls-connections-per-cycle", Whole(1, 1000), "1", "the same with TLS", since=(8, 0)),
    # Scripts.
    Setting(
        "busy-reply-threshold",
        Whole(5000, 600_000, "milliseconds"),
        "5000",
        "until a script can be killed, and others get `BUSY`; `failover.detection` is mostly shorter",
        before_7_0="lua-time-limit",
    ),
    # What is slow.
    Setting(
        "slowlog-log-slower-than",
        Whole(0, 3_600_000_000, "microseconds", {-1: "none"}),
        "10000",
        "longer commands are in `SLOWLOG`",
    ),
    Setting("slowlog-max-len", Whole(0, 100_000), "128", "entries to keep: 128 are one bad second", ours="1024"),
    Setting(
        "latency-monitor-threshold",
        Whole(1, 3_600_000, "milliseconds", {0: "nothing"}),
        "0",
        "`LATENCY LATEST` shows longer delays of everybody, by forks and disks too; shorter ones cost nothing",
        ours="100",
    ),
    Setting("latency-tracking", YES_NO, "yes", "times of each command, in `INFO latencystats`", since=(7, 0)),
    Setting(
        "latency-tracking-info-percentiles",
        Percentiles(),
        "50 99 99.9",
        "percentiles to show there",
        since=(7, 0),
    ),
    Setting("acllog-max-len", Whole(128, 10_000), "128", "refused commands and logins to keep for `ACL LOG`"),
    Setting(
        "hide-user-data-from-log",
        YES_NO,
        "no",
        "keys and values stay out of the log of a crash",
        ours="yes",
        since=(8, 0),
    ),
    # Speed.
    Setting("hz", Whole(10, 100), "10", "times a second to look for expired keys and silent clients"),
    Setting("dynamic-hz", YES_NO, "yes", "more often where there are many clients"),
    Setting(
        IO_THREADS,
        Whole(1, 16),
        "1",
        "threads to read and write for clients, at most the machine's processors; worth it from four on",
        while_running=False,
    ),
    Setting(
        "io-threads-do-reads",
        YES_NO,
        "no",
        "whether they read too; without TLS only",
        until=(7, 0),
        while_running=False,
    ),
    Setting(
        "sanitize-dump-payload",
        Choice(("no", "clients")),
        "no",
        "whether to check the data of clients' `RESTORE` first",
        since=(7, 0),
    ),
)

SETTINGS = {setting.name: setting for setting in _ALL}
OLD_NAMES = {setting.before_7_0: setting.name for setting in _ALL if setting.before_7_0}
