"""What the twin's network does with real packets: who reaches whom, moved addresses, cuts. Needs root, no machines.

Touches no namespace but its own, so that it may run beside a twin.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

import dns.exception
import dns.message
import dns.query
import pytest

from holdfast.rendering.files import TEMPLATES
from holdfast.twin import client, netns, outside, resolver
from holdfast.twin.fabric import Fabric
from holdfast.twin.rules import Cut, Loss, Severed, resolvers
from holdfast.twin.run import CommandFailed, run
from holdfast.twin.view import (
    CloudView,
    Instance,
    Interface,
    Mapped,
    NatGateway,
    PrivateZone,
    Records,
    Route,
    Rule,
    SecurityGroup,
    Subnet,
    Vpc,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

VPC = "vpc-feed0000"
A1, A2, B1 = "i-feed00a1", "i-feed00a2", "i-feed00b1"
TAGS = (("Environment", "site"),)
ZONE_A, ZONE_B = (Cut(zones=frozenset({("site", f"eu-central-1{letter}")})) for letter in "ab")
OVERLAY = "10.200.0.1"
ANYWHERE = IPv4Network("0.0.0.0/0")
ZONE = PrivateZone(
    "site.internal", frozenset({VPC}), {("leader.site.internal", "A"): Records(5, ("10.40.0.4", "10.40.16.4"))}
)
SILENCE = 0.4
"""Seconds after which no answer counts as none; answers take a millisecond."""


def _node(instance_id: str, subnet: str, addresses: list[str], *, check: bool = True) -> tuple[Instance, Interface]:
    interface_id = instance_id.replace("i-", "eni-")
    zone = f"eu-central-1{instance_id[-2]}"
    return (
        Instance(
            instance_id,
            "",
            "running",
            "t3.small",
            2048,
            zone,
            "ami-1",
            b"",
            None,
            "required",
            (interface_id,),
            (),
            TAGS,
        ),
        Interface(
            interface_id,
            subnet,
            f"02:00:00:00:00:{instance_id[-2:]}",
            tuple(IPv4Address(address) for address in addresses),
            ("sg-nodes",),
            check,
            instance_id,
            0,
        ),
    )


def cloud() -> CloudView:
    """Zone a has a NAT gateway; zone b has none, but a route to an overlay address on the first node."""
    nodes = [
        _node(A1, "s-a", ["10.40.0.4", "10.40.0.5", "10.40.0.6"], check=False),
        _node(A2, "s-a", ["10.40.0.7"]),
        _node(B1, "s-b", ["10.40.16.4"]),
    ]
    in_a, in_b = (Route(ANYWHERE, "nat-1"),), (Route(IPv4Network(OVERLAY), "eni-feed00a1"),)
    clients = Rule("tcp", 6379, 6379, cidrs=(IPv4Network("10.40.0.0/16"),))
    return CloudView(
        account="123456789012",
        region="eu-central-1",
        vpcs={VPC: Vpc(VPC, IPv4Network("10.40.0.0/16"), dns_hostnames=True)},
        subnets={
            "s-a": Subnet("s-a", VPC, IPv4Network("10.40.0.0/20"), "eu-central-1a", in_a),
            "s-b": Subnet("s-b", VPC, IPv4Network("10.40.16.0/20"), "eu-central-1b", in_b),
            "s-n": Subnet("s-n", VPC, IPv4Network("10.40.128.0/20"), "eu-central-1a", (Route(ANYWHERE, "igw-1"),)),
        },
        groups={
            "sg-nodes": SecurityGroup(
                "sg-nodes",
                VPC,
                (Rule("tcp", 6380, 6380, groups=("sg-nodes",)), clients),
                (Rule("-1", None, None, cidrs=(ANYWHERE,)),),
            )
        },
        interfaces={interface.id: interface for _, interface in nodes},
        instances={instance.id: instance for instance, _ in nodes},
        nat_gateways={"nat-1": NatGateway("nat-1", "s-n")},
        private_zones=(ZONE,),
    )


def moved(view: CloudView) -> CloudView:
    """The first node's last address, given to the second node."""
    first, second = view.interfaces["eni-feed00a1"], view.interfaces["eni-feed00a2"]
    interfaces = {
        first.id: replace(first, addresses=first.addresses[:2]),
        second.id: replace(second, addresses=(*second.addresses, first.addresses[2])),
    }
    return replace(view, interfaces=view.interfaces | interfaces)


