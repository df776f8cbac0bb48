"""Passwords reach the services, and nobody else on the machine."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from holdfast_node import cloud, secrets
from holdfast_node.cloud import Hash
from holdfast_node.files import write_private
from holdfast_node.identity import Identity
from holdfast_node.resp import Credentials


class Cloud:
    """Has a secret for every user. `failures`: so many calls fail first, as at boot, before the network is there."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.asked: set[str] = set()
        self.read: set[str] = set()
        """Of these, whose password itself was asked for."""
        self.there: dict[str, str] | None = None
        """What the last deploy wrote of users."""

    def users(self) -> dict[str, str] | None:
        return self.there

    def hashes(self, user: str) -> list[Hash]:
        if self.failures:
            self.failures -= 1
            raise OSError("no route to host")
        self.asked.add(user)
        return [Hash(f"first of {user}", sha256(f"of {user}"))]

    def password(self, user: str, version: str) -> str | None:
        self.read.add(user)
        return f"of {user}" if version == f"first of {user}" else None


def sha256(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


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
    hashes = {"app": [Hash("1", "a" * 64), Hash("2", "b" * 64)], "node": [Hash("1", "c" * 64)]}
    assert secrets.users(acl, hashes) == (
        f"user default off\nuser app on #{'a' * 64} #{'b' * 64} ~* +get\nuser node on #{'c' * 64} +info\n"
    )


def test_every_file_of_secrets_is_private_and_belongs_to_its_reader(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: dict[str, str] = {}
    monkeypatch.setattr(shutil, "chown", lambda file, user, group: owners.update({Path(file).name: user}))
    cloud = Cloud(failures=1)
    secrets.fetch(identity, cloud)  # type: ignore[arg-type]
    assert cloud.read == {"replication", "sentinel", "node"}
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()} == dict.fromkeys(
        (
            "haproxy.map",
            "node.json",
            "redis-auth.conf",
            "renew-password",
            "sentinel-auth.conf",
            "sentinel-users.acl",
            "users.acl",
        ),
        "0o600",
    )
    of_redis = (
        ".redis-auth.conf.new",
        ".sentinel-auth.conf.new",
        ".sentinel-users.acl.new",
        ".users.acl.new",
    )
    others = {".haproxy.map.new": "haproxy", ".node.json.new": "holdfast"}
    # Not that of who changes passwords: it stays with whoever runs this, root.
    assert owners == dict.fromkeys(of_redis, "redis") | others
    assert (folder / "redis-auth.conf").read_text() == "masteruser replication\nmasterauth of replication\n"
    assert (folder / "haproxy.map").read_text() == f"{sha256('of metrics').upper()} metrics\n"
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
    assert not [file for file in folder.iterdir() if "of app" in file.read_text()]


@pytest.fixture
def with_renew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user-data names the user that changes passwords."""
    monkeypatch.setattr(shutil, "chown", lambda *_: None)
    (secrets.SETTINGS / "users.acl").write_text("user renew on #<renew> +acl|setuser\n")
    return folder


def test_who_changes_passwords_has_one_of_this_boot_that_the_cloud_does_not_know(
    identity: Identity, with_renew: Path
) -> None:
    cloud = Cloud()
    fetched = secrets.fetch(identity, cloud)  # type: ignore[arg-type]
    login = secrets.login_of_renew()
    assert (login.user, len(login.password)) == ("renew", 64)
    acl = (with_renew / "users.acl").read_text()
    assert acl == f"user renew on #{sha256(login.password)} +acl|setuser\n"
    assert "renew" not in {*cloud.asked, *fetched.hashes}, "so no operator waits for it"
    # A Redis that runs knows it: it stays as long as the machine is up.
    secrets.fetch(identity, cloud)  # type: ignore[arg-type]
    assert (secrets.login_of_renew(), (with_renew / "users.acl").read_text()) == (login, acl)
    (with_renew / "renew-password").unlink()
    secrets.fetch(identity, cloud)  # type: ignore[arg-type]
    assert secrets.login_of_renew() != login, "another one at the next boot"


def test_a_node_that_finds_no_hash_writes_nothing_and_asks_again(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "chown", lambda *_: None)
    cloud = Cloud()
    asked = list[str]()
    kept = cloud.hashes

    def hashes(user: str) -> list[Hash]:
        asked.append(user)
        if user == "node" and asked.count("node") < 3:
            assert list(folder.iterdir()) == [], "nobody starts with half of the users"
            raise LookupError("holdfast/local/node has no tag holdfast:sha256:1")
        return kept(user)

    monkeypatch.setattr(cloud, "hashes", hashes)
    secrets.fetch(identity, cloud)  # type: ignore[arg-type]
    assert asked.count("node") == 3
    said = capsys.readouterr()
    assert "cannot read the secret of node yet: holdfast/local/node has no tag" in said.out + said.err


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
    secrets.tell_which(secrets.fetch(identity, cloud).hashes)  # type: ignore[arg-type]
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
    ("role", "known", "logins", "files"),
    [
        (
            "data", {"app", "replication", "node"}, {"replication", "node"},
            {"node.json", "users.acl", "redis-auth.conf", "renew-password"},
        ),
        ("gateway", {"metrics", "node"}, {"node"}, {"node.json", "haproxy.map"}),
        (
            "sentinel", {"app", "sentinel", "node"}, {"sentinel", "node"},
            {"node.json", "sentinel-auth.conf", "sentinel-users.acl"},
        ),
    ],
)  # fmt: skip
def test_a_machine_gets_only_the_secrets_that_its_roles_need(
    identity: Identity,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    role: str,
    known: set[str],
    logins: set[str],
    files: set[str],
) -> None:
    monkeypatch.setattr(shutil, "chown", lambda *_: None)
    cloud = Cloud()
    mine = {user: f"holdfast/local/{user}" for user in known}
    node = dataclasses.replace(identity, roles=[role], secrets=mine, logins=sorted(logins))
    secrets.fetch(node, cloud)  # type: ignore[arg-type]
    assert {file.name for file in folder.iterdir()} == files
    assert (cloud.asked, cloud.read) == (known, logins)


def test_a_file_that_everybody_could_read_becomes_private(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [file]
