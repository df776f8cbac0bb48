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
ACL = Path("/etc/holdfast/users.acl")
"""What each user may do, from this machine's user-data."""

RETRY = 2.0
"""Seconds between two attempts, while the API does not answer."""

NODE, SENTINEL = "node", "sentinel"
"""The users of whom this program needs the password itself: its own, and the one that it gives to Sentinel."""


def fetch(identity: Identity, cloud: Cloud) -> None:
    """Write what the roles need (users.acl, redis-auth.conf; haproxy.env; logins); tries until it has all."""
    passwords = {user: _patiently(cloud, user) for user in identity.secrets}
    if identity.has("data"):
        write_private(FOLDER / "users.acl", users(ACL.read_text(encoding="utf-8"), passwords), "redis")
        login_of_replicas = f"masteruser replication\nmasterauth {passwords['replication']}\n"
        write_private(FOLDER / "redis-auth.conf", login_of_replicas, "redis")
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
