"""Fetches the passwords and puts them where services read them: on tmpfs, each readable by its user only.

A user has one password that is used, and while it changes a second one that is accepted too: see renewal.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast_node import certificate
from holdfast_node.aws import Refused
from holdfast_node.cloud import USED, Cloud, Password, patiently
from holdfast_node.files import HAPROXY, PROGRAM, REDIS, write_private
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.resp import Credentials

FOLDER = Path("/run/holdfast")
SETTINGS = Path("/etc/holdfast")
"""Where what each user may do is, from this machine's user-data."""

ACCEPTED = ("AWSPENDING", "AWSPREVIOUS")
"""Staging labels of the passwords that may be said beside the one in use: the next one, or the last one."""

NAMED = "#<([a-z0-9-]+)>"
"""What stands for the hashes of a user's passwords in the user-data's ACL files."""

NODE, SENTINEL, ADMIN = "node", "sentinel", "admin"
"""The users of whom this program needs the password itself: its own, the one that it gives to Sentinel, and the one
with which it changes passwords."""

LOGIN = "node.json"
"""This program's own user and password."""

Passwords = Mapping[str, Sequence[Password]]
"""User → the password that is used, then others that are accepted."""


def fetch(identity: Identity, cloud: Cloud) -> Passwords:
    """Write what the roles need (users and logins of each service); tries until it has all.

    An application that was removed since this machine's user-data was made is left out: its secret never comes.
    """
    found = {user: _passwords(cloud, user) for user in _there(identity, cloud)}
    used = {user: passwords[0].text for user, passwords in found.items()}
    if identity.has("data"):
        _write_users("users.acl", found)
        login_of_replicas = f"masteruser replication\nmasterauth {used['replication']}\n"
        write_private(FOLDER / "redis-auth.conf", login_of_replicas, REDIS)
    if identity.has("sentinel") and identity.since_6_2:
        _write_users("sentinel-users.acl", found)
    if identity.has("sentinel"):
        write_private(FOLDER / "sentinel-auth.conf", logins_of_sentinel(identity, used), REDIS)
    if identity.has("gateway"):
        write_private(FOLDER / "haproxy.map", haproxy_map(found), HAPROXY)
    write_private(FOLDER / LOGIN, json.dumps([NODE, used[NODE]]), PROGRAM)
    say("fetched the passwords that this node needs")
    return found


def users(acl: str, passwords: Passwords) -> str:
    """The content of Redis' ACL file: `acl` without comments, with the hashes of each user's passwords for its name.

    Users without passwords are left out.
    """

    def hashes(name: re.Match[str]) -> str:
        return " ".join(f"#{_hash(password.text)}" for password in passwords[name[1]])

    lines = [line for line in acl.splitlines() if line.startswith("user ")]
    known = [line for line in lines if passwords.keys() >= set(re.findall(NAMED, line))]
    return "".join(re.sub(NAMED, hashes, line) + "\n" for line in known)


def haproxy_map(passwords: Passwords) -> str:
    """What HAProxy looks up: which logins its statistics accept."""
    logins = [base64.b64encode(f"metrics:{it.text}".encode()).decode() for it in passwords["metrics"]]
    return "".join(f"{login} metrics\n" for login in logins)


def logins_of_sentinel(identity: Identity, used: Mapping[str, str]) -> str:
    """Lines of Sentinel's configuration: what it says to Redis and to the others, or from 6.2 on does not ask for."""
    user, password, name = SENTINEL, used[SENTINEL], identity.environment
    at_redis = f"sentinel auth-user {name} {user}\nsentinel auth-pass {name} {password}\n"
    if identity.since_6_2:
        return f"{at_redis}sentinel sentinel-user {user}\nsentinel sentinel-pass {password}\n"
    # One password for all that any Sentinel is told.
    return f"{at_redis}requirepass {used[NODE]}\n"


def tell_which(passwords: Passwords) -> None:
    """Note which passwords all services here know by now: see `versions`."""
    known = {user: [password.version for password in passwords[user]] for user in passwords}
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


def _write_users(file: str, passwords: Passwords) -> None:
    write_private(FOLDER / file, users((SETTINGS / file).read_text(encoding="utf-8"), passwords), REDIS)


def _hash(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _passwords(cloud: Cloud, user: str) -> list[Password]:
    def ask() -> list[Password] | None:
        used = cloud.password(user, USED)
        others = [cloud.password(user, label) for label in ACCEPTED] if used else []
        return [used, *(other for other in others if other and other != used)] if used else None

    return patiently(f"secret of {user}", ask, f"{user} has no password yet: `holdfast secrets ensure` makes it")
