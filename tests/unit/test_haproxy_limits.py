"""How often one address may connect, tried on the HAProxy of the twin's images with what is rendered for a gateway.

A client's address is one of 127.0.0.0/8, all of which are this machine's.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.rendering.files import render_files
from holdfast.topology import Cluster, Environment, load_environment, sessions
from holdfast.topology.load import ENVIRONMENTS
from holdfast.twin.images import IMAGES

SESSIONS = 50
"""Of one address, in the environment's file."""

ALLOWED = sessions.RECONNECTS * SESSIONS
ATTACKER, OTHER = "127.0.0.2", "127.0.0.3"


class Gateway:
    def __init__(self, folder: Path, port: int) -> None:
        self._socket, self._port = folder / "admin.sock", port

    def tell(self, command: str) -> None:
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self._socket))
            admin.sendall(f"{command}\n".encode())
            admin.recv(1000)

    def connect(self, source: str) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), 5, source_address=(source, 0))

    def serves(self, source: str) -> bool:
        """Whether the next connection of that address is answered."""
        try:
            with self.connect(source) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100) == b"-NOAUTH\r\n"
        except OSError:
            return False

    def reconnect(self, source: str, times: int) -> None:
        for _ in range(times):
            with contextlib.suppress(ConnectionError):
                self.connect(source).close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """One whose leader answers every client that it has to log in; closed at first, as a gateway begins."""
    found = sorted(IMAGES.glob("[!.]*/usr/sbin/haproxy"))
    if not found:
        pytest.skip("no image of the twin here that has HAProxy")
    program, libraries = found[0], next((found[0].parents[1] / "lib").glob("*-linux-gnu"))
    with socket.create_server(("127.0.0.1", 0)) as leader, socket.create_server(("127.0.0.1", 0)) as free:
        threading.Thread(target=answer, args=(leader,), daemon=True).start()
        port = free.getsockname()[1]
        free.close()
        (tmp_path / "haproxy.cfg").write_text(configured(tmp_path, port, leader.getsockname()[1]))
        loader = next(libraries.glob("ld-linux-*.so.*"))
        command = [loader, "--library-path", libraries, program, "-db", "-f", tmp_path / "haproxy.cfg"]
        process = subprocess.Popen(command)
        try:
            made, deadline = Gateway(tmp_path, port), time.monotonic() + 30
            while not (tmp_path / "admin.sock").exists():
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.01)
            yield made
        finally:
            process.kill()
            process.wait()


def answer(leader: socket.socket) -> None:
    while True:
        try:
            connection, _ = leader.accept()
        except OSError:
            return
        with connection:
            if connection.recv(100):
                connection.sendall(b"-NOAUTH\r\n")


def configured(folder: Path, port: int, leader: int) -> str:
    """What a gateway of `prod` without TLS has, of one endpoint, with places of this machine."""
    content = load_environment(ENVIRONMENTS / "prod.yaml").model_dump(mode="json") | {"tls": "off"}
    content["redis"]["memory"] = "4GB"
    content["network"]["sessions_per_address"] = SESSIONS
    cluster = Cluster.of(Environment.model_validate(content))
    text = render_files(cluster, cluster.nodes[0])["/etc/holdfast/haproxy.cfg"]
    endpoint = re.search(r"\nfrontend leader-endpoint\n.*?(?=\n\n)", text, re.DOTALL)
    assert endpoint
    lines = [line for line in endpoint[0].splitlines() if not line.strip().startswith("bind ")]
    return f"""
global
    stats socket {folder / "admin.sock"} level admin
defaults
    mode tcp
    timeout connect 1s
    timeout server 1m
{chr(10).join(lines)}
    bind 127.0.0.1:{port}
backend leader
    server it 127.0.0.1:{leader} disabled
"""


def test_who_connects_again_and_again_is_refused_and_nobody_else(gateway: Gateway) -> None:
    gateway.tell("set server leader/it state ready")
    assert gateway.serves(ATTACKER)
    gateway.reconnect(ATTACKER, ALLOWED + 10)
    assert not gateway.serves(ATTACKER)
    assert gateway.serves(OTHER)
    deadline = time.monotonic() + 3 * sessions.COUNTED_FOR
    while not gateway.serves(ATTACKER):
        assert time.monotonic() < deadline, "refused still, though it has nearly stopped"
        time.sleep(1)


def test_all_sessions_of_an_address_come_again_after_a_failover_whatever_was_tried_before(gateway: Gateway) -> None:
    """Clients try all the time while there is no leader: that does not count."""
    gateway.reconnect(OTHER, 3 * ALLOWED)
    assert not gateway.serves(OTHER)
    gateway.tell("set server leader/it state ready")
    for _ in range(sessions.RECONNECTS - 1):
        assert [gateway.serves(OTHER) for _ in range(SESSIONS)] == [True] * SESSIONS
