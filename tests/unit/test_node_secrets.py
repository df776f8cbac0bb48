"""Passwords reach the services, and nobody else on the machine."""

import base64
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from holdfast_node import cloud, secrets
from holdfast_node.cloud import Password
from holdfast_node.files import write_private
from holdfast_node.identity import Identity
from holdfast_node.resp import Credentials


class Cloud:
    """Has a secret for every user. `failures`: so many calls fail first, as at boot, before the network is there."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.others: dict[str, Password] = {}
        """By label, of every user."""
        self.asked: set[str] = set()
        self.there: dict[str, str] | None = None
        """What the last deploy wrote of users."""

    def users(self) -> dict[str, str] | None:
        return self.there

    def password(self, user: str, label: str) -> Password | None:
        if self.failures:
            self.failures -= 1
            raise OSError("no route to host")
        self.asked.add(user)
        return Password(f"first of {user}", f"of {user}") if label == "AWSCURRENT" else self.others.get(label)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the secrets come to."""
    for file in ("users.acl", "sentinel-users.acl"):
        (tmp_path / file).write_text("# Users.\nuser default off\n\nuser app on #<app> ~*\n")
    found = tmp_path / "run"
    found.mkdir()
    monkeypatch.setattr(secrets, "SETTINGS", tmp_path)
    monkeypatch.setattr(secrets, "FOLDER", found)
    monkeypatch.setattr(cloud, "RETRY", 0)
    return found


def test_redis_gets_hashes_in_place_of_names_and_no_comments() -> None:
    acl = "# What each may do.\nuser default off\n\nuser app on #<app> ~* +get\nuser node on #<node> +info\n"
    app, node = (hashlib.sha256(password).hexdigest() for password in (b"one", b"two"))
    assert secrets.users(acl, {"app": [Password("1", "one")], "node": [Password("2", "two")]}) == (
        f"user default off\nuser app on #{app} ~* +get\nuser node on #{node} +info\n"
    )


def test_every_file_of_secrets_is_private_and_belongs_to_its_reader(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: dict[str, str] = {}
    monkeypatch.setattr(shutil, "chown", lambda file, user, group: owners.update({Path(file).name: user}))
    secrets.fetch(identity, Cloud(failures=1))  # type: ignore[arg-type]
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()} == dict.fromkeys(
        ("haproxy.map", "node.json", "redis-auth.conf", "sentinel-auth.conf", "sentinel-users.acl", "users.acl"),
        "0o600",
    )
    of_redis = (
        ".redis-auth.conf.new",
        ".sentinel-auth.conf.new",
        ".sentinel-users.acl.new",
        ".users.acl.new",
    )
    others = {".haproxy.map.new": "haproxy", ".node.json.new": "holdfast"}
    assert owners == dict.fromkeys(of_redis, "redis") | others
    assert (folder / "redis-auth.conf").read_text() == "masteruser replication\nmasterauth of replication\n"
    login = base64.b64encode(b"metrics:of metrics").decode()
    assert (folder / "haproxy.map").read_text() == f"{login} metrics\n"
    assert json.loads((folder / "node.json").read_text()) == ["node", "of node"]
    assert secrets.login() == Credentials("node", "of node")
    assert (folder / "sentinel-auth.conf").read_text() == (
        "sentinel auth-user local sentinel\nsentinel auth-pass local of sentinel\n"
        "sentinel sentinel-user sentinel\nsentinel sentinel-pass of sentinel\n"
    )
    assert secrets.login_at_sentinels(identity) == Credentials("node", "of node")
    assert secrets.login_at_sentinels(dataclasses.replace(identity, since_6_2=False)) == Credentials(
        "default", "of node"
    )
    assert "of app" not in (folder / "users.acl").read_text()


def test_redis_6_0_knows_one_password_at_sentinels_and_no_users(identity: Identity) -> None:
    old = dataclasses.replace(identity, since_6_2=False)
    assert secrets.logins_of_sentinel(old, {"sentinel": "correct horse", "node": "battery"}) == (
        "sentinel auth-user local sentinel\nsentinel auth-pass local correct horse\nrequirepass battery\n"
    )


def test_an_application_that_was_removed_is_left_out_and_not_waited_for(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "chown", lambda *_: None)
    cloud = Cloud()
    cloud.there = {user: secret for user, secret in identity.secrets.items() if user != "app"}
    secrets.tell_which(secrets.fetch(identity, cloud))  # type: ignore[arg-type]
    assert cloud.asked == identity.secrets.keys() - {"app"}
    assert (folder / "users.acl").read_text() == "user default off\n"
    assert secrets.versions().keys() == cloud.asked


def test_where_nobody_says_which_users_there_are_all_are(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(shutil, "chown", lambda *_: None)
    cloud = Cloud()
    monkeypatch.setattr(cloud, "users", away)
    secrets.fetch(identity, cloud)  # type: ignore[arg-type]
    assert cloud.asked == identity.secrets.keys()


@pytest.mark.parametrize(
    ("role", "known", "files"),
    [
        ("data", {"app", "replication", "node"}, {"node.json", "users.acl", "redis-auth.conf"}),
        ("gateway", {"metrics", "node"}, {"node.json", "haproxy.map"}),
        ("sentinel", {"app", "sentinel", "node"}, {"node.json", "sentinel-auth.conf", "sentinel-users.acl"}),
    ],
)
def test_a_machine_gets_only_the_secrets_that_its_roles_need(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch, role: str, known: set[str], files: set[str]
) -> None:
    monkeypatch.setattr(shutil, "chown", lambda *_: None)
    cloud = Cloud()
    mine = {user: f"holdfast/local/{user}" for user in known}
    secrets.fetch(dataclasses.replace(identity, roles=[role], secrets=mine), cloud)  # type: ignore[arg-type]
    assert {file.name for file in folder.iterdir()} == files
    assert cloud.asked == known


def test_a_file_that_everybody_could_read_becomes_private(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [file]
