"""What a node tells of itself: a JSON object in the environment's bucket, read by `holdfast status` and the gates.

And what it is told: an operator's order to hand over, in the same bucket, answered in the report.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from holdfast_node import aside, certificate, killed, notice, renewal, secrets, sessions, software, told
from holdfast_node.aws import image_id, instance_id
from holdfast_node.cloud import Cloud, Malformed
from holdfast_node.decision import Decision, Do, Role
from holdfast_node.floating import Floating
from holdfast_node.handover import Failed
from holdfast_node.holders import Holders
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.membership import Membership
from holdfast_node.refusals import Refusals
from holdfast_node.restoring import Restores
from holdfast_node.sentinels import Sentinels
from holdfast_node.servers import Details, Servers
from holdfast_node.turn import Backups

INTERVAL, MINIMUM = 5.0, 1.0
"""Seconds between two reports: when nothing changes, and at least."""

ORDER_INTERVAL, RENEWAL_INTERVAL = 2.0, 5.0
"""Seconds between two looks of a leader for an order to hand over, and of everybody for one to renew passwords."""

MEMBERS_INTERVAL = 60.0
"""Seconds between two looks at which nodes there are."""

CONNECT_TIMEOUT = 0.2

MOST_ROUTES = 20
"""Of those that lead where none should: the report has a limit."""

Report = dict[str, Any]


class Reporter:
    """Reports from a thread of its own: the cloud's API is not on the path of anything else here."""

    def __init__(
        self,
        identity: Identity,
        cloud: Cloud,
        hand_over: Callable[[str | None], str],
        sentinels: Sentinels,
        servers: Servers,
        floating: Floating,
        membership: Membership,
        holders: Holders,
        backups: Backups,
        refusals: Refusals,
        restores: Restores,
    ) -> None:
        """`hand_over`: gives the lead to an address, or to whom a Sentinel prefers; raises `Failed`."""
        self._identity, self._cloud, self._hand_over = identity, cloud, hand_over
        self._sentinels, self._servers, self._floating = sentinels, servers, floating
        self._membership, self._members_at = membership, float("-inf")
        self._holders, self._backups, self._refusals, self._restores = holders, backups, refusals, restores
        self._order: Report | None = None
        """The last order that was obeyed, and what came of it."""
        self._asked, self._looked_for_renewal = 0.0, float("-inf")
        self._renewed: str | None = None
        """The last order to renew, or to end sessions, that was passed on or obeyed."""
        self._ended: Report | None = None
        """The last order to end sessions, and what came of it."""
        self._complaints: list[str] = []
        """Of what was found in the bucket when it was last looked at."""
        self._image: str | None = None
        self.decision = Decision(Do.STAY, "starts")

    def run(self) -> None:
        """Never returns."""
        said: Report = {}
        machine: str | None = None
        at = 0.0
        while True:
            time.sleep(MINIMUM)
            now = time.monotonic()
            try:
                machine, self._image = machine or instance_id(), self._image or image_id()
                self._look_into_bucket(now)
                report = self.make(machine)
                if _settled(report) == said and now - at < INTERVAL:
                    continue
                self._cloud.put_report(report | {"reported_at": time.time()})
                said, at = _settled(report), now
                if self._identity.has("data"):
                    self._refusals.look()
            except Exception as error:
                # Without it the node is only not seen.
                say(f"cannot report: {error}")
                time.sleep(INTERVAL)

    def _look_into_bucket(self, now: float) -> None:
        """What there is no sense in costs what it was about, and nothing else."""
        looks: list[Callable[[], None]] = [
            self._obey,
            partial(self._renew, now),
            partial(self._look_who_there_is, now),
            self._backups.look,
            self._restores.look,
        ]
        if self._identity.has("data"):
            looks.append(self._look_who_has_everything)
        complaints = []
        for look in looks:
            try:
                look()
            except Malformed as malformed:
                complaints.append(str(malformed))
        for complaint in complaints:
            if complaint not in self._complaints:
                say(f"leaves aside what is in the bucket: {complaint}")
        self._complaints = complaints

    def _look_who_has_everything(self) -> None:
        self._holders.look(self._servers.own().details, self._sentinels.proven_leader())

    def _look_who_there_is(self, now: float) -> None:
        # A Sentinel that has been told something forged is restarted soon, with what is true.
        forged = self._sentinels.strangers() or self._sentinels.absurd_epochs()
        if now - self._members_at < MEMBERS_INTERVAL and not forged:
            return
        self._members_at, members = now, self._cloud.members()
        self._membership.members = frozenset(members.values())
        if self._identity.has("sentinel"):
            told.tell(members, self._servers.leader() or self._cloud.last_leader())

    def _obey(self) -> None:
        """Hand over, where this node leads and an operator has ordered it."""
        now = time.monotonic()
        leads = self._identity.has("data") and self._servers.own().server.role is Role.LEADER
        if not leads or now - self._asked < ORDER_INTERVAL:
            return
        self._asked = now
        order = self._cloud.order()
        # Its successor sees the same order, and must not take it for its own.
        if order is None or order["from"] != self._identity.node or (self._order and self._order["id"] == order["id"]):
            return
        to = self._identity.data.get(order["to"]) if order.get("to") else None
        try:
            self._order = {"id": order["id"], "done": True, "says": self._hand_over(to)}
        except Failed as failed:
            say(str(failed))
            self._order = {"id": order["id"], "done": False, "says": str(failed)}

    def _renew(self, now: float) -> None:
        """Have passwords and certificate fetched anew, or end sessions, where it is this node's turn."""
        if now - self._looked_for_renewal < RENEWAL_INTERVAL:
            return
        self._looked_for_renewal = now
        order = self._cloud.renewal()
        if order is not None and order["node"] == self._identity.node and order["id"] != self._renewed:
            self._renewed = order["id"]
            if order.get("what") == sessions.SESSIONS:
                self._ended = sessions.end(self._identity, secrets.login(), order)
            else:
                renewal.ask(order)

    def make(self, machine: str) -> Report:
        """The report of this moment; `machine` is the instance id. See node/README.md."""
        identity, word = self._identity, self._sentinels.own_word()
        leader, votes = self._sentinels.proven_leader(), self._sentinels.votes()
        haproxy = identity.has("gateway") and _is_up(identity)
        found = self._servers.own().details if identity.has("data") else None
        return {
            "version": 1,
            "node": identity.node,
            "zone": identity.zone,
            "instance_id": machine,
            "program": identity.program,
            "address": identity.address,
            "decision": self.decision.sentence,
            "roles": identity.roles,
            "ready": bool(
                leader
                and (not identity.has("data") or _in_place(identity.address, found, leader))
                and (not identity.has("sentinel") or (word and word.leader == leader))
                and (not identity.has("gateway") or haproxy)
            ),
            "redis": self._redis(found) if identity.has("data") else None,
            "sentinel": {
                "leader": word.leader if word else None,
                "known": self._sentinels.known(),
                "agreeing": sum(vote == leader for vote in votes.values()) if leader else 0,
                "tilt": self._sentinels.own_tilt(),
                "strangers": sorted(self._sentinels.strangers().get(identity.address, ()))[: notice.SHOWN],
                "forged_epoch": self._sentinels.absurd_epochs().get(identity.address),
            },
            "gateway": {
                "proven_leader": leader,
                "haproxy": haproxy,
                "floating": self._floating.holds,
                "routes": [asdict(route) for route in self._floating.foreign[:MOST_ROUTES]],
            }
            if identity.has("gateway")
            else None,
            "order": self._order,
            "sessions": self._ended,
            "secrets": secrets.versions(),
            "certificate": _certificate(),
            "software": software.installed(self._image),
            "backup": self._backups.report(),
            "restore": self._restores.report(),
        }

    def _redis(self, found: Details | None) -> Report:
        server = self._servers.own().server
        return {
            "role": server.role.value,
            "version": found.version if found else None,
            "offset": found.offset if found else None,
            "leader": server.leader,
            "silent_s": round(self._servers.own().sight().silent_for, 1) if server.role is Role.SILENT else None,
            "aside": aside.newest(),
            "killed": _killed(),
            "refused": self._refusals.report(),
            "link": None if not found or server.role is not Role.REPLICA else "up" if found.link_up else "down",
            "replicas": [
                {"address": one.address, "offset": one.offset, "state": one.state, "lag_s": one.lag}
                for one in (found.followers if found else ())
            ],
        }


def _killed() -> Report | None:
    found = killed.last(time.time())
    return asdict(found) if found else None


def _certificate() -> Report | None:
    known = certificate.known()
    return {"version": known.version, "ends": known.ends} if known else None


def _in_place(address: str, found: Details | None, leader: str) -> bool:
    if found is None:
        return False
    if found.server.role is Role.LEADER:
        return address == leader
    return found.follows_in_sync(leader) and found.server.promotable


def _settled(report: Report) -> Report:
    """A report without what moves all the time."""
    if report["redis"] is None:
        return report
    followers = [(one["address"], one["state"]) for one in report["redis"]["replicas"]]
    refused = [dict(one, count=None, at=None) for one in report["redis"]["refused"]]
    return dict(report, redis=dict(report["redis"], offset=None, replicas=followers, refused=refused))


def _is_up(identity: Identity) -> bool:
    """Whether this machine has both endpoint addresses and HAProxy listens on them."""
    for address in identity.endpoints():
        try:
            socket.create_connection((address, identity.endpoint_port), timeout=CONNECT_TIMEOUT).close()
        except OSError:
            return False
    return True
