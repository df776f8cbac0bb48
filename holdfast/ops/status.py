"""The state of a cluster, worked out from its nodes' reports: who leads, who follows how closely, who agrees."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from holdfast.ops import refusals
from holdfast.ops.backups.store import Newest
from holdfast.ops.reports import Aside, Certificate, Killed, Report, Route, Unreadable
from holdfast.spans import ago
from holdfast.topology import Cluster, Node, Role
from holdfast.topology.certificates import DUE


@dataclass(frozen=True)
class CertificateStatus:
    ends: str
    """In ISO 8601."""
    days_left: int
    """Below zero: it has ended."""
    due: bool
    """Whether it is time to make it anew."""


@dataclass(frozen=True)
class NodeStatus:
    """One node. `lag_bytes` is what it still lacks of the leader's replication stream; None where that is unknown."""

    name: str
    zone: str
    role: str
    """leader, replica, waiting, down, silent; gateway or sentinel without Redis; unknown where none reports."""
    roles: tuple[str, ...]
    """What it runs: data, gateway, sentinel."""
    address: str
    lag_bytes: int | None
    healthy: bool
    instance_id: str | None
    version: str | None
    says: str
    """The node's last decision, or why nothing is known of it."""
    certificate: CertificateStatus | None = None
    """None without TLS, or where nothing is known of the node."""
    tilt: bool = False
    """Whether its Sentinel distrusts its clock."""
    strangers: tuple[str, ...] = ()
    """`ADDRESS:PORT` of whom its Sentinel knows, and is no node of this environment."""
    forged_epoch: int | None = None
    """An epoch of its Sentinel that no election gave."""
    aside: Aside | None = None
    """What it kept when it last gave up leading beside another leader."""
    killed: Killed | None = None
    """When its Redis was last killed for want of memory, if within a day."""
    program: str | None = None
    """SHA-256 of its node program; None where it does not say."""
    image: str | None = None
    """The id of the image that it was booted from; None where it does not say."""

    def notices(self, environment: str) -> list[str]:
        """What an operator has to know or to do, though the node may be well: one sentence each."""
        sentences = []
        if self.certificate and self.certificate.due:
            ends = "ended" if self.certificate.days_left < 0 else "ends"
            sentences.append(
                f"{self.name}: its certificate {ends} at {self.certificate.ends}; "
                f"renew it: holdfast certs rotate {environment} --due"
            )
        if self.killed:
            sentences.append(
                f"{self.name}: Redis was killed for memory {ago(time.time() - self.killed.at)}, "
                f"limit {self.killed.limit_mib / 1024:.1f} GiB"
            )
        if self.aside:
            at = datetime.fromtimestamp(self.aside.at, UTC)
            sentences.append(
                f"{self.name}: gave up leading beside another leader at {at:%Y-%m-%d %H:%M:%S} UTC; "
                f"what it had until then is there in {self.aside.file} ({self.aside.bytes:,} B)"
            )
        return sentences


@dataclass(frozen=True)
class SentinelStatus:
    agreeing: int
    """Sentinels that name the leader."""
    total: int


@dataclass(frozen=True)
class FloatingStatus:
    leader: str
    replica: str
    """As `leader`, with the port."""
    gateway: str | None
    """The node that it leads to; None where nobody, or more than one, says so."""


@dataclass(frozen=True)
class BackupStatus:
    taken_at: str | None
    """When the last one was taken, in ISO 8601; None where none is young enough."""
    late: bool
    says: str
    node: str | None
    """Whose turn the next one is; None where nobody says so."""
    does: str | None
    """What that node says of its last one, or of the one that it takes now."""


@dataclass(frozen=True)
class RestoreStatus:
    under_way: tuple[str, ...]
    """What the nodes say that prepare one, or are not yet in the newest generation; empty: none is under way."""
    undo_until: str | None
    """Until when the last one can be undone, in ISO 8601; None where it cannot be, or there was none."""


