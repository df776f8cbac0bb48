"""The `holdfast certs` commands."""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from holdfast.arguments import about_environment, with_grace, with_json
from holdfast.errors import HoldfastError
from holdfast.ops import endpoints
from holdfast.ops.certs import rotation
from holdfast.ops.certs.authority import Pair
from holdfast.ops.certs.store import Store, of_application, places
from holdfast.plain import Terminal
from holdfast.topology import Cluster, find_environment, load_environment

out = Terminal()
err = Terminal(stderr=True)


def add_parser(subparsers: Any) -> None:
    """Register `certs` with the command line."""
    certs = subparsers.add_parser("certs", help="certificates of nodes and clients: show, make, renew or fetch them")
    commands = certs.add_subparsers(required=True, metavar="COMMAND")

    command = partial(about_environment, commands)
    with_json(command("list", _list, "whose certificate ends when; never a key"))
    with_json(command("ensure", _ensure, "make what is missing or soon at an end (run by every deploy that needs it)"))
    rotate = with_json(command("rotate", _rotate, "make new ones, and have the nodes that run take them"))
    which = rotate.add_mutually_exclusive_group()
    which.add_argument(
        "--due", action="store_true", help="only those that end within a third of their time; goes on if interrupted"
    )
    which.add_argument(
        "--authority", action="store_true", help="have another authority sign them all; goes on if interrupted"
    )
    with_grace(rotate, "with --authority: for clients to believe in the new one")
    export = with_json(command("export", _export, "write what a client needs: ca.pem, and its own certificate"))
    export.add_argument("folder", type=Path, metavar="FOLDER", help="is made if it is not there")
    export.add_argument("--user", metavar="NAME", help="of which application; default: the first one of the file")


def _cluster(arguments: argparse.Namespace) -> Cluster:
    cluster = Cluster.of(load_environment(find_environment(arguments.environment)))
    rotation.demand_tls(cluster.environment)
    return cluster


def _list(arguments: argparse.Namespace) -> int:
    cluster = _cluster(arguments)
    store, now = Store(cluster.environment), datetime.now(UTC)
    ours = store.authority()
    found: dict[str, Pair | None] = {"the authority": ours.signer if ours else None}
    for place in places(cluster):
        kept = store.read(place)
        found[place.subject.name] = kept.pair if kept else None
    if arguments.json:
        print(json.dumps({name: pair.ends.isoformat() if pair else None for name, pair in found.items()}, indent=2))
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


def _ensure(arguments: argparse.Namespace) -> int:
    made = rotation.ensure(_cluster(arguments))
    return _tell(arguments, made, none="every certificate is there, and lasts")


def _rotate(arguments: argparse.Namespace) -> int:
    cluster = _cluster(arguments)

    def say(sentence: str) -> None:
        err.print(sentence, markup=False)

    if arguments.authority:
        rotation.replace_authority(cluster, arguments.grace, say)
        return _tell(arguments, {"the authority": "asked for"}, none="")
    made = rotation.rotate(cluster, say, due=arguments.due)
    return _tell(arguments, made, none="no certificate is due; every node has its own")


def _tell(arguments: argparse.Namespace, made: dict[str, str], none: str) -> int:
    if arguments.json:
        print(json.dumps({"made": made}))
    else:
        out.print("\n".join(f"made one for {name}: {why}" for name, why in made.items()) or none, markup=False)
    return 0


def _export(arguments: argparse.Namespace) -> int:
    environment = _cluster(arguments).environment
    user, folder = endpoints.application(environment, arguments.user), arguments.folder
    kept = Store(environment).read(of_application(environment, user))
    if kept is None:
        raise HoldfastError(f"{user} has no certificate yet; make it: holdfast certs ensure {environment.name}")
    files = {"ca.pem": endpoints.authority_certificate(environment)}
    files |= {"client.pem": kept.pair.certificate, "client-key.pem": kept.pair.key}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            _write(folder / name, content)
    except OSError as error:
        raise HoldfastError(f"{folder} cannot be written: {error.strerror}; name another folder") from None
    written = [str(folder / name) for name in files]
    if arguments.json:
        print(json.dumps({"written": written}))
    else:
        out.print("\n".join(written), markup=False)
    return 0


def _write(file: Path, content: str) -> None:
    """For its owner alone: one of them is a key."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        # One that was there keeps its own otherwise.
        os.fchmod(descriptor, 0o600)
        stream.write(content)