PUBLIC, OFFICE, BESIDE = "198.18.0.9", "203.0.113.5", "203.0.113.200"


def published(view: CloudView, back: str) -> CloudView:
    """The node of zone b has a public address, and the internet is let in; its subnet sends back only to `back`."""
    node, subnet, group = view.interfaces["eni-feed00b1"], view.subnets["s-b"], view.groups["sg-nodes"]
    node = replace(node, public=(Mapped(IPv4Address(PUBLIC), node.addresses[0]),))
    subnet = replace(subnet, routes=(*subnet.routes, Route(IPv4Network(back), "igw-1")))
    internet = Rule("tcp", 6379, 6379, cidrs=(IPv4Network("203.0.113.0/24"),))
    return replace(
        view,
        interfaces=view.interfaces | {node.id: node},
        subnets=view.subnets | {subnet.id: subnet},
        groups={group.id: replace(group, ingress=(*group.ingress, internet))},
    )


@dataclass(frozen=True)
class Network:
    fabric: Fabric
    router: str = netns.name_of(VPC)

    def reach(self, who: str, address: str, port: int, source: str | None = None) -> str | None:
        """Who says that he answers, and to whom; None: nobody does."""
        with contextlib.suppress(OSError, client.NotRunning), self.connect(who, address, port, source) as connection:
            return connection.recv(100).decode()
        return None

    def connect(self, who: str, address: str, port: int, source: str | None = None) -> socket.socket:
        if who in (OFFICE, BESIDE):
            return client.connect_from_outside(who, address, port, SILENCE)
        connection = netns.socket_in(self.router if who == VPC else netns.name_of(who))
        connection.settimeout(SILENCE)
        if source is not None:
            connection.bind((source, 0))
        connection.connect((address, port))
        return connection


def _serve(listener: socket.socket) -> None:
    """Say who answers whom, then repeat what comes."""
    while True:
        try:
            connection, (caller, _) = listener.accept()
        except OSError:
            return
        connection.sendall(f"{connection.getsockname()[0]} to {caller}".encode())
        threading.Thread(target=_repeat, args=(connection,), daemon=True).start()


def _repeat(connection: socket.socket) -> None:
    with contextlib.suppress(OSError), connection:
        while data := connection.recv(100):
            connection.sendall(data)


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network(Fabric())
    network.fabric.apply(cloud(), Cut())
    listeners = []
    for instance_id, address in ((A1, OVERLAY), (A2, "10.40.0.6")):
        # What a gateway configures by itself.
        netns.call(netns.name_of(instance_id), lambda to=address: run(["ip", "addr", "add", f"{to}/32", "dev", "eth0"]))
    for who in (A1, A2, B1):
        listeners += [netns.listener_in(netns.name_of(who), "0.0.0.0", port) for port in (22, 6379, 6380)]
    for address, port in (("169.254.169.254", 80), ("198.51.100.1", 5599), ("198.51.100.1", 3142)):
        listeners.append(netns.listener_in(network.router, address, port))
    for listener in listeners:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
    vpc = cloud().vpcs[VPC]
    answering = resolver.servers(
        network.router, resolvers(vpc), lambda query, by: resolver.reply(cloud(), VPC, query, by)
    )
    yield network
    for server in answering:
        server.stop()
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    network.fabric.apply(CloudView("123456789012", "eu-central-1"), Cut())
    assert [name for name in netns.names() if "feed00" in name] == []


def test_a_machine_has_its_addresses_as_an_image_configures_them(network: Network) -> None:
    """Secondary ones first, all with the subnet's prefix: unless it says otherwise, it speaks as one of them there."""
    assert addresses_of(A1) == ["10.40.0.5", "10.40.0.6", "10.40.0.4"]
    assert network.reach(A1, "10.40.0.4", 6380) == "10.40.0.4 to 10.40.0.5"
    assert network.reach(A1, "10.40.0.7", 6380) == "10.40.0.7 to 10.40.0.5"
    assert network.reach(A1, "10.40.0.7", 6380, source="10.40.0.4") == "10.40.0.7 to 10.40.0.4"
    assert network.reach(A1, "10.40.16.4", 6380) == "10.40.16.4 to 10.40.0.4"


