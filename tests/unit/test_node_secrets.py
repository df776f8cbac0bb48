"""Passwords reach the services, and nobody else on the machine."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from holdfast_node import secrets
from holdfast_node.files import write_private
from holdfast_node.identity import Identity

APP = {"user": "app", "password": "a1"}
SYSTEM = {"user": "system", "password": "s1"}


def test_the_application_has_the_data_and_the_system_user_has_everything() -> None:
    assert secrets.users(APP, SYSTEM, since_6_2=True) == (
        "user default off\n"
        "user app on >a1 &* ~* +@all -@admin -@dangerous +info +sort +sort_ro\n"
        "user system on >s1 ~* &* +@all\n"
    )


def test_redis_6_0_has_no_permissions_for_channels_and_no_sort_ro() -> None:
    assert secrets.users(APP, SYSTEM, since_6_2=False) == (
        "user default off\nuser app on >a1 ~* +@all -@admin -@dangerous +info +sort\nuser system on >s1 ~* +@all\n"
    )


def test_every_file_of_secrets_is_private_and_belongs_to_its_reader(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cloud:
        """Fails first: at boot the network may not be there yet."""

        failures = 1

        def secret(self, purpose: str) -> dict[str, str]:
            if self.failures:
                self.failures -= 1
                raise OSError("no route to host")
            return {"app": APP, "system": SYSTEM}[purpose]

    owners: dict[str, str] = {}
    monkeypatch.setattr(shutil, "chown", lambda file, user, group: owners.update({Path(file).name: user}))
    monkeypatch.setattr(secrets, "RETRY", 0)
    monkeypatch.setattr(secrets, "FOLDER", tmp_path)
    monkeypatch.setattr(secrets, "SYSTEM_FILE", tmp_path / "system.json")
    cloud: Any = Cloud()
    secrets.fetch(identity, cloud)
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {
        "haproxy.env": "0o600",
        "redis-auth.conf": "0o600",
        "system.json": "0o600",
        "users.acl": "0o600",
    }
    assert owners == {".users.acl.new": "redis", ".redis-auth.conf.new": "redis", ".system.json.new": "redis"}
    assert (tmp_path / "redis-auth.conf").read_text() == "masteruser system\nmasterauth s1\n"
    assert (tmp_path / "haproxy.env").read_text() == "HOLDFAST_SYSTEM_PASSWORD=s1\n"
    assert json.loads((tmp_path / "system.json").read_text()) == SYSTEM
    assert secrets.system_user() == ("system", "s1")


@pytest.mark.parametrize(
    ("role", "files"),
    [
        ("data", {"system.json", "users.acl", "redis-auth.conf"}),
        ("gateway", {"system.json", "haproxy.env"}),
        ("sentinel", {"system.json"}),
    ],
)
def test_a_machine_gets_only_the_secrets_that_its_roles_need(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str, files: set[str]
) -> None:
    class Cloud:
        asked: set[str] = set()

        def secret(self, purpose: str) -> dict[str, str]:
            self.asked.add(purpose)
            return {"app": APP, "system": SYSTEM}[purpose]

    monkeypatch.setattr(shutil, "chown", lambda *_: None)
    monkeypatch.setattr(secrets, "FOLDER", tmp_path)
    monkeypatch.setattr(secrets, "SYSTEM_FILE", tmp_path / "system.json")
    cloud: Any = Cloud()
    secrets.fetch(dataclasses.replace(identity, roles=[role]), cloud)
    assert {file.name for file in tmp_path.iterdir()} == files
    assert cloud.asked == ({"app", "system"} if role == "data" else {"system"})


def test_a_file_that_everybody_could_read_becomes_private(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [file]
