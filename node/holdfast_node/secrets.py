"""Fetches the passwords at boot and puts them where services read them: on tmpfs, each readable by its user only."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

from holdfast_node.cloud import Cloud
from holdfast_node.files import write_private
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.resp import Credentials

FOLDER = Path("/run/holdfast")
SETTINGS = Path("/etc/holdfast")
"""Where what each user may do is, from this machine's user-data."""

RETRY = 2.0
"""Seconds between two attempts, while the API does not answer."""

NODE, SENTINEL = "node", "sentinel"
"""The users of whom this program needs the password itself: its own, and the one that it gives to Sentinel."""


def fetch(identity: Identity, cloud: Cloud) -> None:
    """Write what the roles need (users and logins of each service); tries until it has all."""
    passwords = {user: _patiently(cloud, user) for user in identity.secrets}
    if identity.has("data"):
        _write_users("users.acl", passwords)
        login_of_replicas = f"masteruser replication\nmasterauth {passwords['replication']}\n"
        write_private(FOLDER / "redis-auth.conf", login_of_replicas, "redis")
    if identity.has("sentinel") and identity.since_6_2:
        _write_users("sentinel-users.acl", passwords)
    if identity.has("gateway"):
        lines = [f"HOLDFAST_{user.upper()}_PASSWORD={passwords[user]}\n" for user in ("gateway", "metrics")]
        write_private(FOLDER / "haproxy.env", "".join(lines))
    for user in (NODE, SENTINEL):
        if user in passwords:
            write_private(_login_file(user), json.dumps([user, passwords[user]]), "redis")
    say("fetched the passwords that this node needs")


def users(acl: str, passwords: Mapping[str, str]) -> str:
    """The content of Redis' ACL file: `acl` without comments, with the hash of each user's password for its name."""
    lines = [line for line in acl.splitlines() if line.startswith("user ")]
    return "".join(re.sub("<([a-z]+)>", lambda name: _hash(passwords[name[1]]), line) + "\n" for line in lines)


def login(user: str) -> Credentials:
    """Name and password of one of our own users, as they were fetched."""
    name, password = json.loads(_login_file(user).read_text(encoding="utf-8"))
    return name, password


def login_at_sentinels(identity: Identity) -> Credentials:
    """This program's. Before 6.2 a Sentinel knows no users, only a password: that of the one called `default`."""
    name, password = login(NODE)
    return (name if identity.since_6_2 else "default"), password


def _write_users(file: str, passwords: Mapping[str, str]) -> None:
    write_private(FOLDER / file, users((SETTINGS / file).read_text(encoding="utf-8"), passwords), "redis")


def _login_file(user: str) -> Path:
    return FOLDER / f"{user}.json"


def _hash(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _patiently(cloud: Cloud, user: str) -> str:
    while True:
        try:
            return cloud.secret(user)["password"]
        except Exception as error:
            say(f"cannot read the secret of {user} yet: {error}")
            time.sleep(RETRY)
