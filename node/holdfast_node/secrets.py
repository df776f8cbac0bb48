"""Fetches the passwords at boot and puts them where services read them: on tmpfs, each readable by its user only."""

from __future__ import annotations

import json
import time
from pathlib import Path

from holdfast_node.cloud import Cloud
from holdfast_node.files import write_private
from holdfast_node.identity import Identity
from holdfast_node.log import say

FOLDER = Path("/run/holdfast")
SYSTEM_FILE = FOLDER / "system.json"
RETRY = 2.0
"""Seconds between two attempts, while the API does not answer."""

APPLICATION_RULES = "~* +@all -@admin -@dangerous +info +sort +sort_ro"
"""Everything with data, nothing with the server. INFO because clients check with it that a server is ready."""


def fetch(identity: Identity, cloud: Cloud) -> None:
    """Write system.json, and what the roles need (users.acl, redis-auth.conf; haproxy.env); tries until it has them."""
    system = _patiently(cloud, "system")
    if identity.has("data"):
        app = _patiently(cloud, "app")
        write_private(FOLDER / "users.acl", users(app, system, since_6_2=identity.since_6_2), "redis")
        login = f"masteruser {system['user']}\nmasterauth {system['password']}\n"
        write_private(FOLDER / "redis-auth.conf", login, "redis")
    if identity.has("gateway"):
        write_private(FOLDER / "haproxy.env", f"HOLDFAST_SYSTEM_PASSWORD={system['password']}\n")
    write_private(SYSTEM_FILE, json.dumps(system), "redis")
    say("fetched the passwords that this node needs")


def users(app: dict[str, str], system: dict[str, str], *, since_6_2: bool) -> str:
    """The content of Redis' ACL file."""
    every_channel = " &*" if since_6_2 else ""
    rules = APPLICATION_RULES if since_6_2 else APPLICATION_RULES.replace(" +sort_ro", "")
    return (
        "user default off\n"
        f"user {app['user']} on >{app['password']}{every_channel} {rules}\n"
        f"user {system['user']} on >{system['password']} ~*{every_channel} +@all\n"
    )


def system_user() -> tuple[str, str]:
    """Name and password of the user with which the node's own parts speak to Redis."""
    content = json.loads(SYSTEM_FILE.read_text(encoding="utf-8"))
    return content["user"], content["password"]


def _patiently(cloud: Cloud, purpose: str) -> dict[str, str]:
    while True:
        try:
            return cloud.secret(purpose)
        except Exception as error:
            say(f"cannot read the secret {purpose} yet: {error}")
            time.sleep(RETRY)
