"""The users of Redis: one for each application, and one for each purpose of our own. What each may do is in
`templates/users.acl`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from holdfast.topology.spec import Environment, Role


@dataclass(frozen=True)
class User:
    """`known_by`: machines with one of these roles read its password. Those with data check everybody's."""

    name: str
    purpose: str
    known_by: frozenset[Role]
    outside: bool = False
    """Whether somebody who is no machine of ours has its password: that one needs time to take a new one."""


OWN = (
    User("admin", "people who administer Redis", frozenset({Role.DATA}), outside=True),
    User("metrics", "monitoring, and HAProxy's statistics", frozenset({Role.DATA, Role.GATEWAY}), outside=True),
    User("backup", "copies of the data set", frozenset({Role.DATA}), outside=True),
    User("replication", "replicas, at their leader", frozenset({Role.DATA})),
    User("sentinel", "Sentinels, at Redis and at each other", frozenset({Role.DATA, Role.SENTINEL})),
    User("node", "the node program, at Redis and at Sentinels", frozenset(Role)),
)
"""Those that every environment has."""


def of(environment: Environment) -> tuple[User, ...]:
    """All users of an environment, its applications first."""
    purpose, known_by = "an application, at Redis and at Sentinels", frozenset({Role.DATA, Role.SENTINEL})
    return (*(User(name, purpose, known_by, outside=True) for name in environment.applications), *OWN)


def known_to(environment: Environment, roles: Collection[Role]) -> tuple[str, ...]:
    """The users whose passwords a machine with these roles reads."""
    return tuple(user.name for user in of(environment) if user.known_by & set(roles))
