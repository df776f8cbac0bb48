"""The users of Redis: one for each application, and one for each purpose of our own. What each may do is in
`templates/users.acl`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from holdfast.topology.spec import Environment, Role


@dataclass(frozen=True)
class User:
    """`known_by`: machines with one of these roles check its password, for which they read its hash. Those with data
    check everybody's. `said_by`: of those, the ones that log in as it, and read the password itself."""

    name: str
    purpose: str
    known_by: frozenset[Role]
    said_by: frozenset[Role] = frozenset()
    outside: bool = False
    """Whether somebody who is no machine of ours has its password: that one needs time to take a new one."""


OWN = (
    User("admin", "people who administer Redis", frozenset({Role.DATA}), outside=True),
    User("metrics", "monitoring, and HAProxy's statistics", frozenset({Role.DATA, Role.GATEWAY}), outside=True),
    User("backup", "copies of the data set", frozenset({Role.DATA}), outside=True),
    User("replication", "replicas, at their leader", frozenset({Role.DATA}), frozenset({Role.DATA})),
    User(
        "sentinel",
        "Sentinels, at Redis and at each other",
        frozenset({Role.DATA, Role.SENTINEL}),
        frozenset({Role.SENTINEL}),
    ),
    User("node", "the node program, at Redis and at Sentinels", frozenset(Role), frozenset(Role)),
)
"""Those that every environment has."""

RENEW = "renew"
"""The user with which the node program changes passwords at its own Redis. Each machine makes its password at boot: it
is no secret of the cloud, and so is not in `OWN`."""


def of(environment: Environment) -> tuple[User, ...]:
    """All users of an environment, its applications first."""
    purpose, known_by = "an application, at Redis and at Sentinels", frozenset({Role.DATA, Role.SENTINEL})
    return (*(User(name, purpose, known_by, outside=True) for name in environment.applications), *OWN)


def known_to(environment: Environment, roles: Collection[Role]) -> tuple[str, ...]:
    """The users whose passwords a machine with these roles checks: it reads their hashes."""
    return tuple(user.name for user in of(environment) if user.known_by & set(roles))


def said_by(environment: Environment, roles: Collection[Role]) -> tuple[str, ...]:
    """The users as whom a machine with these roles logs in: it reads their passwords."""
    return tuple(user.name for user in of(environment) if user.said_by & set(roles))
