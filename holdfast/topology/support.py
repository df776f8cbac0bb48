"""What was proven of each combination of distribution, layout and TLS: the one list behind README.md and `validate`.

A test compares `RUN_IN_CI` with the environments that the tests on the twin deploy.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from holdfast.topology.spec import LAYOUTS, Distribution, Environment, TlsSpec
from holdfast.topology.versions import REDIS_VERSIONS


class Proof(IntEnum):
    """The higher, the more."""

    RENDERED_ONLY = 0
    """Its texts are rendered and checked. Nothing ever booted them."""
    RUN_BY_HAND = 1
    """It ran on the twin, for a benchmark, and does so on request alone."""
    RUN_IN_CI = 2
    """Each run of `make test` deploys it to the twin, and breaks it."""

    def __str__(self) -> str:
        return ("rendered only", "run by hand", "run in CI")[self]


class Combination(NamedTuple):
    distribution: Distribution
    layout: str
    tls: str
    """One of `TLS`."""


TLS = ("off", "optional", "required", "mutual")
"""The last is `required` with certificates of the clients."""

RUN_IN_CI = frozenset(
    {
        Combination(Distribution.DEBIAN_12, "compact", "off"),
        Combination(Distribution.DEBIAN_12, "compact", "required"),
        Combination(Distribution.DEBIAN_12, "single", "optional"),
        Combination(Distribution.DEBIAN_12, "tiered", "mutual"),
        Combination(Distribution.DEBIAN_13, "compact", "off"),
    }
)
RUN_BY_HAND = frozenset(
    {
        # `python -m bench.tls`.
        Combination(Distribution.DEBIAN_12, "compact", "mutual"),
    }
)

NAMES = {
    Distribution.DEBIAN_12: "Debian 12",
    Distribution.DEBIAN_13: "Debian 13",
    Distribution.UBUNTU_22_04: "Ubuntu 22.04",
    Distribution.UBUNTU_24_04: "Ubuntu 24.04",
}


def proof(combination: Combination) -> Proof:
    if combination in RUN_IN_CI:
        return Proof.RUN_IN_CI
    return Proof.RUN_BY_HAND if combination in RUN_BY_HAND else Proof.RENDERED_ONLY


def combinations(environment: Environment) -> list[Combination]:
    """One for each distribution of its machines, by name."""
    distributions = sorted({machine.image for machine in environment.machines.values()})
    return [Combination(it, environment.layout.kind, _tls(environment.tls)) for it in distributions]


def caution(environment: Environment) -> str | None:
    """A sentence about what of this environment no test runs; None where tests run all of it."""
    unproven = [it for it in combinations(environment) if proof(it) is not Proof.RUN_IN_CI]
    if not unproven:
        return None
    distributions = " and ".join(NAMES[it.distribution] for it in unproven)
    least = min(map(proof, unproven))
    what = {
        Proof.RENDERED_ONLY: "was only rendered, and never booted by a test",
        Proof.RUN_BY_HAND: "ran on the twin by hand, and in no regular test",
    }[least]
    return f"{distributions} with layout {unproven[0].layout} and TLS {unproven[0].tls} {what} (README.md, Support)."


def table() -> list[str]:
    """The matrix, as lines of Markdown."""
    lines = [f"| distribution | Redis | layout | {' | '.join(f'TLS `{tls}`' for tls in TLS[:3])} | mutual TLS |"]
    lines.append(f"| {' | '.join(['---'] * (3 + len(TLS)))} |")
    for distribution in Distribution:
        version = ".".join(map(str, REDIS_VERSIONS[distribution]))
        for layout in LAYOUTS:
            cells = [str(proof(Combination(distribution, layout, tls))) for tls in TLS]
            lines.append(f"| {NAMES[distribution]} | {version} | `{layout}` | {' | '.join(cells)} |")
    return lines


def _tls(tls: TlsSpec) -> str:
    return "mutual" if tls.mutual else tls.mode.value
