"""Which settings the templates of a distribution may use, by the version of its Redis."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.topology.spec import Distribution
from holdfast.topology.versions import REDIS_VERSIONS


@dataclass(frozen=True)
class Features:
    since_6_2: bool
    since_7_0: bool
    since_8_0: bool

    @classmethod
    def of(cls, distribution: Distribution) -> Features:
        version = REDIS_VERSIONS[distribution]
        return cls(since_6_2=version >= (6, 2), since_7_0=version >= (7, 0), since_8_0=version >= (8, 0))
