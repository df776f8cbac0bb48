"""Certificates made, and taken by nodes that run: one after the other, no session ends, no leader changes.

Redis and HAProxy take a new certificate while they run. A Sentinel cannot, and restarts: so the next node waits until
all Sentinels agree again. The only one, in `single`, closes the endpoints for that moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from holdfast.errors import HoldfastError
from holdfast.ops import renewal
from holdfast.ops.certs import authority
from holdfast.ops.certs.authority import Authority
from holdfast.ops.certs.store import Place, Store, places
from holdfast.ops.renewal import NotTaken
from holdfast.ops.reports import Report
from holdfast.topology import Cluster, Environment, names
from holdfast.topology.certificates import LASTS

Say = Callable[[str], None]


class NoTls(HoldfastError):
    """The environment has no certificates."""

    exit_code = 2


class NoAuthority(HoldfastError):
    """There was one, and it is gone."""


def demand_tls(environment: Environment) -> None:
    """Raises `NoTls` where there is none."""
    if not environment.tls.on:
        raise NoTls(f"{environment.name} has no certificates; accepted: an environment with tls: optional or required")


def ensure(cluster: Cluster) -> dict[str, str]:
    """Make what is missing, soon at an end, or for other names; returns whose, and why. Harmless to repeat.

    A node that runs takes its own when it starts anew, or when `rotate` tells it.
    """
    return _make(cluster, Store(cluster.environment), lambda why: why is not None)


def rotate(cluster: Cluster, say: Say, *, due: bool) -> dict[str, str]:
    """Make new certificates (only those that are `due`), and have every node take its own; as `ensure`.

    Raises:
        NotTaken: the cluster is not healthy, or a node did not take its certificate: the old ones go on counting, and
            the same command with `due` goes on.
    """
    store, name = Store(cluster.environment), cluster.environment.name
    ours = store.authority()
    if ours and ours.signer.ends - datetime.now(UTC) < LASTS:
        say(f"the authority ends on {ours.signer.ends:%Y-%m-%d}; replace it: holdfast certs rotate {name} --authority")
    # Where one has ended, nothing becomes healthy before all are new.
    heals = bool(renewal.look(cluster).ended)
    if heals:
        say("certificates have ended: no node waits for the others now")
    else:
        # What a timer or a deploy gives may wait for a report that is late; a person wants to know at once.
        renewal.wait_healthy(cluster, renewal.CERTIFICATE, renewal.PATIENCE if due else 0)
    made = _make(cluster, store, lambda why: why is not None or not due)
    _deliver(cluster, store, say, heals=heals)
    return made


def _deliver(cluster: Cluster, store: Store, say: Say, *, heals: bool) -> None:
    """Have every node take its certificate. One that is lost holds up the others, unless this `heals`."""
    not_taken = list[str]()
    for place in places(cluster):
        if not place.node:
            continue
        node, version = cluster.node(place.subject.name), store.version(place)
        try:
            told = renewal.renew(cluster, node, partial(_has, version), renewal.CERTIFICATE)
        except NotTaken as error:
            if not heals:
                raise
            not_taken.append(str(error))
            continue
        if told and not heals:
            renewal.wait_healthy(cluster, renewal.CERTIFICATE, renewal.PATIENCE)
        if told:
            say(f"{node.name} has a new certificate")
    if not_taken:
        raise NotTaken("\n".join(not_taken))


def replace_authority(cluster: Cluster, grace: timedelta, say: Say) -> None:
    """Have another authority sign, or go on where an earlier replacement was interrupted.

    First everybody believes both. After the grace, in which clients take the new `ca.pem`, the other one signs. The
    first is believed until every node, and after a second grace every client, has what the other one signed.
    Whenever a gateway believes others than before, its HAProxy restarts: the sessions through it end.

    Raises:
        NotTaken: as `rotate`.
    """
    name, store = cluster.environment.name, Store(cluster.environment)
    rotate(cluster, say, due=True)
    ours = store.authority()
    assert ours is not None
    if ours.following is not None or ours.last is not None:
        say("goes on with another authority, which was interrupted")
    else:
        ours = Authority(ours.signer, following=authority.found(name, datetime.now(UTC)))
        store.change(ours)
    if ours.following:
        rotate(cluster, say, due=True)
        _give_time(grace, "clients believe in the new authority by then: holdfast certs export", say)
        ours = Authority(ours.following, last=ours.signer.certificate)
        store.change(ours)
    if ours.last:
        rotate(cluster, say, due=True)
        if cluster.environment.tls.mutual:
            _give_time(grace, "clients have their new certificates by then: holdfast certs export", say)
        ours = Authority(ours.signer, last="")
        store.change(ours)
    rotate(cluster, say, due=True)
    store.change(Authority(ours.signer))


def _give_time(grace: timedelta, what: str, say: Say) -> None:
    if grace:
        say(f"waits until {datetime.now(UTC) + grace:%H:%M:%S} UTC: {what}")
        time.sleep(grace.total_seconds())


def _has(version: str | None, report: Report) -> bool:
    return report.certificate is not None and report.certificate.version == version


def _make(cluster: Cluster, store: Store, wanted: Callable[[str | None], bool]) -> dict[str, str]:
    """Make the certificates for which there is such a reason; whose, and why."""
    environment, now = cluster.environment, datetime.now(UTC)
    ours = store.authority()
    if ours is None:
        _refuse_to_found(cluster, store)
        store.keep_first(Authority(authority.found(environment.name, now)))
        ours = store.authority()
        assert ours is not None
    store.publish(ours)
    made = dict[str, str]()
    for place in places(cluster):
        why = _why_anew(store, place, ours, now)
        if wanted(why):
            store.put(place, authority.issue(ours.signer, place.subject, now, serves=place.node), ours)
            made[place.subject.name] = why or "asked for"
    return made


def _refuse_to_found(cluster: Cluster, store: Store) -> None:
    """Another authority, where there was one: whoever takes its certificates is believed by nobody who has not."""
    orphan = next((place.subject.name for place in places(cluster) if store.read(place)), None)
    if orphan:
        secret = names.authority(cluster.environment)
        raise NoAuthority(
            f"{cluster.environment.name}: {orphan} has a certificate, and the authority that signed it is gone; bring "
            f"it back: aws secretsmanager restore-secret --secret-id {secret}"
        )


def _why_anew(store: Store, place: Place, ours: Authority, now: datetime) -> str | None:
    there = store.read(place)
    if there is None:
        return "there was none"
    if place.node and there.trusted != ours.trusted:
        return "whom to believe has changed"
    return authority.why_anew(there.pair, ours.signer, place.subject, now)
