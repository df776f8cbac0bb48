"""The users of Redis: one for each purpose. What each may do is in `templates/users.acl`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from holdfast.topology.spec import Role


@dataclass(frozen=True)
class User:
    """`known_by`: machines with one of these roles read its password. Those with data check everybody's."""

    name: str
    purpose: str
    known_by: frozenset[Role]


USERS = (
    User("app", "applications, at Redis and at Sentinels", frozenset({Role.DATA, Role.SENTINEL})),
    User("admin", "people who administer Redis", frozenset({Role.DATA})),
    User("metrics", "monitoring, and HAProxy's statistics", frozenset({Role.DATA, Role.GATEWAY})),
    User("backup", "copies of the data set", frozenset({Role.DATA})),
    User("replication", "replicas, at their leader", frozenset({Role.DATA})),
    User("sentinel", "Sentinels, at Redis and at each other", frozenset({Role.DATA, Role.SENTINEL})),
    User("gateway", "HAProxy's checks", frozenset({Role.DATA, Role.GATEWAY})),
    User("node", "the node program, at Redis and at Sentinels", frozenset(Role)),
)


def known_to(roles: Collection[Role]) -> tuple[str, ...]:
    """The users whose passwords a machine with these roles reads."""
    return tuple(user.name for user in USERS if user.known_by & set(roles))
