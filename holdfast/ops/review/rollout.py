"""A deploy as steps: zone after zone, which nodes are away, and what that leaves of each role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from holdfast.ops.review.nodes import Node
from holdfast.topology.spec import Role


@dataclass(frozen=True)
class Left:
    """Of the nodes that have a role: how many are not away, and how many there are."""

    left: int
    total: int

    @property
    def touched(self) -> bool:
        return self.left < self.total


@dataclass(frozen=True)
class Step:
    """One zone of the rollout: the nodes that are away at once, and what is left meanwhile."""

    zone: str
    away: tuple[str, ...]
    data: Left
    gateways: Left
    sentinels: Left
    replicas_for_writes: int
    """How many replicas whoever leads meanwhile must have to take writes; the most, where nodes differ."""

    @property
    def majority(self) -> int:
        return self.sentinels.total // 2 + 1

    @property
    def spare(self) -> int:
        """How many more Sentinels may fail before the majority is lost; negative: it is lost."""
        return self.sentinels.left - self.majority

    @property
    def alike(self) -> bool:
        """Every node has every role."""
        return self.data == self.gateways == self.sentinels

    @property
    def writable(self) -> bool:
        """Somebody is left to lead, with as many replicas as writes need."""
        return self.data.left > self.replicas_for_writes


def steps(found: Iterable[Node]) -> tuple[Step, ...]:
    """The zones of a rollout that take nodes away, in order."""
    present = [node for node in found if node.before]
    done: list[Node] = []
    rollout = []
    for zone, group in groupby(present, lambda it: it.zone):
        here = list(group)
        if away := [node for node in here if node.down]:
            rollout.append(_step(zone, away, present, done))
        done += here
    return tuple(rollout)


def _step(zone: str, away: list[Node], present: list[Node], done: list[Node]) -> Step:
    def left(role: Role) -> Left:
        total = sum(node.had(role) for node in present)
        return Left(total - sum(node.had(role) for node in away), total)

    # Nodes of the zones before this one have the new settings, those of the zones after it the old ones.
    leading = [node.after if node in done else node.before for node in present if node not in away]
    return Step(
        zone=zone,
        away=tuple(node.name for node in away),
        data=left(Role.DATA),
        gateways=left(Role.GATEWAY),
        sentinels=left(Role.SENTINEL),
        replicas_for_writes=max((side.replicas_for_writes for side in leading if side), default=0),
    )


def moves(leader: str, rollout: tuple[Step, ...]) -> tuple[int, int]:
    """How often the leader moves at least and at most: whoever takes over may itself be in a later zone.

    Nowhere at all where nobody else has data.
    """
    touching = [step for step in rollout if step.data.touched]
    for index, step in enumerate(touching):
        if leader in step.away and step.data.left:
            later = touching[index + 1 :]
            others_go_too = sum(it.data.total - it.data.left for it in later) == step.data.left
            return 1 + others_go_too, 1 + len(later)
    return 0, 0
