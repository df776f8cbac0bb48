"""New passwords reach whoever runs here, all at once and without a restart; who does not take them is not said to."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from holdfast_node import certificate, gateway, renewal, resp, secrets
from holdfast_node.cloud import Certificate, Hash
from holdfast_node.identity import Identity

ACL = """\
# Users.
user default off
user app on #<app> ~* +get
user admin on #<admin> +@all
"""
OF_REDIS = f"{ACL}user renew on #<renew> +acl|setuser\n"


class Cloud:
    """Every user has a password in use, and a next one."""

    def users(self) -> None:
        return None

    def hashes(self, user: str) -> list[Hash]:
        texts = {"v1": f"of {user}", "v2": f"next of {user}"}
        return [Hash(version, sha256(text)) for version, text in texts.items()]

    def password(self, user: str, version: str) -> str:
        assert (user in LOGINS, version) == (True, "v1")
        return f"of {user}"

    def certificate(self) -> Certificate:
        return Certificate("c2", "2030-01-01T00:00:00+00:00", "the authority's\n", "new one\nits key\n")


LOGINS = ["replication", "sentinel", "node"]


def sha256(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


class Server(socketserver.ThreadingTCPServer):
    """A Redis or a Sentinel: keeps what it is told, and answers `answers` of a command's beginning, else OK."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, **answers: bytes) -> None:
        self.answers = answers
        self.told: list[tuple[str, ...]] = []
        super().__init__(("127.0.0.1", 0), _Session)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Session(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        parser = resp.Parser()
        while data := self.request.recv(65536):
            for words in parser.feed(data):
                self.server.told.append(tuple(words))
                self.request.sendall(self.server.answers.get("_".join(words[:3]).replace("-", "_"), b"+OK\r\n"))


class _Runtime(socketserver.StreamRequestHandler):
    """HAProxy's socket: one command a connection, and its content up to an empty line."""

    def handle(self) -> None:
        said = self.rfile.readline().decode().strip()
        if said.endswith("<<"):
            said += "\n" + "".join(iter(lambda: self.rfile.readline().decode(), "\n"))
        self.server.told.append(said)  # type: ignore[attr-defined]
        answers = {"prepare": b"New version created: 7\n\n"}
        answers |= {
            "set ssl": b"Transaction created for certificate x!\n\n",
            "commit ssl": b"Committing x.\nSuccess!\n\n",
        }
        self.wfile.write(next((answer for word, answer in answers.items() if said.startswith(word)), b"\n"))


@contextmanager
def haproxy(path: Path, transaction: bytes = b"Transaction created for certificate x!\n\n") -> Iterator[list[str]]:
    with socketserver.ThreadingUnixStreamServer(str(path), _Runtime) as server:
        server.transaction = transaction  # type: ignore[attr-defined]
        server.told = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.told  # type: ignore[attr-defined]
        server.shutdown()


@pytest.fixture
def node(identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Identity:
    """Of this machine: nothing runs yet."""
    for file in ("users.acl", "sentinel-users.acl"):
        (tmp_path / file).write_text(OF_REDIS if file == "users.acl" else ACL)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "renew-password").write_text("of renew")
    monkeypatch.setattr(secrets, "SETTINGS", tmp_path)
    monkeypatch.setattr(secrets, "FOLDER", tmp_path / "run")
    monkeypatch.setattr(certificate, "FOLDER", tmp_path / "run")
    monkeypatch.setattr(gateway, "SOCKET", tmp_path / "haproxy")
    monkeypatch.setattr(shutil, "chown", lambda *_: None)
    known = dict.fromkeys(("app", "admin", "replication", "sentinel", "metrics", "node"), "")
    return dataclasses.replace(
        identity, address="127.0.0.1", redis_port=1, sentinel_port=1, secrets=known, logins=LOGINS
    )


def hashes(user: str) -> tuple[str, ...]:
    return tuple(f"#{sha256(text)}" for text in (f"of {user}", f"next of {user}"))


SET_PASSWORDS = [("ACL", "SETUSER", user, "resetpass", *hashes(user)) for user in ("app", "admin")]


def renew(node: Identity, *, with_certificate: bool = False) -> None:
    cloud: Any = Cloud()
    renewal.renew(node, cloud, with_certificate=with_certificate)


def test_who_does_not_run_reads_it_at_its_start(node: Identity) -> None:
    renew(node)
    assert secrets.versions() == dict.fromkeys(node.secrets, ["v1", "v2"])
    assert " ".join(hashes("app")) in (secrets.FOLDER / "users.acl").read_text()


def test_everybody_who_runs_is_told(node: Identity) -> None:
    redis, sentinel = Server(), Server(SENTINEL_CONFIG_GET=b"*2\r\n$13\r\nsentinel-pass\r\n$3\r\nold\r\n")
    with haproxy(gateway.SOCKET) as told:
        renew(dataclasses.replace(node, redis_port=redis.port, sentinel_port=sentinel.port))
    assert redis.told == [
        ("AUTH", "renew", "of renew"),
        *SET_PASSWORDS,
        ("ACL", "SETUSER", "renew", "resetpass", hashes("renew")[0]),
        ("CONFIG", "SET", "masterauth", "of replication"),
    ]
    assert sentinel.told == [
        ("AUTH", "node", "of node"),
        *SET_PASSWORDS,
        ("SENTINEL", "CONFIG", "GET", "sentinel-pass"),
        ("SENTINEL", "SET", "local", "auth-pass", "of sentinel"),
        ("SENTINEL", "CONFIG", "SET", "sentinel-pass", "of sentinel"),
    ]
    login = [hashed.removeprefix("#").upper() for hashed in hashes("metrics")]
    assert told == [
        "prepare map /run/holdfast/haproxy.map",
        f"add map @7 /run/holdfast/haproxy.map <<\n{login[0]} metrics\n{login[1]} metrics\n",
        "commit map @7 /run/holdfast/haproxy.map",
    ]


def test_a_sentinel_whose_own_password_is_the_same_keeps_its_connections(node: Identity) -> None:
    sentinel = Server(SENTINEL_CONFIG_GET=b"*2\r\n$13\r\nsentinel-pass\r\n$11\r\nof sentinel\r\n")
    renew(dataclasses.replace(node, sentinel_port=sentinel.port))
    assert sentinel.told[-1] == ("SENTINEL", "CONFIG", "GET", "sentinel-pass")


def test_a_sentinel_of_redis_6_0_is_told_its_password_for_redis_alone(node: Identity) -> None:
    sentinel = Server()
    renew(dataclasses.replace(node, sentinel_port=sentinel.port, since_6_2=False))
    assert sentinel.told == [
        ("AUTH", "default", "of node"),
        ("SENTINEL", "SET", "local", "auth-pass", "of sentinel"),
    ]


def test_what_somebody_did_not_take_is_not_said_to_be_known(node: Identity) -> None:
    redis = Server(CONFIG_SET_masterauth=b"-ERR no\r\n")
    with pytest.raises(renewal.Failed, match="a service here did not take what is new: ERR no"):
        renew(dataclasses.replace(node, redis_port=redis.port))
    assert not (secrets.FOLDER / "versions.json").exists()
    # What it reads at its start is there all the same.
    assert json.loads((secrets.FOLDER / "node.json").read_text()) == ["node", "of node"]


@pytest.fixture
def certified(node: Identity, monkeypatch: pytest.MonkeyPatch) -> tuple[Identity, list[list[str]]]:
    """With a certificate, and what it has systemd do. Its connections are plaintext: TLS is not what is tried here."""
    ran = list[list[str]]()
    monkeypatch.setattr(certificate, "context", lambda: None)
    monkeypatch.setattr(certificate, "context_for_own", lambda: None)
    monkeypatch.setattr(renewal.subprocess, "run", lambda command, **_: ran.append(command))
    return dataclasses.replace(node, certificate="holdfast/local/tls/node/local-a1"), ran


def using(version: str, authority: str = "the authority's\n") -> None:
    certificate.tell_which(Certificate(version, "2029-01-01T00:00:00+00:00", authority, ""))


def test_a_new_certificate_is_taken_by_all_and_a_sentinel_restarts_for_it(
    certified: tuple[Identity, list[list[str]]],
) -> None:
    node, ran = certified
    redis = Server()
    using("c1")
    with haproxy(gateway.SOCKET) as told:
        renew(dataclasses.replace(node, redis_port=redis.port), with_certificate=True)
        assert redis.told[-1] == ("CONFIG", "SET", "tls-cert-file", f"{certificate.FOLDER}/redis.pem")
        file = f"{certificate.FOLDER}/haproxy.pem"
        assert told[-2:] == [f"set ssl cert {file} <<\nnew one\nits key\n", f"commit ssl cert {file}"]
        assert ran == [["systemctl", "try-restart", "holdfast-sentinel.service"]]
        known = certificate.known()
        assert known is not None
        assert (known.version, known.ends) == ("c2", "2030-01-01T00:00:00+00:00")
        # One that all have is not told again.
        del told[:], redis.told[:], ran[:]
        renew(dataclasses.replace(node, redis_port=redis.port), with_certificate=True)
    assert not any(" ssl " in command for command in told)
    assert redis.told[-1] == ("CONFIG", "SET", "masterauth", "of replication")
    assert ran == []


@pytest.mark.parametrize(
    ("role", "files"),
    [
        ("data", {"redis.pem": "redis", "node.pem": "holdfast"}),
        ("sentinel", {"redis.pem": "redis", "node.pem": "holdfast"}),
        ("gateway", {"haproxy.pem": "haproxy", "node.pem": "holdfast"}),
    ],
)
def test_each_service_has_the_key_in_a_file_of_its_own(
    certified: tuple[Identity, list[list[str]]], monkeypatch: pytest.MonkeyPatch, role: str, files: dict[str, str]
) -> None:
    node, _ = certified
    owners: dict[str, str] = {}
    monkeypatch.setattr(shutil, "chown", lambda file, user, _: owners.update({Path(file).name: user}))
    cloud: Any = Cloud()
    certificate.fetch(dataclasses.replace(node, roles=[role]), cloud)
    assert owners == {f".{file}.new": owner for file, owner in files.items()}
    keys = [file for file in certificate.FOLDER.iterdir() if "its key" in file.read_text()]
    assert {(file.name, oct(file.stat().st_mode & 0o777)) for file in keys} == {(file, "0o600") for file in files}


def test_for_another_authority_haproxy_restarts_instead(certified: tuple[Identity, list[list[str]]]) -> None:
    node, ran = certified
    using("c1", "another authority's\n")
    with haproxy(gateway.SOCKET) as told:
        renew(node, with_certificate=True)
    assert not any(" ssl " in command for command in told)
    units = ("holdfast-haproxy.service", "holdfast-sentinel.service")
    assert ran == [["systemctl", "try-restart", unit] for unit in units]


def test_a_certificate_that_redis_refuses_is_not_said_to_be_used(
    certified: tuple[Identity, list[list[str]]],
) -> None:
    node, _ = certified
    redis = Server(CONFIG_SET_tls_cert_file=b"-ERR Unable to update TLS configuration\r\n")
    with pytest.raises(renewal.Failed, match="ERR Unable to update TLS configuration"):
        renew(dataclasses.replace(node, redis_port=redis.port), with_certificate=True)
    assert certificate.known() is None


def test_who_asks_for_passwords_gets_no_certificate_and_no_sentinel_restarts(
    certified: tuple[Identity, list[list[str]]],
) -> None:
    node, ran = certified
    renew(node)
    assert (ran, certificate.known()) == ([], None)
    assert not (certificate.FOLDER / "redis.pem").exists()


def test_a_change_that_haproxy_was_told_and_never_made_is_made(certified: tuple[Identity, list[list[str]]]) -> None:
    node, _ = certified
    using("c1")
    with haproxy(gateway.SOCKET, transaction=b"Transaction updated for certificate x!\n\n") as told:
        renew(node, with_certificate=True)
    assert told[-1] == f"commit ssl cert {certificate.FOLDER}/haproxy.pem"


@pytest.mark.parametrize(("what", "with_certificate"), [("certificate", True), ("password", False)])
def test_an_order_says_what_is_to_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, with_certificate: bool
) -> None:
    monkeypatch.setattr(renewal, "ASKED", tmp_path / "renew")
    renewal.ask({"id": "1", "node": "local-a1", "what": what})
    assert renewal.asks_for_certificate() is with_certificate
