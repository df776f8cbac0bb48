"""The `holdfast secrets` commands."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from holdfast.cli import options
from holdfast.cli.console import give, out, print_json, say
from holdfast.cli.group import Group
from holdfast.cli.options import load

if TYPE_CHECKING:
    from holdfast.ops.secrets.store import Secret


@click.group(cls=Group)
def secrets() -> None:
    """Show, create or change the passwords of the Redis users."""


@secrets.command("list")
@options.environment
@options.json_too
def show(environment: str, as_json: bool) -> int:
    """List the users, their purposes, and when each password changed.

    It never shows a password.
    """
    from holdfast.ops.secrets.store import Store
    from holdfast.topology import users

    loaded = load(environment)
    store = Store(loaded)
    found = [store.read(user) for user in users.of(loaded)]
    if as_json:
        print_json([_as_json(secret) for secret in found])
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
    from holdfast.ops.vault import LAST, NEXT, USED

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


@secrets.command()
@options.environment
@options.json_too
def ensure(environment: str, as_json: bool) -> int:
    """Create a password and its hash for every user that has none.

    Idempotent. Every deploy runs it.
    """
    from holdfast.ops.secrets import rotation
    from holdfast.topology import Cluster

    ensured = rotation.ensure(Cluster.of(load(environment)))
    made = f"made passwords for {', '.join(ensured.made)}" if ensured.made else "every user has a password"
    hashed = f"; added hashes for {', '.join(ensured.hashed)}" if ensured.hashed else ""
    give(as_json, ensured._asdict(), made + hashed)
    return 0


@secrets.command()
@options.environment
@options.json_too
def release(environment: str, as_json: bool) -> int:
    """Free the names of deleted secrets, for an environment that needs them again.

    The content of the deleted secrets is lost.
    """
    from holdfast.ops.vault import Vault
    from holdfast.topology import names, users

    loaded = load(environment)
    vault = Vault(loaded)
    wanted = [names.secret(loaded, user.name) for user in users.of(loaded)]
    wanted += [names.authority(loaded)] if loaded.tls.on else []
    released = [name for name in wanted if vault.is_reserved(name)]
    for name in released:
        vault.release(name)
    text = f"free again: {', '.join(released)}" if released else "no name that it needs is reserved"
    give(as_json, {"released": released}, text)
    return 0


@secrets.command()
@options.environment
@click.option("--user", "names", multiple=True, metavar="NAME", help="Change this user's only. May be repeated.")
@options.grace("How long the old passwords of applications and people stay valid")
@click.option(
    "--end-sessions",
    is_flag=True,
    help="Then close the connections of applications and people whose password changed. They have to log in again.",
)
@options.json_too
def rotate(environment: str, names: tuple[str, ...], grace: timedelta, end_sessions: bool, as_json: bool) -> int:
    """Change passwords without a failed command.

    Run it again after an interruption: it continues.
    """
    from holdfast.ops.secrets import rotation
    from holdfast.topology import Cluster

    cluster = Cluster.of(load(environment))
    changing = rotation.chosen(cluster, names)
    rotation.rotate(cluster, changing, grace, say)
    if end_sessions:
        rotation.end_sessions(cluster, changing, say)
    changed = [user.name for user in changing]
    give(as_json, {"changed": changed}, f"changed: {', '.join(changed)}")
    return 0
