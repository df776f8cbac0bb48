"""Fetches hashes and passwords and puts them where services read them: on tmpfs, each readable by its user only.

Who only checks a password has its hash. This machine has the passwords of those users alone as whom it logs in.
A user has one password that is used, and while it changes a second one that is accepted too: see renewal.py.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from holdfast_node import certificate
from holdfast_node.aws import Refused
from holdfast_node.cloud import Cloud, Hash, patiently
from holdfast_node.files import HAPROXY, PROGRAM, REDIS, write_private
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.resp import Credentials

FOLDER = Path("/run/holdfast")
SETTINGS = Path("/etc/holdfast")
"""Where what each user may do is, from this machine's user-data."""

NAMED = "#<([a-z0-9-]+)>"
"""What stands for the hashes of a user's passwords in the user-data's ACL files."""

NODE, SENTINEL, REPLICATION = "node", "sentinel", "replication"
"""The users as whom somebody here logs in: this program, Sentinel, Redis as a replica."""

RENEW = "renew"
"""The user with which this program changes passwords at the Redis of its own machine."""

LOGIN = "node.json"
"""This program's own user and password."""

OF_RENEW = "renew-password"
"""The password of that user: no other machine has it, and nothing in the cloud."""

Hashes = Mapping[str, Sequence[Hash]]
"""User → the password that is used, then others that are accepted."""


@dataclass(frozen=True)
class Fetched:
    hashes: Hashes
    used: Mapping[str, str]
    """User → the password that is used, of those as whom this machine logs in."""


def fetch(identity: Identity, cloud: Cloud) -> Fetched:
    """Write what the roles need (users and logins of each service); tries until it has all.

    An application that was removed since this machine's user-data was made is left out: its secret never comes.
    """
    hashes, used = dict[str, Sequence[Hash]](), dict[str, str]()
    for user in _there(identity, cloud):
        hashes[user], password = _of_user(cloud, user, with_password=user in identity.logins)
        if password is not None:
            used[user] = password
    if identity.has("data"):
        own = Hash("", hashlib.sha256(_password_of_renew().encode()).hexdigest())
        _write_users("users.acl", {**hashes, RENEW: [own]})
        login_of_replicas = f"masteruser {REPLICATION}\nmasterauth {used[REPLICATION]}\n"
        write_private(FOLDER / "redis-auth.conf", login_of_replicas, REDIS)
    if identity.has("sentinel") and identity.since_6_2:
        _write_users("sentinel-users.acl", hashes)
    if identity.has("sentinel"):
        write_private(FOLDER / "sentinel-auth.conf", logins_of_sentinel(identity, used), REDIS)
    if identity.has("gateway"):
        write_private(FOLDER / "haproxy.map", haproxy_map(hashes), HAPROXY)
    write_private(FOLDER / LOGIN, json.dumps([NODE, used[NODE]]), PROGRAM)
    say("fetched the passwords that this node needs")
    return Fetched(hashes, used)


def users(acl: str, hashes: Hashes) -> str:
    """The content of Redis' ACL file: `acl` without comments, with the hashes of each user's passwords for its name.

    Users without passwords are left out.
    """

    def written(name: re.Match[str]) -> str:
        return " ".join(f"#{one.sha256}" for one in hashes[name[1]])

    lines = [line for line in acl.splitlines() if line.startswith("user ")]
    known = [line for line in lines if hashes.keys() >= set(re.findall(NAMED, line))]
    return "".join(re.sub(NAMED, written, line) + "\n" for line in known)


def haproxy_map(hashes: Hashes) -> str:
    """What HAProxy looks up: whose password has which hash, of those that its statistics accept."""
    # Its converter `hex` writes capitals.
    return "".join(f"{one.sha256.upper()} metrics\n" for one in hashes["metrics"])


def logins_of_sentinel(identity: Identity, used: Mapping[str, str]) -> str:
    """Lines of Sentinel's configuration: what it says to Redis and to the others, or from 6.2 on does not ask for."""
    user, password, name = SENTINEL, used[SENTINEL], identity.environment
    at_redis = f"sentinel auth-user {name} {user}\nsentinel auth-pass {name} {password}\n"
    if identity.since_6_2:
        return f"{at_redis}sentinel sentinel-user {user}\nsentinel sentinel-pass {password}\n"
    # One password for all that any Sentinel is told.
    return f"{at_redis}requirepass {used[NODE]}\n"


def tell_which(hashes: Hashes) -> None:
    """Note which passwords all services here know by now: see `versions`."""
    known = {user: [one.version for one in hashes[user]] for user in hashes}
    write_private(FOLDER / "versions.json", json.dumps(known), PROGRAM)


def versions() -> dict[str, list[str]]:
    """User → version of the password that is used, then of those that are accepted here. No secrets."""
    found: dict[str, list[str]] = json.loads((FOLDER / "versions.json").read_text(encoding="utf-8"))
    return found


def login() -> Credentials:
    """This program's, as it was fetched last."""
    name, password = json.loads((FOLDER / LOGIN).read_text(encoding="utf-8"))
    return Credentials(name, password, certificate.context())


def login_at_sentinels(identity: Identity) -> Credentials:
    """This program's. Before 6.2 a Sentinel knows no users, only a password: that of the one called `default`."""
    mine = login()
    return mine if identity.since_6_2 else mine._replace(user="default")


def login_of_renew() -> Credentials:
    """That of who changes passwords at the Redis here. Raises OSError where it was never written."""
    return Credentials(RENEW, (FOLDER / OF_RENEW).read_text(encoding="utf-8"))


def _there(identity: Identity, cloud: Cloud) -> list[str]:
    """The users of whom this machine needs to know, but for those that a later deploy has removed."""
    try:
        there = cloud.users()
    except (Refused, OSError) as error:
        say(f"cannot read which users there are, and takes it that all are: {error}")
        there = None
    gone = [user for user in identity.secrets if there is not None and user not in there]
    for user in gone:
        say(f"{user} is no user any more")
    return [user for user in identity.secrets if user not in gone]


def _write_users(file: str, hashes: Hashes) -> None:
    write_private(FOLDER / file, users((SETTINGS / file).read_text(encoding="utf-8"), hashes), REDIS)


def _password_of_renew() -> str:
    """Made once in a boot: a Redis that runs goes on knowing it."""
    file = FOLDER / OF_RENEW
    if not file.exists():
        # As root, who alone reads it then.
        write_private(file, token_hex(32))
    return file.read_text(encoding="utf-8")


def _of_user(cloud: Cloud, user: str, *, with_password: bool) -> tuple[list[Hash], str | None]:
    def ask() -> tuple[list[Hash], str | None] | None:
        hashes = cloud.hashes(user)
        if not hashes:
            return None
        if not with_password:
            return hashes, None
        password = cloud.password(user, hashes[0].version)
        return (hashes, password) if password else None

    return patiently(f"secret of {user}", ask, f"{user} has no password yet: `holdfast secrets ensure` makes it")
