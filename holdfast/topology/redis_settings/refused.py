"""Settings of Redis that are not an application's business: what they would break, and what there is instead."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fnmatch import fnmatchcase

from holdfast.topology.redis_settings.registry import OLD_NAMES, SETTINGS

NOTHING = "nothing; it cannot be changed"
LISTED = 'one of those that docs/environment.md lists under "Settings of Redis"'
NOT_THEIRS = "one that is not an application's"


@dataclass(frozen=True)
class Refusal:
    """`names`: names or patterns of settings; `why`: a sentence about any of them; `instead`: what to do."""

    names: str
    why: str
    instead: str = NOTHING


REFUSED = (
    Refusal("maxmemory", "machines are checked against it", "redis.memory"),
    Refusal("maxmemory-policy", "the file has a key for it", "redis.eviction"),
    Refusal("appendonly save", "it decides what is on disk", "redis.persistence"),
    Refusal("appendfsync", "it decides what an acknowledged write has reached", "redis.durability"),
    Refusal(
        "min-replicas-* min-slaves-*",
        "by it a leader that is cut off stops taking writes",
        "redis.durability",
    ),
    Refusal(
        "appenddirname appendfilename dbfilename dir aof-* auto-aof-* no-appendfsync-on-rewrite rdb-* rdbchecksum "
        "rdbcompression stop-writes-on-bgsave-error",
        "files on disk, restarts and resyncs depend on it",
        "redis.persistence for whether there are any",
    ),
    Refusal(
        "repl-* replica-* slave-* replicaof slaveof masterauth masteruser propagation-error-behavior",
        "replication and failover depend on it",
        "redis.durability and failover.detection for what they shall do",
    ),
    Refusal(
        "bind bind-source-addr port protected-mode unixsocket unixsocketperm tcp-backlog socket-mark-id",
        "gateways, Sentinels and nodes reach Redis by it",
        "network.clients and network.sentinel_clients for who may come",
    ),
    Refusal("tls-*", "certificates and clients depend on it", "tls.mode and tls.mutual"),
    Refusal(
        "requirepass aclfile user acl-pubsub-default rename-command",
        "it decides who may do what",
        "applications.NAME for the users of Redis",
    ),
    Refusal(
        "enable-protected-configs enable-debug-command enable-module-command loadmodule include gopher-enabled "
        "lua-replicate-commands",
        "it would let more run in Redis than there is",
    ),
    Refusal("maxclients", "gateways, Sentinels and nodes need their part of them", "network.sessions_per_address"),
    Refusal("cluster-*", "no layout is a Redis Cluster", "layout"),
    Refusal(
        "activedefrag active-defrag-*",
        "the distributions' Redis refuses it, as it lacks the allocator for that",
        "nothing; a deploy restarts every Redis, which defragments too",
    ),
    Refusal(
        "daemonize supervised pidfile logfile loglevel syslog-* crash-* set-proc-title proc-title-template "
        "always-show-logo shutdown-* ignore-warnings locale-collate watchdog-period key-load-delay",
        "systemd and the node program run Redis, and read its log, by it",
    ),
    Refusal(
        "oom-score-adj oom-score-adj-values disable-thp jemalloc-bg-thread *-cpulist *_cpulist",
        "Redis shares the machine with Sentinel, HAProxy and the node program by it",
    ),
)


def refusal(name: str) -> tuple[str, str]:
    """Why a name is none that `redis.settings` takes, and what would be accepted."""
    plain = name.lower()
    for refused in REFUSED:
        if any(fnmatchcase(plain, pattern) for pattern in refused.names.split()):
            return f"{NOT_THEIRS}: {refused.why}", refused.instead
    if plain in OLD_NAMES:
        return "its name of before Redis 7.0", f"{OLD_NAMES[plain]}, which Redis 6.0 gets under the old name"
    usual = plain.replace("_", "-")
    near = [usual] if usual in SETTINGS else difflib.get_close_matches(usual, SETTINGS, n=3, cutoff=0.7)
    if not near and (other := difflib.get_close_matches(usual, _others(), n=1, cutoff=0.85)):
        return refusal(other[0])
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    return f"an unknown setting{hint}", LISTED


def _others() -> list[str]:
    return [name for refused in REFUSED for name in refused.names.split() if "*" not in name] + list(OLD_NAMES)