@dataclass(frozen=True)
class Status:
    environment: str
    leader: str | None
    nodes: tuple[NodeStatus, ...]
    sentinels: SentinelStatus
    endpoints: dict[str, list[str]]
    floating: FloatingStatus | None
    """None where the environment has no floating pair."""
    changing: tuple[str, ...] = ()
    """The users of whom some node accepts more than one password: a change of them is under way, or was interrupted."""
    redirected: tuple[str, ...] = ()
    """Routes that lead to a machine though no deploy made them so, one sentence each. Not among what ails: passwords
    must be able to change where a gateway has done this."""
    backup: BackupStatus | None = None
    """None where the environment has no backups, or nobody asked for them. Not among what ails either."""
    refused: tuple[str, ...] = ()
    """What Redis refused to a user within the last hour, and what would allow it: one sentence each."""
    restore: RestoreStatus | None = None
    """None where no node says anything of restores."""

    @property
    def ailing(self) -> list[str]:
        """What keeps the cluster from being healthy, one sentence each; none: it is."""
        sentences = [] if self.leader else ["no leader"]
        sentences += [f"{node.name}: {node.role}, {node.says}" for node in self.nodes if not node.healthy]
        if self.sentinels.agreeing != self.sentinels.total:
            sentences.append(f"{self.sentinels.agreeing} of {self.sentinels.total} Sentinels agree")
        for node in self.nodes:
            if node.tilt:
                sentences.append(
                    f"{node.name}: its Sentinel was held up, or its clock jumped (TILT): it replaces no leader for 3 s"
                )
        sentences += self.forged
        if self.floating and self.floating.gateway is None:
            sentences.append(f"no gateway, or more than one, holds the floating pair {self.floating.leader}")
        return sentences

    @property
    def forged(self) -> list[str]:
        """What forged greetings made the Sentinels believe, one sentence each."""
        sentences = []
        for node in self.nodes:
            if node.strangers:
                who = (
                    f"{', '.join(node.strangers)}, which {'is no node' if len(node.strangers) == 1 else 'are no nodes'}"
                )
                sentences.append(f"Sentinel of {node.name} knows {who} of this environment")
            if node.forged_epoch is not None:
                sentences.append(
                    f"Sentinel of {node.name} has the epoch {node.forged_epoch}, which no election gave it"
                )
        return sentences

    @property
    def ended(self) -> list[str]:
        """The nodes whose certificate has ended: nobody begins a session with them any more."""
        return [node.name for node in self.nodes if node.certificate and node.certificate.days_left < 0]

    @property
    def goes_on(self) -> str | None:
        """How to end a change of passwords; None where none is under way."""
        if not self.changing:
            return None
        command = " ".join([f"holdfast secrets rotate {self.environment}", *(f"--user {it}" for it in self.changing)])
        return f"passwords of {', '.join(self.changing)} are changing; to go on: {command}"

    @property
    def news(self) -> list[str]:
        """What keeps it from being healthy, then what else needs somebody: one sentence each, the worst first."""
        late = [f"backups: {self.backup.says}"] if self.backup and self.backup.late else []
        # An ended certificate stops every new session with its node, a later one stops nobody yet.
        by_urgency = sorted(self.nodes, key=lambda node: node.name not in self.ended)
        notices = [sentence for node in by_urgency for sentence in node.notices(self.environment)]
        goes_on = [self.goes_on] if self.goes_on else []
        return [*self.ailing, *self.redirected, *late, *notices, *self.refused, *goes_on]

    @property
    def healthy(self) -> bool:
        late = self.backup is not None and self.backup.late
        return not self.ailing and not self.ended and not self.redirected and not late

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"healthy": self.healthy, "ended": self.ended, "forged": self.forged}


def work_out(cluster: Cluster, reports: Mapping[str, Report | Unreadable], newest: Newest | None = None) -> Status:
    """The status of `cluster` by its nodes' reports, and by its newest backup where that was looked for.

    The leader is the node that says it leads and that a majority of the Sentinels names: a node that merely
    believes so is shown as `waiting`.
    """
    fresh = {name: it for name, it in reports.items() if isinstance(it, Report) and it.fresh}
    named = Counter(report.named_leader for report in fresh.values() if report.named_leader)
    leader = _leader(cluster, fresh, named)
    nodes = tuple(_node(node, reports.get(node.name), leader) for node in cluster.nodes)
    total = len(cluster.having(Role.SENTINEL))
    floating = _floating(cluster, fresh)
    agreeing = named[leader.address] if leader else 0
    return Status(
        environment=cluster.environment.name,
        leader=leader.node if leader else None,
        nodes=nodes,
        sentinels=SentinelStatus(agreeing=agreeing, total=total),
        endpoints={
            kind: [f"{node.endpoints[kind]}:{cluster.endpoint_port}" for node in cluster.having(Role.GATEWAY)]
            for kind in ("leader", "replica")
        },
        floating=floating,
        changing=_changing(fresh.values()),
        redirected=_redirected(fresh),
        backup=_backup(fresh, newest) if newest else None,
        refused=refusals.sentences(cluster.environment, {name: report.refused for name, report in fresh.items()}),
        restore=_restore(fresh),
    )


def _restore(fresh: Mapping[str, Report]) -> RestoreStatus | None:
    said = {name: report.restore for name, report in fresh.items() if report.restore}
    if not said:
        return None
    # Their ids begin with the time.
    newest = max(one.generation for one in said.values())
    preparing = {name: one.preparation.says for name, one in said.items() if one.preparation.at_work}
    changing = {name: one.exchange.says for name, one in said.items() if one.generation != newest}
    kept = [one.kept_until for one in said.values() if one.generation == newest and one.kept_until is not None]
    return RestoreStatus(
        under_way=tuple(f"{name}: {says}" for name, says in (preparing | changing).items()),
        undo_until=f"{datetime.fromtimestamp(max(kept), UTC):%Y-%m-%dT%H:%M:%SZ}" if kept else None,
    )


