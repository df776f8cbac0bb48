"""How passwords change without a failed command.

Where a change has got to is written nowhere but in the labels of the secrets, so it can be interrupted anywhere and
gone on with:

1. A next password is made. Every node accepts it beside the one in use.
2. It becomes the one in use. Every node says it, and still accepts the last one.
3. Whoever else has it gets time to take the new one. Then no node accepts the last one any more.

A node accepts whatever has a label, by its hash, which is there before the label is. The nodes are told one by one,
each by an order in the environment's bucket, and each says in its report which versions all its services know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from holdfast.errors import HoldfastError
from holdfast.ops import renewal
from holdfast.ops.renewal import NotTaken
from holdfast.ops.reports import Report
from holdfast.ops.secrets.store import Store
from holdfast.ops.vault import LAST, NEXT, USED
from holdfast.rendering.features import Features
from holdfast.topology import Cluster, Node, Role, users
from holdfast.topology.users import User

Say = Callable[[str], None]


class UnknownUser(HoldfastError):
    """There is no such user, or its password cannot change."""

    exit_code = 2


class Ensured(NamedTuple):
    """The users who got a password, and those of whose passwords a hash was missing."""

    made: list[str]
    hashed: list[str]


def ensure(cluster: Cluster) -> Ensured:
    """Make a password for every user that has none, and the hashes that are missing. Harmless to repeat."""
    store = Store(cluster.environment)
    found = [store.read(user) for user in users.of(cluster.environment)]
    missing = [secret for secret in found if USED not in secret.versions]
    for secret in missing:
        store.make_first(secret)
    hashed = [secret.user.name for secret in found if store.add_hashes(secret)]
    return Ensured([secret.user.name for secret in missing], hashed)


def chosen(cluster: Cluster, asked: Collection[str]) -> tuple[User, ...]:
    """The users of that name; all whose password can change where none is asked for.

    Raises:
        UnknownUser: one of them is none, or its password cannot change.
    """
    name, known = cluster.environment.name, users.of(cluster.environment)
    unknown = sorted(set(asked) - {user.name for user in known})
    if unknown:
        accepted = ", ".join(user.name for user in known)
        raise UnknownUser(f"{name} has no user {', '.join(unknown)}; accepted: {accepted}")
    fixed = {"node"} if any(not _knows_users(node) for node in cluster.having(Role.SENTINEL)) else set[str]()
    if fixed & set(asked):
        raise UnknownUser(
            f"{name}: the password of node cannot change under a Sentinel of Redis 6.0 (ubuntu-22.04), which knows one "
            "password at a time; accepted: another user, or a newer image"
        )
    return tuple(user for user in known if (user.name in asked if asked else user.name not in fixed))


def _knows_users(node: Node) -> bool:
    return Features.of(node.machine.image).since_6_2


def rotate(cluster: Cluster, changing: Sequence[User], grace: timedelta, say: Say) -> None:
    """Give users new passwords, or go on where an earlier change was interrupted.

    Raises:
        NotTaken: the cluster is not healthy, or a node did not take a password. All clients go on as they were.
        CloudError, NoSecret: the API refused, or has no secrets of this environment.
    """
    name, store = cluster.environment.name, Store(cluster.environment)
    renewal.wait_healthy(cluster, renewal.PASSWORD)
    found = [store.read(user) for user in changing]
    unmade = [secret.user.name for secret in found if USED not in secret.versions]
    if unmade:
        raise NotTaken(f"{name}: {', '.join(unmade)} never had a password; make one: holdfast secrets ensure {name}")
    under_way = [secret.user.name for secret in found if len(secret.versions) > 1]
    if under_way:
        say(f"goes on with the change of {', '.join(under_way)}, which was interrupted")
    for secret in found:
        if secret.user.name not in under_way:
            store.make_next(secret)
    _tell(cluster, store, "accepts the new passwords beside the old ones", say)
    for secret in map(store.read, changing):
        if NEXT in secret.versions:
            store.use_next(secret)
    _tell(cluster, store, "uses the new passwords", say)
    outside = [user.name for user in changing if user.outside]
    if outside and grace:
        until = datetime.now(UTC) + grace
        say(f"{', '.join(outside)}: old and new passwords are accepted until {until:%H:%M:%S} UTC")
        time.sleep(grace.total_seconds())
    for secret in map(store.read, changing):
        if LAST in secret.versions:
            store.drop_last(secret)
    _tell(cluster, store, "accepts the new passwords only", say)
    for secret in map(store.read, changing):
        store.drop_hashes(secret)


def end_sessions(cluster: Cluster, changed: Sequence[User], say: Say) -> None:
    """End the sessions of applications and people, who log in anew; those of our own parts stay.

    Raises:
        NotTaken: a node did not.
        CloudError: the API refused.
    """
    outside = [user.name for user in changed if user.outside]
    for node in cluster.having(Role.DATA) if outside else ():
        say(f"{node.name} {renewal.end_sessions(cluster, node, outside)}")


def _tell(cluster: Cluster, store: Store, what: str, say: Say) -> None:
    """Have every node know the passwords that have a label now, one after the other."""
    environment = cluster.environment
    found = [store.read(user) for user in users.of(environment)]
    for secret in found:
        store.add_hashes(secret)
    accepted = {secret.user.name: secret.accepted for secret in found}
    for node in cluster.nodes:
        expected = {user: accepted[user] for user in users.known_to(environment, node.roles)}
        if renewal.renew(cluster, node, partial(_knows, expected), renewal.PASSWORD):
            say(f"{node.name} {what}")


def _knows(expected: Mapping[str, Sequence[str]], report: Report) -> bool:
    return report.secrets == expected
