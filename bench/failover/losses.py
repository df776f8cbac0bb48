"""Ways to lose the leader or a gateway, and what each may cost us: the project's own goals, for two shared cores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.topology import Node

if TYPE_CHECKING:
    from bench.failover.settings import Settings


@dataclass(frozen=True)
class Loss:
    name: str
    what: str
    strike: Callable[[Settings, Node], object]
    """What is done; the leader follows."""
    p50: float
    p99: float
    survives: bool = True
    """Whether the leader's own gateway goes on."""
    stays_dead: bool = False
    """Its Redis must not be restarted by its machine."""


def _fault(kind: str) -> Callable[[Settings, Node], object]:
    return lambda settings, leader: settings.site.cluster.fault(kind, leader.name)


LOSSES = (
    Loss("killed", "leader process killed", _fault("kill"), 0.35, 0.6),
    Loss("dead", "leader process killed for good", _fault("kill"), 0.35, 0.6, stays_dead=True),
    Loss("frozen", "leader frozen", _fault("freeze"), 1.2, 1.8),
    Loss("power-cut", "leader's machine power-cut", _fault("power-cut"), 1.2, 1.8, survives=False),
    Loss(
        "isolated",
        "leader's zone isolated",
        # Each zone has one of the three.
        _fault("isolate"),
        1.2,
        1.8,
        survives=False,
    ),
    Loss("planned", "planned handover", lambda settings, leader: settings.hand_over(leader), 0.25, 0.4),
)


@dataclass(frozen=True)
class PairLoss:
    """Power-cut of the machine that holds our floating pair: who uses the pair has no other gateway meanwhile."""

    name: str
    what: str
    leads: bool
    """Whether the same machine has the leader."""
    p99: float


PAIR_LOSSES = (
    PairLoss("gateway", "floating pair's gateway lost", leads=False, p99=2.0),
    PairLoss("leader-and-gateway", "leader and the floating pair's gateway lost together", leads=True, p99=2.5),
)