def test_an_endpoint_that_goes_takes_no_other_address_of_the_subnet_along(network: Network) -> None:
    """With the settings that a machine gets; the kernel's own are otherwise."""
    name = "net.ipv4.conf.all.promote_secondaries"
    lines = (TEMPLATES / "sysctl.conf").read_text(encoding="utf-8").splitlines()
    ours = next(line.partition(" = ")[2] for line in lines if line.startswith(name))

    def lose() -> None:
        run(["sysctl", "-q", f"{name}={ours}", "net.ipv4.conf.eth0.promote_secondaries=0"])
        run(["ip", "address", "delete", "10.40.0.5/20", "dev", "eth0"])

    netns.call(netns.name_of(A1), lose)
    assert addresses_of(A1) == ["10.40.0.6", "10.40.0.4"]


def addresses_of(instance_id: str) -> list[str]:
    """Those with the subnet's prefix, in the kernel's order: it prefers the first."""
    listing = netns.call(
        netns.name_of(instance_id), lambda: run(["ip", "-json", "-4", "address", "show", "dev", "eth0"])
    )
    return [one["local"] for one in json.loads(listing)[0]["addr_info"] if one["prefixlen"] == 20]


def test_security_groups_let_in_what_they_name_and_nothing_else(network: Network) -> None:
    assert network.reach(A2, "10.40.0.4", 6380) == "10.40.0.4 to 10.40.0.7"
    assert network.reach(A2, "10.40.16.4", 6380) == "10.40.16.4 to 10.40.0.7"
    assert network.reach(A2, "10.40.16.4", 22) is None


def test_the_router_is_a_client_in_the_vpc(network: Network) -> None:
    assert network.reach(VPC, "10.40.16.4", 6379) == "10.40.16.4 to 10.40.16.1"
    assert network.reach(VPC, "10.40.16.4", 6380) is None


def test_an_overlay_address_is_reached_only_where_a_route_leads_to_it(network: Network) -> None:
    assert network.reach(B1, OVERLAY, 6379) == f"{OVERLAY} to 10.40.16.4"
    assert network.reach(A2, OVERLAY, 6379) is None


@pytest.mark.parametrize("port", [5599, 3142])
def test_the_internet_is_there_behind_a_nat_gateway_only(network: Network, port: int) -> None:
    assert network.reach(A2, "198.51.100.1", port) == "198.51.100.1 to 10.40.0.7"
    assert network.reach(B1, "198.51.100.1", port) is None
    assert network.reach(B1, "169.254.169.254", 80) == "169.254.169.254 to 10.40.16.4"


@pytest.mark.parametrize("address", ["10.40.0.2", "169.254.169.253"])
@pytest.mark.parametrize("who", [A1, A2, B1])
def test_a_machine_asks_its_networks_resolver_whatever_its_groups_say(network: Network, who: str, address: str) -> None:
    query = dns.message.make_query("leader.site.internal", "A")
    with asking(who, socket.SOCK_DGRAM, address) as receiver:
        by_udp = dns.query.udp(query, address, timeout=SILENCE, sock=receiver)
    with asking(who, socket.SOCK_STREAM, address) as stream:
        by_tcp = [dns.query.tcp(query, address, timeout=SILENCE, sock=stream) for _ in range(2)]
    for answer in (by_udp, *by_tcp):
        assert sorted(record.to_text() for record in answer.answer[0]) == ["10.40.0.4", "10.40.16.4"]


@pytest.mark.parametrize("cut", [Cut(off=frozenset({B1})), Cut(nodes=frozenset({B1}))])
def test_a_machine_without_power_or_network_has_no_resolver(network: Network, cut: Cut) -> None:
    network.fabric.apply(cloud(), cut)
    query = dns.message.make_query("leader.site.internal", "A")
    with asking(B1, socket.SOCK_DGRAM, "10.40.0.2") as receiver, pytest.raises(dns.exception.Timeout):
        dns.query.udp(query, "10.40.0.2", timeout=SILENCE, sock=receiver)


def asking(who: str, kind: socket.SocketKind, address: str) -> socket.socket:
    asks = netns.socket_in(netns.name_of(who), kind=kind)
    asks.settimeout(SILENCE)
    if kind is socket.SOCK_STREAM:
        asks.connect((address, 53))
    # As dnspython wants it.
    asks.setblocking(False)
    return asks


