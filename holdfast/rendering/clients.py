"""Code with which an application connects to an environment, for four client libraries. Never a password."""

from __future__ import annotations

from holdfast.rendering.files import templates
from holdfast.topology import Cluster, Role, dns, ports

CLIENTS = {
    "redis-py": "clients/redis-py.py.j2",
    "ioredis": "clients/ioredis.mjs.j2",
    "lettuce": "clients/lettuce.java.j2",
    "go-redis": "clients/go-redis.go.j2",
}


def snippets(cluster: Cluster, user: str) -> dict[str, str]:
    """Client library → code of an application: through the endpoints, and Sentinel-aware."""
    environment = cluster.environment
    gateway = cluster.having(Role.GATEWAY)[0]
    allowed = ", ".join(str(cidr) for cidr in environment.network.sentinel_clients)
    values = {
        "environment": environment,
        "user": user,
        "leader": dns.name(environment, "leader") or gateway.leader_endpoint,
        "replica": dns.name(environment, "replica") or gateway.replica_endpoint,
        "port": cluster.endpoint_port,
        "tls": environment.tls.on,
        "mutual": environment.tls.mutual,
        "sentinels": [node.address for node in cluster.having(Role.SENTINEL)],
        "sentinel_port": ports.SENTINEL,
        "sentinel_access": f"Open to {allowed}." if allowed else "Closed: network.sentinel_clients names nobody.",
    }
    return {client: templates.get_template(name).render(values) for client, name in CLIENTS.items()}
