"""How many threads HAProxy and Redis have: by the vCPUs of their machine, and by who shares it.

redis.conf of 7.0, "THREADED I/O": from four cores on, fewer threads than cores, and more than eight are of little use.
With TLS only Redis 8.0 and later use them (https://github.com/redis/docs/pull/1444).
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.rendering.features import Features
from holdfast.topology import Environment, Node, Role
from holdfast.topology.redis_settings import IO_THREADS

SPARE = 1
"""vCPUs for the kernel, the Sentinel and the node program: a failover waits for them."""

WORTH = 4
"""vCPUs from which on Redis is given more than one thread."""

MOST = 8
"""Of either. Commands run on one thread of Redis, and no more are needed to feed it."""


@dataclass(frozen=True)
class Threads:
    haproxy: int
    redis: int
    """Its main thread among them."""

    @classmethod
    def of(cls, environment: Environment, node: Node) -> Threads:
        """Redis has what the file says, else half of what is free where HAProxy is beside it. HAProxy has the rest."""
        free = max(node.machine.instance.vcpus - SPARE, 1)
        asked = environment.redis.settings.get(IO_THREADS)
        redis = int(asked) if asked else _of_redis(environment, node, free)
        beside = redis if Role.DATA in node.roles else 0
        return cls(haproxy=max(min(free - beside, MOST), 1), redis=redis)


def _of_redis(environment: Environment, node: Node, free: int) -> int:
    if node.machine.instance.vcpus < WORTH or not _of_use(environment, node):
        return 1
    return min(free - free // 2 if Role.GATEWAY in node.roles else free, MOST)


def _of_use(environment: Environment, node: Node) -> bool:
    """Threads of Redis 7 wait for work by turning: what a burstable machine saves up would go into that."""
    encrypted = environment.tls.on and not Features.of(node.machine.image).since_8_0
    return not node.machine.instance.burstable and not encrypted
