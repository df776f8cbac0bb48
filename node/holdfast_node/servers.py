"""Redis and Sentinel as this node sees them: connections that never block for long, and what they say, parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from holdfast_node.decision import Role, Server

try:
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    # Ubuntu 22.04 has redis-py 3.5, which tries once.
    ONCE: dict[str, Any] = {}
else:
    # Newer redis-py tries three times by itself, which would hold up a decision for seconds.
    ONCE = {"retry": Retry(NoBackoff(), 0)}  # type: ignore[no-untyped-call, unused-ignore]

NOBODY = "127.0.0.1"
"""What a Redis that waits for its role is told to follow: a closed port of its own machine (see redis.conf)."""

TIMEOUT = 0.2
"""Seconds for a connection and for an answer. Shorter than the lease, so that a silent peer cannot hold it up."""

Error = (redis.RedisError, OSError)


def is_refusal(error: BaseException) -> bool:
    """Whether nobody listens there, as opposed to somebody who does not answer."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


@dataclass(frozen=True)
class Follower:
    """A replica as its leader lists it."""

    address: str
    offset: int
    state: str
    lag: int


@dataclass(frozen=True)
class Details:
    """`INFO` of a Redis, as far as anything here depends on it."""

    server: Server
    version: str
    offset: int
    link_up: bool
    syncing: bool
    followers: tuple[Follower, ...]


def connect(address: str, port: int, credentials: tuple[str, str] | None, timeout: float = TIMEOUT) -> Any:
    user, password = credentials or (None, None)
    return redis.Redis(
        host=address,
        port=port,
        username=user,
        password=password,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        decode_responses=True,
        **ONCE,
    )


def details(connection: Any) -> Details:
    """Ask a Redis for all of it."""
    info: dict[str, Any] = {}
    for section in ("replication", "server", "persistence", "keyspace"):
        info.update(connection.info(section))
    leads = info["role"] == "master"
    leader = None if leads else info.get("master_host")
    role = Role.LEADER if leads else Role.WAITING if leader in (None, NOBODY) else Role.REPLICA
    if info.get("loading"):
        role = Role.DOWN
    return Details(
        server=Server(
            role=role,
            leader=leader if role is Role.REPLICA else None,
            has_data=any(key.startswith("db") and isinstance(value, dict) for key, value in info.items()),
        ),
        version=str(info["redis_version"]),
        offset=int(info["master_repl_offset"] if leads else info.get("slave_repl_offset", 0)),
        link_up=info.get("master_link_status") == "up",
        syncing=bool(info.get("master_sync_in_progress")),
        followers=tuple(_followers(info)),
    )


def _followers(info: dict[str, Any]) -> list[Follower]:
    found = []
    for index in range(int(info.get("connected_slaves", 0))):
        listed = info.get(f"slave{index}")
        if isinstance(listed, dict):
            found.append(
                Follower(str(listed["ip"]), int(listed["offset"]), str(listed["state"]), int(listed.get("lag", 0)))
            )
    return found


def pairs(answer: Any) -> dict[str, str]:
    """A Sentinel's flat list of names and values as a dictionary; redis-py has parsed some commands already."""
    if isinstance(answer, dict):
        return {str(key): str(value) for key, value in answer.items()}
    return dict(zip(answer[::2], answer[1::2], strict=True))
