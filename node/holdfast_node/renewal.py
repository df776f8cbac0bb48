"""New passwords for services that run: none restarts, and no session ends.

An operator's order says when (see report.py); the program that runs always may not do it, and so asks systemd to.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from holdfast_node import gateway, resp, secrets
from holdfast_node.cloud import Cloud
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.secrets import ADMIN, SENTINEL

ASKED = Path("/run/holdfast-node/renew")
"""Whenever it changes, systemd runs this (holdfast-renew.path)."""

MAP = "/run/holdfast/haproxy.map"
"""As haproxy.cfg names it, and so HAProxy knows it."""

ANSWER_TIMEOUT = 5.0
"""Seconds for one answer: of a Redis that is busy with a large command too."""


class Failed(Exception):
    """A service did not take what it was told."""


def renew(identity: Identity, cloud: Cloud) -> None:
    """Fetch what is used and accepted now, and tell it to whoever runs here; who does not reads it when it starts.

    Raises:
        Failed: somebody did not take it; nothing is reported as known then.
    """
    passwords = secrets.fetch(identity, cloud)
    used = {user: known[0].text for user, known in passwords.items()}
    try:
        if identity.has("data"):
            _tell(identity.address, identity.redis_port, (ADMIN, used[ADMIN]), partial(_tell_redis, used=used))
        if identity.has("sentinel"):
            login = secrets.login_at_sentinels(identity)
            tell = partial(_tell_sentinel, identity=identity, used=used)
            _tell(identity.address, identity.sentinel_port, login, tell)
        if identity.has("gateway"):
            _tell_haproxy(secrets.haproxy_map(passwords))
    except (OSError, resp.Refused) as error:
        raise Failed(f"a service here did not take the new passwords: {error}") from None
    secrets.tell_which(passwords)
    say("every service here has the new passwords")


def set_passwords(acl: str) -> Iterator[tuple[str, ...]]:
    """The commands that give users the passwords of an ACL file and no others, and leave what they may do as it is."""
    for line in acl.splitlines():
        _, name, *rules = line.split()
        hashes = [rule for rule in rules if rule.startswith("#")]
        if hashes:
            yield "ACL", "SETUSER", name, "resetpass", *hashes


def _tell_redis(redis: resp.Client, used: Mapping[str, str]) -> None:
    for words in set_passwords((secrets.FOLDER / "users.acl").read_text(encoding="utf-8")):
        redis.call(*words)
    redis.call("CONFIG", "SET", "masterauth", used["replication"])


def _tell_sentinel(sentinel: resp.Client, identity: Identity, used: Mapping[str, str]) -> None:
    own = used[SENTINEL]
    if not identity.since_6_2:
        sentinel.call("SENTINEL", "SET", identity.environment, "auth-pass", own)
        return
    for words in set_passwords((secrets.FOLDER / "sentinel-users.acl").read_text(encoding="utf-8")):
        sentinel.call(*words)
    # Not without need: it connects to all others anew then.
    if resp.pairs(sentinel.call("SENTINEL", "CONFIG", "GET", "sentinel-pass")) != {"sentinel-pass": own}:
        sentinel.call("SENTINEL", "SET", identity.environment, "auth-pass", own)
        sentinel.call("SENTINEL", "CONFIG", "SET", "sentinel-pass", own)


def _tell(address: str, port: int, login: resp.Credentials, tell: Callable[[resp.Client], None]) -> None:
    try:
        client = resp.Client(address, port, login, timeout=ANSWER_TIMEOUT)
    except ConnectionRefusedError:
        return
    with client:
        tell(client)


def _tell_haproxy(content: str) -> None:
    """All at once: no check falls between the old content and the new."""
    try:
        version = _ask_haproxy(f"prepare map {MAP}").rpartition(" ")[2]
    except (FileNotFoundError, ConnectionRefusedError):
        return
    said = _ask_haproxy(f"add map @{version} {MAP} <<\n{content}") + _ask_haproxy(f"commit map @{version} {MAP}")
    if said:
        raise OSError(f"HAProxy: {said}")


def _ask_haproxy(command: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_TIMEOUT)
        connection.connect(str(gateway.SOCKET))
        connection.sendall(f"{command}\n".encode())
        with connection.makefile(encoding="utf-8") as answer:
            return answer.read().strip()
