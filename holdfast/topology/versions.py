"""Which Redis each distribution has."""

from __future__ import annotations

from holdfast.topology.spec import Distribution

REDIS_VERSIONS: dict[Distribution, tuple[int, int]] = {
    Distribution.UBUNTU_22_04: (6, 0),
    Distribution.DEBIAN_12: (7, 0),
    Distribution.UBUNTU_24_04: (7, 0),
    Distribution.DEBIAN_13: (8, 0),
}
