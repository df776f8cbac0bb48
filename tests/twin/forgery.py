"""Packets that a machine sends in the name of others."""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection
from ipaddress import IPv4Address

VRRP = 112
ROUTER, PRIORITY = 51, 255
"""That of templates/keepalived.conf; and the highest that there is, which ours never have."""
HEADER = 20
"""Bytes of an IPv4 header without options."""

EVERYBODY = b"\xff" * 6


def announcement(mac: bytes, address: str) -> bytes:
    """A frame by which its sender tells everybody, unasked, that an address is his (ARP, RFC 5227)."""
    packed = IPv4Address(address).packed
    request = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + packed + bytes(6) + packed
    return EVERYBODY + mac + b"\x08\x06" + request


def advert(source: str, target: str, addresses: Collection[str]) -> bytes:
    """A packet by which `source` would hold the floating pair before all others (VRRP 3, RFC 5798)."""
    sender, receiver = (IPv4Address(it).packed for it in (source, target))
    pair = b"".join(IPv4Address(it).packed for it in addresses)
    start, end = struct.pack("!BBBBH", 0x31, ROUTER, PRIORITY, len(addresses), 20), pair
    pseudo = sender + receiver + struct.pack("!BBH", 0, VRRP, len(start) + 2 + len(end))
    said = start + struct.pack("!H", _checksum(pseudo + start + bytes(2) + end)) + end
    # The kernel fills in its length, its id and its checksum.
    header = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 255, VRRP, 0) + sender + receiver
    return header + said


def priorities(listening: socket.socket) -> list[int]:
    """Of all adverts that a raw socket has received by now."""
    found = []
    while True:
        try:
            found.append(listening.recv(200)[HEADER + 2])
        except BlockingIOError:
            return found


def _checksum(content: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
