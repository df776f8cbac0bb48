"""New passwords and a new certificate for services that run: no session ends, and none restarts but a Sentinel, which
takes a certificate only when it starts; and HAProxy, where there is another authority.

An operator's order says when (see report.py); the program that runs always may not do it, and so asks systemd to.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from holdfast_node import certificate, gateway, resp, secrets
from holdfast_node.cloud import Cloud
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.secrets import REPLICATION, SENTINEL

ASKED = Path("/run/holdfast-node/renew")
"""Whenever it changes, systemd runs this (holdfast-renew.path)."""

CERTIFICATE = "certificate"
"""What an order says that is for that."""

MAP = "/run/holdfast/haproxy.map"
"""As haproxy.cfg names it, and so HAProxy knows it."""

ANSWER_TIMEOUT = 5.0
"""Seconds for one answer: of a Redis that is busy with a large command too."""


RESTART_TIMEOUT = 15.0
"""Seconds for a service to stop and to start."""

NOT_RUNNING = (FileNotFoundError, ConnectionRefusedError)
"""HAProxy is not there, and reads what is new when it starts."""


class Failed(Exception):
    """A service did not take what it was told."""


def ask(order: dict[str, str]) -> None:
    """Have systemd run `renew` for it."""
    ASKED.write_text(json.dumps(order), encoding="utf-8")


def asks_for_certificate() -> bool:
    """Whether it was asked for a new certificate too: a Sentinel restarts for that, and only for that."""
    return bool(json.loads(ASKED.read_text(encoding="utf-8")).get("what") == CERTIFICATE)


def renew(identity: Identity, cloud: Cloud, *, with_certificate: bool) -> None:
    """Fetch what is used and accepted now, and tell it to whoever runs here; who does not reads it when it starts.

    Raises:
        Failed: somebody did not take it; nothing is reported as known then.
    """
    fetched = secrets.fetch(identity, cloud)
    own = certificate.fetch(identity, cloud) if with_certificate else None
    known = certificate.known()
    certified = own is not None and (known is None or known.version != own.version)
    try:
        if identity.has("data"):
            tell = partial(_tell_redis, used=fetched.used, certified=certified)
            _tell(identity.address, identity.redis_port, secrets.login_of_renew(), tell)
        if identity.has("sentinel"):
            login = secrets.login_at_sentinels(identity)
            tell = partial(_tell_sentinel, identity=identity, used=fetched.used)
            _tell(identity.address, identity.sentinel_port, login, tell)
        if identity.has("gateway"):
            _replace_map(secrets.haproxy_map(fetched.hashes))
            if own and certified and known and known.authority == certificate.digest(own.authority):
                _replace_certificate(own.pem)
            elif certified:
                # It could take another authority too while it runs; HAProxy 2.6 dies of the second one.
                _restart("holdfast-haproxy.service")
        if identity.has("sentinel") and certified:
            _restart("holdfast-sentinel.service")
    except (OSError, resp.Refused) as error:
        raise Failed(f"a service here did not take what is new: {error}") from None
    secrets.tell_which(fetched.hashes)
    if own:
        certificate.tell_which(own)
    say("every service here has what is new")


def set_passwords(acl: str) -> Iterator[tuple[str, ...]]:
    """The commands that give users the passwords of an ACL file and no others, and leave what they may do as it is."""
    for line in acl.splitlines():
        _, name, *rules = line.split()
        hashes = [rule for rule in rules if rule.startswith("#")]
        if hashes:
            yield "ACL", "SETUSER", name, "resetpass", *hashes


def _tell_redis(redis: resp.Client, used: Mapping[str, str], certified: bool) -> None:
    for words in set_passwords((secrets.FOLDER / "users.acl").read_text(encoding="utf-8")):
        redis.call(*words)
    redis.call("CONFIG", "SET", "masterauth", used[REPLICATION])
    if certified:
        # Of the same name as before, but Redis reads it anew. Its key is in it.
        redis.call("CONFIG", "SET", "tls-cert-file", certificate.FOLDER / certificate.OF_REDIS)


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
        own = login._replace(tls=certificate.context_for_own())
        client = resp.Client(address, port, own, timeout=ANSWER_TIMEOUT)
    except ConnectionRefusedError:
        return
    with client:
        tell(client)


def _replace_map(content: str) -> None:
    """All at once: no check falls between the old content and the new."""
    try:
        version = _ask_haproxy(f"prepare map {MAP}").rpartition(" ")[2]
    except NOT_RUNNING:
        return
    said = _ask_haproxy(f"add map @{version} {MAP} <<\n{content}") + _ask_haproxy(f"commit map @{version} {MAP}")
    if said:
        raise OSError(f"HAProxy: {said}")


def _restart(unit: str) -> None:
    """If it runs."""
    subprocess.run(["systemctl", "try-restart", unit], check=True, timeout=RESTART_TIMEOUT)


def _replace_certificate(pem: str) -> None:
    """For new sessions, on both sides of HAProxy."""
    file = certificate.FOLDER / certificate.OF_HAPROXY
    try:
        said = _ask_haproxy(f"set ssl cert {file} <<\n{pem}")
    except NOT_RUNNING:
        return
    # Created, or updated where an earlier one was never committed.
    if "ransaction " in said:
        said = _ask_haproxy(f"commit ssl cert {file}")
    if "Success!" not in said:
        raise OSError(f"HAProxy: {said}")


def _ask_haproxy(command: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_TIMEOUT)
        connection.connect(str(gateway.SOCKET))
        connection.sendall(f"{command}\n".encode())
        with connection.makefile(encoding="utf-8") as answer:
            return answer.read().strip()