def test_a_public_address_leads_to_its_private_one_for_who_is_let_in(network: Network) -> None:
    assert network.reach(OFFICE, PUBLIC, 6379) is None
    network.fabric.apply(published(cloud(), "203.0.113.0/28"), Cut())
    assert network.reach(OFFICE, PUBLIC, 6379) == f"10.40.16.4 to {OFFICE}"
    assert network.reach(OFFICE, PUBLIC, 6380) is None
    assert network.reach(OFFICE, "10.40.16.4", 6379) is None
    assert network.reach(BESIDE, PUBLIC, 6379) is None, "no route leads back there"
    network.fabric.apply(published(cloud(), "203.0.113.0/28"), ZONE_B)
    assert network.reach(OFFICE, PUBLIC, 6379) is None
    network.fabric.apply(cloud(), Cut())
    assert network.reach(OFFICE, PUBLIC, 6379) is None


def test_a_route_to_the_whole_internet_takes_nothing_of_the_network_along(network: Network) -> None:
    network.fabric.apply(published(cloud(), "0.0.0.0/0"), Cut())
    assert network.reach(BESIDE, PUBLIC, 6379) == f"10.40.16.4 to {BESIDE}"
    assert network.reach(B1, "10.40.0.4", 6380) == "10.40.0.4 to 10.40.16.4"
    assert network.reach(B1, OVERLAY, 6379) == f"{OVERLAY} to 10.40.16.4"


def test_a_machine_is_on_the_internet_under_its_public_address_or_not_at_all(network: Network) -> None:
    network.fabric.apply(published(cloud(), "203.0.113.0/28"), Cut())
    with netns.listener_in(outside.NAMESPACE, OFFICE, 443) as listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        assert network.reach(B1, OFFICE, 443) == f"{OFFICE} to {PUBLIC}"
        assert network.reach(A2, OFFICE, 443) is None
        listener.shutdown(socket.SHUT_RDWR)


def test_a_moved_address_works_at_its_new_place_at_once(network: Network) -> None:
    assert network.reach(B1, "10.40.0.6", 6379) == "10.40.0.6 to 10.40.16.4"
    network.fabric.apply(moved(cloud()), Cut())
    with network.connect(B1, "10.40.0.6", 6379) as connection:
        connection.recv(100)
        listing = netns.call(netns.name_of(A2), lambda: run(["ss", "-Htn", "state", "established"]))
        assert "10.40.16.4" in listing


def test_a_machine_cannot_speak_for_an_address_that_is_not_its_own(network: Network) -> None:
    assert network.reach(A2, "10.40.16.4", 6379, source="10.40.0.6") is None
    network.fabric.apply(moved(cloud()), Cut())
    assert network.reach(A2, "10.40.16.4", 6379, source="10.40.0.6") == "10.40.16.4 to 10.40.0.6"


def test_a_cut_zone_keeps_metadata_and_loses_established_connections(network: Network) -> None:
    with network.connect(B1, "10.40.0.4", 6380) as connection:
        connection.recv(100)
        network.fabric.apply(cloud(), ZONE_B)
        connection.sendall(b"still there?")
        with pytest.raises(TimeoutError):
            connection.recv(100)
        assert network.reach(B1, "169.254.169.254", 80) == "169.254.169.254 to 10.40.16.4"
        assert network.reach(VPC, "10.40.16.4", 6379) is None
        network.fabric.apply(cloud(), Cut())
        connection.settimeout(5)
        assert connection.recv(100) == b"still there?"


def test_within_a_cut_zone_nodes_reach_each_other(network: Network) -> None:
    network.fabric.apply(cloud(), ZONE_A)
    assert network.reach(A1, "10.40.0.7", 6380) == "10.40.0.7 to 10.40.0.5"
    assert network.reach(A1, "198.51.100.1", 5599) is None


def test_a_cut_node_reaches_not_even_its_own_zone(network: Network) -> None:
    network.fabric.apply(cloud(), Cut(nodes=frozenset({A1})))
    assert network.reach(A1, "10.40.0.7", 6380) is None
    assert network.reach(A1, "169.254.169.254", 80) == "169.254.169.254 to 10.40.0.4"
    assert network.reach(A2, "10.40.16.4", 6380) == "10.40.16.4 to 10.40.0.7"


def test_a_machine_without_power_says_nothing(network: Network) -> None:
    """Not even that a connection is refused."""
    network.fabric.apply(cloud(), Cut(off=frozenset({B1})))
    with pytest.raises(TimeoutError):
        network.connect(VPC, "10.40.16.4", 6379)
    assert network.reach(B1, "169.254.169.254", 80) is None


