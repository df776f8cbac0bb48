"""The commands that the machine's systemd units run, one each."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from holdfast_node import (
    addresses,
    backup,
    base,
    bootstrap,
    certificate,
    first_boot,
    handover,
    identity,
    renewal,
    resp,
    restore,
    restoring,
    secrets,
    sentinel_config,
    swap,
    turn,
    volume,
)
from holdfast_node.agent import Agent
from holdfast_node.cloud import Cloud
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.saved import Saved

RETRY = 5.0
"""Seconds before what a machine cannot do without is tried again."""


def _until_done(prepare: Callable[[], None]) -> None:
    """Try for ever: a unit that failed once would leave those that need it dead, also when it succeeds later."""
    while True:
        try:
            return prepare()
        except (volume.Refused, renewal.Failed, subprocess.SubprocessError, OSError) as error:
            say(str(error))
            time.sleep(RETRY)


def _volume(me: Identity) -> None:
    cloud = Cloud(me)
    _until_done(lambda: volume.prepare(me, cloud))
    if me.has("data"):
        _until_done(lambda: restoring.settle(me, cloud))


def _addresses(me: Identity) -> None:
    _until_done(lambda: addresses.take(me))


def _secrets(me: Identity) -> None:
    cloud = Cloud(me)
    fetched, own = secrets.fetch(me, cloud), certificate.fetch(me, cloud)
    secrets.tell_which(fetched.hashes)
    if own:
        certificate.tell_which(own)


def _renew(me: Identity) -> None:
    with_certificate = renewal.asks_for_certificate()
    _until_done(lambda: renewal.renew(me, Cloud(me), with_certificate=with_certificate))


def _sentinel_config(me: Identity) -> None:
    sentinel_config.prepare(me)


def _begin(me: Identity) -> None:
    bootstrap.begin(me, Cloud(me), lambda: secrets.login_at_sentinels(me))


def _run(me: Identity) -> None:
    Agent(me, Cloud(me), secrets.login, lambda: secrets.login_at_sentinels(me)).run()


def _hand_over(me: Identity) -> None:
    try:
        handover.hand_over(me, secrets.login(), secrets.login_at_sentinels(me))
    except handover.Failed as failed:
        say(str(failed))


def _backup(me: Identity) -> None:
    plan = base.plan(me.backup)
    if plan is None:
        return

    backup.Backup(me, plan, Saved(me, plan.bucket), lambda: _redis(me, me.address)).run_all(turn.order)


def _restore(me: Identity) -> None:
    restore.Preparation(restore.Copies(me), lambda: _redis(me, me.address)).run_all(restore.asked)


def _generation(me: Identity) -> None:
    swap.Swap(me, lambda address: _redis(me, address, timeout=1.0)).run(swap.asked())


def _redis(me: Identity, address: str, timeout: float = backup.ANSWER_TIMEOUT) -> resp.Client:
    return resp.Client(address, me.redis_port, secrets.login(), timeout=timeout)


COMMANDS: dict[str, Callable[[Identity], None]] = {
    "install": first_boot.run,
    "volume": _volume,
    "addresses": _addresses,
    "secrets": _secrets,
    "renew": _renew,
    "sentinel-config": _sentinel_config,
    "begin": _begin,
    "run": _run,
    "hand-over": _hand_over,
    "backup": _backup,
    "restore": _restore,
    "generation": _generation,
}


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"usage: node.pyz {'|'.join(COMMANDS)}", file=sys.stderr)
        return 2
    COMMANDS[arguments[0]](identity.load())
    return 0
