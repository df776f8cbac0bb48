"""The instance types an environment may name: memory, addresses per interface, architecture.

Source: Amazon EC2 user guide, "Maximum IP addresses per network interface" and the instance type pages.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class InstanceType:
    """`memory` in MiB; `addresses` is the number of private IPv4 addresses that its first interface can hold."""

    memory: int
    addresses: int
    arch: str


def _family(name: str, arch: str, sizes: dict[str, tuple[int, int]]) -> dict[str, InstanceType]:
    return {f"{name}.{size}": InstanceType(memory, addresses, arch) for size, (memory, addresses) in sizes.items()}


_GIB = 1024
_BURSTABLE = {
    "nano": (_GIB // 2, 2),
    "micro": (1 * _GIB, 2),
    "small": (2 * _GIB, 4),
    "medium": (4 * _GIB, 6),
    "large": (8 * _GIB, 12),
    "xlarge": (16 * _GIB, 15),
    "2xlarge": (32 * _GIB, 15),
}
_GENERAL = {
    "large": (8 * _GIB, 10),
    "xlarge": (16 * _GIB, 15),
    "2xlarge": (32 * _GIB, 15),
    "4xlarge": (64 * _GIB, 30),
    "8xlarge": (128 * _GIB, 30),
}
_MEMORY = {size: (2 * memory, addresses) for size, (memory, addresses) in _GENERAL.items()}
_GRAVITON_SMALL = {"medium": (4 * _GIB, 4)}
_GRAVITON_MEMORY_SMALL = {"medium": (8 * _GIB, 4)}

INSTANCE_TYPES: dict[str, InstanceType] = {
    **_family("t3", "amd64", _BURSTABLE),
    **_family("t3a", "amd64", _BURSTABLE),
    **_family("t4g", "arm64", _BURSTABLE),
    **_family("m6i", "amd64", _GENERAL),
    **_family("m7i", "amd64", _GENERAL),
    **_family("m6g", "arm64", _GENERAL | _GRAVITON_SMALL),
    **_family("m7g", "arm64", _GENERAL | _GRAVITON_SMALL),
    **_family("r6i", "amd64", _MEMORY),
    **_family("r7i", "amd64", _MEMORY),
    **_family("r6g", "arm64", _MEMORY | _GRAVITON_MEMORY_SMALL),
    **_family("r7g", "arm64", _MEMORY | _GRAVITON_MEMORY_SMALL),
}