def _backup(fresh: Mapping[str, Report], newest: Newest) -> BackupStatus:
    turns = [(name, report.backup.says) for name, report in fresh.items() if report.backup and report.backup.turn]
    node, does = turns[0] if len(turns) == 1 else (None, None)
    return BackupStatus(newest.taken_at, newest.late, newest.says, node, does)


def _changing(reports: Iterable[Report]) -> tuple[str, ...]:
    found = {user for report in reports for user, versions in report.secrets.items() if len(versions) > 1}
    return tuple(sorted(found))


def _redirected(fresh: Mapping[str, Report]) -> tuple[str, ...]:
    """With who says so: it may be the one that lies. `of`: the node whose machine it is, where it is one of ours."""
    nodes = {report.instance_id: name for name, report in fresh.items()}
    said: dict[Route, list[str]] = {}
    for name, report in fresh.items():
        for route in report.routes:
            said.setdefault(route, []).append(name)
    return tuple(
        f"route {route.destination} of {route.table} leads to {route.interface}"
        + (f" of {nodes.get(route.instance, route.instance)}" if route.instance else "")
        + f", where no deploy had it lead (says {', '.join(names)})"
        for route, names in said.items()
    )


def _floating(cluster: Cluster, fresh: Mapping[str, Report]) -> FloatingStatus | None:
    pair = cluster.floating
    if pair is None:
        return None
    holders = [name for name, report in fresh.items() if report.holds_floating]
    return FloatingStatus(
        leader=f"{pair.leader}:{cluster.endpoint_port}",
        replica=f"{pair.replica}:{cluster.endpoint_port}",
        gateway=holders[0] if len(holders) == 1 else None,
    )


def _leader(cluster: Cluster, fresh: Mapping[str, Report], named: Counter[str]) -> Report | None:
    speaking = sum(node.name in fresh for node in cluster.having(Role.SENTINEL))
    for report in fresh.values():
        majority = named[report.address] >= max(min(cluster.quorum, speaking), 1)
        if report.role == "leader" and majority:
            return report
    return None


def _node(node: Node, report: Report | Unreadable | None, leader: Report | None) -> NodeStatus:
    if report is None:
        return _silent(node, "has never reported", None)
    if isinstance(report, Unreadable):
        return _silent(node, report.says, None)
    if not report.fresh:
        return _silent(node, f"last reported {report.age:.0f} s ago: {report.decision}", report)
    is_leader = leader is not None and report.node == leader.node
    follows = (
        next((replica for replica in leader.replicas if replica.address == report.address), None) if leader else None
    )
    lag = 0 if is_leader else None
    if leader is not None and leader.offset is not None and follows is not None and not is_leader:
        lag = max(leader.offset - follows.offset, 0)
    in_place = is_leader or (report.role == "replica" and follows is not None and follows.online)
    in_place = in_place or Role.DATA not in node.roles
    return NodeStatus(
        name=node.name,
        zone=node.zone.letter,
        role="waiting" if report.role == "leader" and not is_leader else report.role,
        roles=_roles(node),
        address=str(node.address),
        lag_bytes=lag,
        healthy=report.ready and in_place,
        instance_id=report.instance_id,
        version=report.version,
        says=report.decision + (f" (for {report.silent_s:.0f} s)" if report.silent_s else ""),
        certificate=_certificate(report.certificate) if report.certificate else None,
        tilt=report.tilt,
        strangers=report.strangers,
        forged_epoch=report.forged_epoch,
        aside=report.aside,
        killed=report.killed,
        program=report.program,
        image=_image(report),
    )


def _certificate(certificate: Certificate) -> CertificateStatus:
    left = datetime.fromisoformat(certificate.ends) - datetime.now(UTC)
    return CertificateStatus(certificate.ends, left.days, left < DUE)


def _silent(node: Node, says: str, report: Report | None) -> NodeStatus:
    return NodeStatus(
        name=node.name,
        zone=node.zone.letter,
        role="unknown",
        roles=_roles(node),
        address=str(node.address),
        lag_bytes=None,
        healthy=False,
        instance_id=report.instance_id if report else None,
        version=report.version if report else None,
        says=says,
        program=report.program if report else None,
        image=_image(report) if report else None,
    )


def _image(report: Report) -> str | None:
    return report.software.image if report.software else None


def _roles(node: Node) -> tuple[str, ...]:
    return tuple(role.value for role in Role if role in node.roles)
