"""Which Redis each distribution has."""

from __future__ import annotations

from holdfast.topology.spec import Distribution

REDIS_VERSIONS: dict[Distribution, tuple[int, int]] = {
    Distribution.UBUNTU_22_04: (6, 0),
    Distribution.DEBIAN_12: (7, 0),
    Distribution.UBUNTU_24_04: (7, 0),
    Distribution.DEBIAN_13: (8, 0),
}

RDB_SINCE: dict[tuple[int, int], int] = {(5, 0): 9, (7, 0): 10, (7, 2): 11, (7, 4): 12}
"""Version of Redis → the format of its RDB, from there on. Each one loads its own and those before."""


def newest_rdb(version: tuple[int, int]) -> int:
    """The newest format that a Redis of that version loads; 0 where nobody knows it."""
    return max((rdb for since, rdb in RDB_SINCE.items() if since <= version), default=0)
