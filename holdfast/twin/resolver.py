"""The VPC's resolver: answers machines for the private zones of their network, as Route 53 does.

It refuses all other names: the twin's internet has no name servers that it could ask.
"""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from typing import Literal

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from holdfast.twin import netns
from holdfast.twin.rules import RESOLVER_PORT, resolvers
from holdfast.twin.view import CloudView, PrivateZone, Records, Vpc

Transport = Literal["udp", "tcp"]
Reply = Callable[[bytes, Transport], bytes | None]
"""A query as it came → its answer, or None for silence."""

LONGEST_UDP, LONGEST_TCP = 4096, 65535
"""Bytes of an answer. By UDP, a client gets as much as it says that it takes, else 512; if that is not all, it has to
ask again by TCP."""
IDLE = 10.0
"""Seconds after which a TCP connection without a query is closed."""


def configuration(vpc: Vpc, region: str) -> str:
    """A machine's /etc/resolv.conf, as the lease of a VPC without DHCP options of its own has it."""
    return f"nameserver {resolvers(vpc)[0]}\nsearch {region}.compute.internal\n"


def reply(view: CloudView, vpc_id: str, query: bytes, transport: Transport) -> bytes | None:
    """The answer to a machine in that VPC, from the records as they are now."""
    vpc = view.vpcs.get(vpc_id)
    if vpc is None or not vpc.dns_support:
        return None
    try:
        asked = dns.message.from_wire(query)
    except dns.exception.DNSException:
        return None
    if asked.flags & dns.flags.QR:
        return None
    answer = dns.message.make_response(asked, recursion_available=True, our_payload=LONGEST_UDP)
    zones = [zone for zone in view.private_zones if vpc_id in zone.vpcs] if vpc.dns_hostnames else []
    answer.set_rcode(_fill(answer, zones))
    room = min(answer.request_payload or 512, LONGEST_UDP) if transport == "udp" else LONGEST_TCP
    return answer.to_wire(max_size=room, prefer_truncation=True)


def _fill(answer: dns.message.Message, zones: list[PrivateZone]) -> dns.rcode.Rcode:
    """Give an answer its records, or the zone's SOA in their place."""
    if answer.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if len(answer.question) != 1:
        return dns.rcode.FORMERR
    name, kind = answer.question[0].name, answer.question[0].rdtype
    zone = _closest(zones, name)
    if zone is None or answer.question[0].rdclass != dns.rdataclass.IN:
        return dns.rcode.REFUSED
    found = zone.records.get((_text(name), dns.rdatatype.to_text(kind)))
    if found:
        answer.answer.append(_record_set(name, kind, found))
        return dns.rcode.NOERROR
    apex = dns.name.from_text(zone.name)
    authority = _record_set(apex, dns.rdatatype.SOA, zone.records[zone.name, "SOA"])
    answer.authority.append(authority)
    # A name also exists when only names below it have records.
    exists = any(dns.name.from_text(other).is_subdomain(name) for other, _ in zone.records)
    return dns.rcode.NOERROR if exists else dns.rcode.NXDOMAIN


def _closest(zones: Iterable[PrivateZone], name: dns.name.Name) -> PrivateZone | None:
    """The most specific zone that a name is in. No other zone is asked, even if this one has no record."""
    around = [zone for zone in zones if name.is_subdomain(dns.name.from_text(zone.name))]
    return max(around, key=lambda zone: len(zone.name), default=None)


def _record_set(name: dns.name.Name, kind: dns.rdatatype.RdataType, found: Records) -> dns.rrset.RRset:
    """dnspython writes its values in random order, as Route 53 does."""
    # Names in values are whole ones, with or without a dot at their end.
    return dns.rrset.from_text_list(
        name, found.ttl, dns.rdataclass.IN, kind, found.values, origin=dns.name.root, relativize=False
    )


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def servers(namespace: str, addresses: Iterable[IPv4Address], answer: Reply) -> list[Server]:
    """Begin to answer in a router's namespace, by UDP and TCP."""
    return [server for address in addresses for server in _both(namespace, str(address), answer)]


def _both(namespace: str, address: str, answer: Reply) -> tuple[Server, Server]:
    class Datagram(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, receiver = self.request
            if (said := answer(query, "udp")) is not None:
                with contextlib.suppress(OSError):
                    receiver.sendto(said, self.client_address)

    class Stream(socketserver.StreamRequestHandler):
        timeout = IDLE

        def handle(self) -> None:
            with contextlib.suppress(OSError):
                while length := int.from_bytes(self.rfile.read(2)):
                    said = answer(self.rfile.read(length), "tcp")
                    if said is None:
                        return
                    self.wfile.write(len(said).to_bytes(2) + said)

    udp, tcp = _Udp((address, RESOLVER_PORT), Datagram, False), _Tcp((address, RESOLVER_PORT), Stream, False)
    udp.socket.close()
    udp.socket = netns.receiver_in(namespace, address, RESOLVER_PORT)
    tcp.socket.close()
    tcp.socket = netns.listener_in(namespace, address, RESOLVER_PORT)
    return Server(udp), Server(tcp)


class _Udp(socketserver.UDPServer):
    max_packet_size = LONGEST_UDP


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True


class Server:
    """Answers on a thread of its own until it is stopped."""

    def __init__(self, server: socketserver.BaseServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True, name="resolver")
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
