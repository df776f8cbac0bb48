"""What a client on this host gets through a forward: of a real namespace's servers, without machines. Needs root.

Touches no namespace but its own, so that it may run beside a twin.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from holdfast.twin import netns
from holdfast.twin.forward import Endpoint, Forwarder
from holdfast.twin.run import run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

VPC = "vpc-feed0001"
PORT = 6379
FIRST, SECOND, NOBODY = (IPv4Address(f"127.0.0.{last}") for last in (2, 3, 4))
PROMPT = 1.0
"""Seconds within which a client hears of everything that happens."""

Serve = Callable[[IPv4Address, Callable[[socket.socket], None]], None]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Have each connection to an address of the VPC's router served by a function, on a thread of its own."""
    namespace = netns.name_of(VPC)
    netns.create(namespace)
    netns.call(namespace, lambda: run(["ip", "link", "set", "lo", "up"]))
    listeners = []

    def accept(listener: socket.socket, work: Callable[[socket.socket], None]) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=work, args=(listener.accept()[0],), daemon=True).start()

    def start(address: IPv4Address, work: Callable[[socket.socket], None]) -> None:
        listeners.append(netns.listener_in(namespace, str(address), PORT))
        threading.Thread(target=accept, args=(listeners[-1], work), daemon=True).start()

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    netns.delete(namespace)


@pytest.fixture
def forwarder(tmp_path: Path) -> Iterator[Forwarder]:
    forwarder = Forwarder(lambda name, value: None, tmp_path / "forwards.json")
    forwarder.start()
    yield forwarder
    forwarder.stop()


def lead(forwarder: Forwarder, *addresses: IPv4Address) -> None:
    """Make these the endpoints of the environment's leader."""
    targets = tuple(Endpoint(VPC, address, PORT) for address in addresses)
    forwarder.apply({"feed": {"leader": targets, "replica": ()}})


def connect(forwarder: Forwarder) -> socket.socket:
    host, port = forwarder.addresses["feed"]["leader"].split(":")
    return socket.create_connection((host, int(port)), timeout=PROMPT)


def name(forwarder: Forwarder) -> str:
    """Who answers a new client; empty when it is hung up on."""
    with connect(forwarder) as client:
        client.sendall(b"who?")
        try:
            return client.recv(100).decode()
        except ConnectionResetError:
            return ""


def answer(text: bytes) -> Callable[[socket.socket], None]:
    def work(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while connection.recv(100):
                connection.sendall(text)

    return work


def answer_at_the_end(connection: socket.socket) -> None:
    """As many bytes as came, once the client has said that there are no more."""
    with connection:
        count = 0
        while data := connection.recv(65536):
            count += len(data)
        connection.sendall(str(count).encode())


def hang_up(connection: socket.socket) -> None:
    """As a gateway without proof of who leads."""
    connection.close()


def reset(connection: socket.socket) -> None:
    connection.recv(100)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def test_a_client_that_has_said_everything_still_gets_the_answer(forwarder: Forwarder, serve: Serve) -> None:
    """As of `printf … | nc`."""
    serve(FIRST, answer_at_the_end)
    lead(forwarder, FIRST)
    with connect(forwarder) as client:
        client.sendall(b"x" * 3_000_000)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"3000000"
        assert client.recv(100) == b""


def test_a_client_hears_at_once_that_its_session_was_closed(forwarder: Forwarder, serve: Serve) -> None:
    serve(FIRST, hang_up)
    lead(forwarder, FIRST)
    with connect(forwarder) as client:
        assert client.recv(100) == b""


def test_a_reset_arrives_as_a_reset(forwarder: Forwarder, serve: Serve) -> None:
    serve(FIRST, reset)
    lead(forwarder, FIRST)
    with connect(forwarder) as client:
        client.sendall(b"go")
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_the_first_gateway_that_accepts_is_taken(forwarder: Forwarder, serve: Serve) -> None:
    serve(SECOND, answer(b"second"))
    lead(forwarder, NOBODY, SECOND)
    assert name(forwarder) == "second"


def test_a_gateway_that_hangs_up_on_everybody_is_not_asked_again_and_again(forwarder: Forwarder, serve: Serve) -> None:
    serve(FIRST, hang_up)
    serve(SECOND, answer(b"second"))
    lead(forwarder, FIRST, SECOND)
    name(forwarder)
    assert [name(forwarder) for _ in range(3)] == ["second"] * 3


def test_the_gateway_that_answered_last_is_asked_first(forwarder: Forwarder, serve: Serve) -> None:
    serve(SECOND, answer(b"second"))
    lead(forwarder, FIRST, SECOND)
    assert name(forwarder) == "second"
    serve(FIRST, answer(b"first"))
    assert name(forwarder) == "second"


def test_ports_are_the_same_after_a_restart_whatever_comes_between(forwarder: Forwarder, tmp_path: Path) -> None:
    forwarder.apply({"feed": {"leader": (), "replica": ()}})
    before = forwarder.addresses["feed"]
    forwarder.apply({"feed": {"leader": (), "replica": ()}, "also": {"leader": (), "replica": ()}})
    both = forwarder.addresses
    assert both["feed"] == before
    forwarder.apply({})
    successor = Forwarder(lambda name, value: None, tmp_path / "forwards.json")
    successor.start()
    successor.apply({"also": {"leader": (), "replica": ()}, "feed": {"leader": (), "replica": ()}})
    assert successor.addresses == both
    successor.stop()
