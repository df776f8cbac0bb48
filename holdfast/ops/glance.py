"""What `holdfast status` looks at: one environment, or all of them side by side, so that none waits for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.ops import reports, status
from holdfast.ops.backups.store import Store
from holdfast.ops.status import Status
from holdfast.rendering import program
from holdfast.topology import Cluster, InvalidEnvironment, load_environment, pins
from holdfast.topology.pins import Pin

PATIENCE = 20.0
"""Seconds for all of them together. A healthy API has answered after one; its client tries three times for 13 s."""


class State(StrEnum):
    """The worst first. Nobody knows whether those between the first and the last take writes."""

    NOT_HEALTHY = "not healthy"
    UNKNOWN = "unknown"
    INVALID = "invalid file"
    NOT_DEPLOYED = "not deployed"
    HEALTHY = "healthy"


@dataclass(frozen=True)
class Program:
    """The node programs that an environment's nodes run, as far as they say it."""

    sha256: tuple[str, ...]
    """Several: a deploy is under way, or was stopped."""
    here: bool
    """Whether all of them run that of this checkout."""


@dataclass(frozen=True)
class Image:
    """The oldest one that is pinned for an environment's machines."""

    id: str
    name: str
    days: int | None
    """Since the day in its name; None where it has none."""
    runs: bool | None
    """Whether every node runs what is pinned for it; None where a node does not say what it runs."""


@dataclass(frozen=True)
class Glance:
    environment: str
    state: State
    news: tuple[str, ...]
    """The worst first: why it is not healthy or why nothing is known, then what else needs somebody."""
    leader: str | None = None
    well: int | None = None
    """Nodes that are healthy; None where nothing is known of them."""
    nodes: int | None = None
    """None where the file does not say it."""
    program: Program | None = None
    """None where no node says it."""
    image: Image | None = None
    """None where none is pinned."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def look(cluster: Cluster) -> Status:
    """The status of one environment, as it is now.

    Raises:
        CloudError: its cloud does not tell.
    """
    environment = cluster.environment
    said = reports.fetch(environment)
    backup = environment.backup
    newest = Store(environment).newest(backup, datetime.now(UTC)) if backup else None
    return status.work_out(cluster, said, newest)


def look_at_all(files: Sequence[Path], patience: float = PATIENCE) -> list[Glance]:
    """A glance at the environment of each file, the worst first. Those that do not answer in time are `unknown`."""
    answers: dict[Path, Glance] = {}

    def ask(file: Path) -> None:
        answers[file] = _glance(file)

    # Not a pool: the end of the program would wait for its threads, and so for an API that does not answer.
    threads = [threading.Thread(target=ask, args=(file,), daemon=True) for file in files]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + patience
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    late = f"its cloud did not answer within {patience:g} s"
    return sorted((answers.get(file) or Glance(file.stem, State.UNKNOWN, (late,)) for file in files), key=_order)


def _order(glance: Glance) -> tuple[int, bool, bool, str]:
    """Without a leader nothing is written, so that is worse than one lost node."""
    return list(State).index(glance.state), glance.leader is not None, not glance.news, glance.environment


def _glance(file: Path) -> Glance:
    """Whatever is wrong with one environment is told in its own line, and costs the others nothing."""
    name, nodes, image = file.stem, None, None
    try:
        cluster = Cluster.of(load_environment(file, file.parent))
        nodes = len(cluster.nodes)
        pinned = _pinned(cluster, file.parent)
        image = _image(pinned, None)
        seen = look(cluster)
    except InvalidEnvironment as error:
        return Glance(name, State.INVALID, tuple(map(str, error.problems)))
    except reports.NotDeployed as error:
        return Glance(name, State.NOT_DEPLOYED, (_reason(name, error),), nodes=nodes, image=image)
    except Exception as error:
        return Glance(name, State.UNKNOWN, (_reason(name, error),), nodes=nodes, image=image)
    return Glance(
        name,
        State.HEALTHY if seen.healthy else State.NOT_HEALTHY,
        tuple(seen.news),
        leader=seen.leader,
        well=sum(node.healthy for node in seen.nodes),
        nodes=nodes,
        program=_program(seen),
        image=_image(pinned, seen),
    )


def _reason(name: str, error: Exception) -> str:
    if isinstance(error, HoldfastError):
        return str(error).removeprefix(f"{name}: ")
    return f"{type(error).__name__}: {error}"


def _program(seen: Status) -> Program | None:
    found = tuple(sorted({node.program for node in seen.nodes if node.program}))
    return Program(found, found == (program().sha256,)) if found else None


def _pinned(cluster: Cluster, folder: Path) -> dict[str, Pin]:
    """Node → the image that is pinned for it; without those for which none is."""
    environment = cluster.environment
    found = pins.read(folder).get(pins.owner(environment), {})
    keys = {node.name: pins.key(environment, node.machine) for node in cluster.nodes}
    return {node: found[key] for node, key in keys.items() if key in found}


def _image(pinned: dict[str, Pin], seen: Status | None) -> Image | None:
    """`seen`: None where nothing is known of what runs."""
    if not pinned:
        return None
    # One without a date may be older than any other.
    oldest = min(pinned.values(), key=lambda pin: pin.built or date.min)
    days = (datetime.now(UTC).date() - oldest.built).days if oldest.built else None
    running = {node.name: node.image for node in seen.nodes} if seen else {}
    told = [running.get(node) for node in pinned]
    runs = None if None in told else all(running[node] == pin.id for node, pin in pinned.items())
    return Image(oldest.id, oldest.name, days, runs)