def test_what_is_partitioned_from_one_peer_reaches_the_others(network: Network) -> None:
    both_ways = frozenset({Severed(A1, A2), Severed(A2, A1)})
    with network.connect(A1, "10.40.0.7", 6379) as connection:
        connection.recv(100)
        network.fabric.apply(cloud(), Cut(severed=both_ways))
        connection.sendall(b"still there?")
        with pytest.raises(TimeoutError):
            connection.recv(100)
    assert network.reach(A2, "10.40.0.4", 6380) is None
    assert network.reach(A1, "10.40.16.4", 6380) == "10.40.16.4 to 10.40.0.4"


def test_a_service_alone_can_be_cut(network: Network) -> None:
    network.fabric.apply(cloud(), Cut(severed=frozenset({Severed(A1, A2, 6380)})))
    assert network.reach(A1, "10.40.0.7", 6380) is None
    assert network.reach(A2, "10.40.0.4", 6380) is None
    assert network.reach(A1, "10.40.0.7", 6379) == "10.40.0.7 to 10.40.0.5"


def test_a_one_way_cut_lets_the_other_way_through(network: Network) -> None:
    network.fabric.apply(cloud(), Cut(severed=frozenset({Severed(A2, A1)})))
    for who, address in ((A1, "10.40.0.7"), (A2, "10.40.0.4")):
        with pytest.raises(TimeoutError):
            network.connect(who, address, 6380)
    # Asked, and its answer was lost; the other has not been asked at all.
    asked = {who: netns.call(netns.name_of(who), lambda: run(["ss", "-Htn", "state", "syn-recv"])) for who in (A1, A2)}
    assert "10.40.0.5:" in asked[A2]
    assert asked[A1] == ""


def test_a_share_of_all_packets_is_lost(network: Network) -> None:
    network.fabric.apply(cloud(), Cut(lossy=frozenset({Loss(A1, 50)})))
    listing = netns.call(network.router, lambda: run(["nft", "list", "chain", "ip", "hf", "forward"]))
    assert listing.count("numgen random mod 100 < 50 drop") == 2
    network.fabric.apply(cloud(), Cut(lossy=frozenset({Loss(A1, 99)})))
    assert network.reach(A2, "10.40.0.4", 6380) is None


def test_an_api_that_is_down_is_silent_and_the_rest_of_the_internet_works(network: Network) -> None:
    network.fabric.apply(cloud(), Cut(without_api=frozenset({A1})))
    with pytest.raises(TimeoutError):
        network.connect(A1, "198.51.100.1", 5599)
    assert network.reach(A1, "198.51.100.1", 3142) == "198.51.100.1 to 10.40.0.4"
    assert network.reach(A2, "198.51.100.1", 5599) == "198.51.100.1 to 10.40.0.7"


def test_another_fabric_takes_over_what_runs(network: Network) -> None:
    with network.connect(B1, "10.40.0.4", 6380) as connection:
        connection.recv(100)
        successor = Fabric()
        successor.apply(moved(cloud()), Cut())
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
    assert network.reach(B1, OVERLAY, 6379) == f"{OVERLAY} to 10.40.16.4"


def test_another_fabric_takes_over_public_addresses(network: Network) -> None:
    network.fabric.apply(published(cloud(), "203.0.113.0/28"), Cut())
    Fabric().apply(published(cloud(), "203.0.113.0/28"), Cut())
    assert network.reach(OFFICE, PUBLIC, 6379) == f"10.40.16.4 to {OFFICE}"
    network.fabric.apply(cloud(), Cut())
    assert network.reach(OFFICE, PUBLIC, 6379) is None


def test_a_change_that_failed_half_way_is_made_the_next_time(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    without_overlay = replace(cloud().subnets["s-b"], routes=())
    further = Subnet("s-c", VPC, IPv4Network("10.40.32.0/20"), "eu-central-1c", ())
    changed = replace(moved(cloud()), subnets=cloud().subnets | {"s-b": without_overlay, "s-c": further})

    def half(argv: list[str], *, input: str | None = None) -> str:
        said = run(argv, input=input)
        if argv[0] == "ip":
            raise CommandFailed("interrupted")
        return said

    monkeypatch.setattr("holdfast.twin.netns.run", half)
    with pytest.raises(CommandFailed):
        network.fabric.apply(changed, Cut())
    monkeypatch.undo()
    network.fabric.apply(changed, Cut())
    assert network.reach(A2, "10.40.16.4", 6379, source="10.40.0.6") == "10.40.16.4 to 10.40.0.6"
    assert network.reach(B1, OVERLAY, 6379) is None
