"""Which version of Redis each distribution has, and so which settings its templates may use."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.topology.spec import Distribution

REDIS_VERSIONS: dict[Distribution, tuple[int, int]] = {
    Distribution.UBUNTU_22_04: (6, 0),
    Distribution.DEBIAN_12: (7, 0),
    Distribution.UBUNTU_24_04: (7, 0),
    Distribution.DEBIAN_13: (8, 0),
}


@dataclass(frozen=True)
class Features:
    since_6_2: bool
    since_7_0: bool
    since_8_0: bool

    @classmethod
    def of(cls, distribution: Distribution) -> Features:
        version = REDIS_VERSIONS[distribution]
        return cls(since_6_2=version >= (6, 2), since_7_0=version >= (7, 0), since_8_0=version >= (8, 0))
