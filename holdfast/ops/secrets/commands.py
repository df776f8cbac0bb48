"""The `holdfast secrets` commands."""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import Any

from rich.table import Table

from holdfast.arguments import about_environment, with_grace, with_json
from holdfast.ops.secrets import rotation
from holdfast.ops.secrets.store import Secret, Store
from holdfast.ops.vault import LAST, NEXT, USED, Vault
from holdfast.plain import Terminal
from holdfast.topology import Cluster, find_environment, load_environment, names, users

out = Terminal()
err = Terminal(stderr=True)


def add_parser(subparsers: Any) -> None:
    """Register `secrets` with the command line."""
    secrets = subparsers.add_parser("secrets", help="the passwords of Redis' users: show, make or change them")
    commands = secrets.add_subparsers(required=True, metavar="COMMAND")

    command = partial(about_environment, commands)
    with_json(command("list", _list, "who has a password, for what, and since when; never the password"))
    text = "make a password, and its hash, for every user that has none (run by deploys)"
    with_json(command("ensure", _ensure, text))
    text = "free the names of deleted secrets that the environment needs again: what was in them is gone for good"
    with_json(command("release", _release, text))
    text = "change passwords without a failed command; goes on where it was interrupted"
    rotate = with_json(command("rotate", _rotate, text))
    rotate.add_argument("--user", action="append", default=[], metavar="NAME", help="only this one (may be repeated)")
    with_grace(rotate, "for how long applications' and people's old passwords are accepted too")
    text = "then end the sessions of applications and people whose passwords changed: all have to log in anew"
    rotate.add_argument("--end-sessions", action="store_true", help=text)


def _cluster(arguments: argparse.Namespace) -> Cluster:
    return Cluster.of(load_environment(find_environment(arguments.environment)))


def _list(arguments: argparse.Namespace) -> int:
    environment = _cluster(arguments).environment
    store = Store(environment)
    found = [store.read(user) for user in users.of(environment)]
    if arguments.json:
        print(json.dumps([_as_json(secret) for secret in found], indent=2))
        return 0
    table = Table(box=None, pad_edge=False)
    for column in ("user", "for", "password", "changed"):
        table.add_column(column, overflow="fold")
    for secret in found:
        changed = f"{secret.changed:%Y-%m-%d %H:%M}" if secret.changed else "–"
        table.add_row(secret.user.name, secret.user.purpose, _state(secret), changed)
    out.print(table)
    return 0


def _state(secret: Secret) -> str:
    if USED not in secret.versions:
        return "none yet"
    if NEXT in secret.versions:
        return "a next one is accepted too"
    return "the last one is accepted too" if LAST in secret.versions else "one"


def _as_json(secret: Secret) -> dict[str, Any]:
    return {
        "user": secret.user.name,
        "purpose": secret.user.purpose,
        "versions": dict(secret.versions),
        "changed": secret.changed.isoformat() if secret.changed else None,
    }


def _ensure(arguments: argparse.Namespace) -> int:
    ensured = rotation.ensure(_cluster(arguments))
    if arguments.json:
        print(json.dumps(ensured._asdict()))
        return 0
    made = f"made passwords for {', '.join(ensured.made)}" if ensured.made else "every user has a password"
    hashed = f"; added hashes for {', '.join(ensured.hashed)}" if ensured.hashed else ""
    out.print(made + hashed, markup=False)
    return 0


def _release(arguments: argparse.Namespace) -> int:
    environment = _cluster(arguments).environment
    vault = Vault(environment)
    wanted = [names.secret(environment, user.name) for user in users.of(environment)]
    wanted += [names.authority(environment)] if environment.tls.on else []
    released = [name for name in wanted if vault.is_reserved(name)]
    for name in released:
        vault.release(name)
    if arguments.json:
        print(json.dumps({"released": released}))
    else:
        said = f"free again: {', '.join(released)}" if released else "no name that it needs is reserved"
        out.print(said, markup=False)
    return 0


def _rotate(arguments: argparse.Namespace) -> int:
    cluster, grace = _cluster(arguments), arguments.grace
    changing = rotation.chosen(cluster, arguments.user)
    rotation.rotate(cluster, changing, grace, lambda sentence: err.print(sentence, markup=False))
    if arguments.end_sessions:
        rotation.end_sessions(cluster, changing, lambda sentence: err.print(sentence, markup=False))
    changed = [user.name for user in changing]
    if arguments.json:
        print(json.dumps({"changed": changed}))
    else:
        out.print(f"changed: {', '.join(changed)}", markup=False)
    return 0
