"""HAProxy gets `yes` for exactly the server that is proven, and never for anything else."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable

import pytest
from holdfast_node import lease


@pytest.fixture(scope="module")
def ask() -> Callable[[bytes], bytes]:
    """A real lease service on the loopback: what it sends back to some bytes, until it closes."""

    def may(backend: str, name: str) -> bool:
        if name == "broken":
            raise KeyError(name)
        return (backend, name) in {("leader", "local-a1"), ("replicas", "local-b1")}

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def serve() -> None:
        # What goes wrong with one question is said, and the next one is another one.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        lease.serve(port, may)
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()

    def connect() -> socket.socket:
        deadline = time.monotonic() + 5
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=5)
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "the lease service did not start within 5 s"

    def ask(question: bytes) -> bytes:
        with connect() as connection:
            connection.sendall(question)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while received := connection.recv(100):
                answer += received
            return answer

    return ask


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (b"leader local-a1\n", b"yes\n"),
        (b"leader local-a1\r\n", b"yes\n"),
        (b"leader local-b1\n", b"no\n"),
        (b"replicas local-b1\n", b"yes\n"),
        (b"replicas local-a1\n", b"no\n"),
        (b"leader unknown\n", b"no\n"),
        (b"leader\n", b"no\n"),
        (b"leader local-a1 local-b1\n", b"no\n"),
        (b"\xff\xfe\x00\n", b"no\n"),
        (b"\n", b"no\n"),
        (b"", b""),
        (b"leader broken\n", b""),
        (b"x" * 100_000 + b"\n", b""),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_the_answer_to_a_question(ask: Callable[[bytes], bytes], question: bytes, answer: bytes) -> None:
    try:
        assert ask(question) == answer
    except OSError:
        # Closed without having read it all: no answer either.
        assert answer == b""


def test_it_answers_on_after_garbage_and_errors(ask: Callable[[bytes], bytes]) -> None:
    ask(b"leader broken\n")
    assert ask(b"leader local-a1\n") == b"yes\n"
