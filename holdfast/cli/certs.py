"""The `holdfast certs` commands."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from holdfast.cli import options
from holdfast.cli.console import give, out, print_json, say
from holdfast.cli.group import Group
from holdfast.cli.options import load
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.ops.certs.authority import Pair
    from holdfast.topology import Cluster


@click.group(cls=Group)
def certs() -> None:
    """Show, create, renew or export the certificates of nodes and clients."""


def _cluster(environment: str) -> Cluster:
    from holdfast.ops.certs import rotation
    from holdfast.topology import Cluster

    cluster = Cluster.of(load(environment))
    rotation.demand_tls(cluster.environment)
    return cluster


@certs.command("list")
@options.environment
@options.json_too
def show(environment: str, as_json: bool) -> int:
    """List the certificates and when each one expires.

    It never shows a key.
    """
    from holdfast.ops.certs.store import Store, places

    cluster = _cluster(environment)
    store, now = Store(cluster.environment), datetime.now(UTC)
    ours = store.authority()
    found: dict[str, Pair | None] = {"the authority": ours.signer if ours else None}
    for place in places(cluster):
        kept = store.read(place)
        found[place.subject.name] = kept.pair if kept else None
    if as_json:
        print_json({name: pair.ends.isoformat() if pair else None for name, pair in found.items()})
        return 0
    table = Table(box=None, pad_edge=False)
    for column in ("of", "ends", "days left"):
        table.add_column(column)
    for name, pair in found.items():
        if pair is None:
            table.add_row(name, "there is none yet", "–")
        else:
            table.add_row(name, f"{pair.ends:%Y-%m-%d %H:%M}", str((pair.ends - now).days))
    out.print(table)
    return 0


@certs.command()
@options.environment
@options.json_too
def ensure(environment: str, as_json: bool) -> int:
    """Create missing certificates and renew those that expire soon.

    Idempotent. Every deploy with TLS runs it.
    """
    from holdfast.ops.certs import rotation

    return _tell(rotation.ensure(_cluster(environment)), as_json, none="every certificate is there, and lasts")


@certs.command()
@options.environment
@click.option("--due", is_flag=True, help="Renew only those in the last third of their lifetime.")
@click.option("--authority", is_flag=True, help="Replace the authority and reissue every certificate.")
@options.grace("With --authority: how long clients have to trust the new one")
@options.json_too
def rotate(environment: str, due: bool, authority: bool, grace: timedelta, as_json: bool) -> int:
    """Renew certificates and apply them to the running nodes.

    Takes --due or --authority, not both. With either, run it again after an interruption: it continues.
    """
    from holdfast.ops.certs import rotation

    if due and authority:
        raise click.UsageError("Give --due or --authority, not both.")
    cluster = _cluster(environment)
    if authority:
        rotation.replace_authority(cluster, grace, say)
        return _tell({"the authority": "asked for"}, as_json, none="")
    made = rotation.rotate(cluster, say, due=due)
    return _tell(made, as_json, none="no certificate is due; every node has its own")


def _tell(made: dict[str, str], as_json: bool, none: str) -> int:
    give(as_json, {"made": made}, *[f"made one for {name}: {why}" for name, why in made.items()] or [none])
    return 0


@certs.command()
@options.environment
@click.argument(
    "folder", type=click.Path(path_type=Path), metavar="FOLDER", help="Folder to write to. Created if it is missing."
)
@options.application
@options.json_too
def export(environment: str, folder: Path, user: str | None, as_json: bool) -> int:
    """Write the files that a client needs for TLS: ca.pem, its certificate and its key."""
    from holdfast.ops import endpoints
    from holdfast.ops.certs.store import Store, of_application

    loaded = _cluster(environment).environment
    application = endpoints.application(loaded, user)
    kept = Store(loaded).read(of_application(loaded, application))
    if kept is None:
        raise HoldfastError(f"{application} has no certificate yet; make it: holdfast certs ensure {loaded.name}")
    files = {"ca.pem": endpoints.authority_certificate(loaded)}
    files |= {"client.pem": kept.pair.certificate, "client-key.pem": kept.pair.key}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            _write(folder / name, content)
    except OSError as error:
        raise HoldfastError(f"{folder} cannot be written: {error.strerror}; name another folder") from None
    written = [str(folder / name) for name in files]
    give(as_json, {"written": written}, *written)
    return 0


def _write(file: Path, content: str) -> None:
    """For its owner alone: one of them is a key."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        # One that was there keeps its own otherwise.
        os.fchmod(descriptor, 0o600)
        stream.write(content)
