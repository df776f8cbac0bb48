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
    secrets,
    sentinel_config,
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
    _until_done(lambda: volume.prepare(me, Cloud(me)))


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

    def redis() -> resp.Client:
        return resp.Client(me.address, me.redis_port, secrets.login(), timeout=backup.ANSWER_TIMEOUT)

    backup.Backup(me, plan, Saved(me, plan.bucket), redis).run_all(turn.order)


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
}


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"usage: node.pyz {'|'.join(COMMANDS)}", file=sys.stderr)
        return 2
    COMMANDS[arguments[0]](identity.load())
    return 0
