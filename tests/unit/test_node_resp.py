"""Redis' protocol: replies come out whole, however they arrive."""

import socket
import threading
from typing import Any

import pytest
from holdfast_node import resp

STREAM = b"+OK\r\n:42\r\n$5\r\na\r\nbc\r\n$-1\r\n*3\r\n$1\r\nx\r\n*-1\r\n:7\r\n-ERR no\r\n*0\r\n"
REPLIES = ["OK", 42, "a\r\nbc", None, ["x", [], 7], "refused: ERR no", []]


def readable(reply: Any) -> Any:
    return f"refused: {reply}" if isinstance(reply, resp.Refused) else reply


@pytest.mark.parametrize("size", [1, 2, 7, len(STREAM)])
def test_replies_do_not_depend_on_how_they_are_cut(size: int) -> None:
    parser = resp.Parser()
    found = [reply for at in range(0, len(STREAM), size) for reply in parser.feed(STREAM[at : at + size])]
    assert [readable(reply) for reply in found] == REPLIES


def test_what_is_no_reply_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a reply of Redis: b'!1'"):
        list(resp.Parser().feed(b"!1\r\n"))


def test_a_command_is_its_words_with_their_lengths_in_bytes() -> None:
    assert resp.encode("SET", "clé", 1) == b"*3\r\n$3\r\nSET\r\n$4\r\ncl\xc3\xa9\r\n$1\r\n1\r\n"


def test_info_and_sentinels_lists_become_names_and_values() -> None:
    assert resp.fields("# Server\r\nredis_version:7.0.15\r\nslave0:ip=10.40.0.4,lag=1\r\n") == {
        "redis_version": "7.0.15",
        "slave0": "ip=10.40.0.4,lag=1",
    }
    assert resp.pairs(["ip", "10.40.0.4", "port", "6380"]) == {"ip": "10.40.0.4", "port": "6380"}


@pytest.fixture
def server() -> Any:
    """Answers the login and then each command with the next of `answers`; closes after the last."""
    listener = socket.create_server(("127.0.0.1", 0))
    answers: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while answers:
                connection.recv(4096)
                connection.sendall(answers.pop(0))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1], answers
    listener.close()


def test_a_client_waits_for_answers_and_says_what_was_refused(server: Any) -> None:
    port, answers = server
    answers += [b"+OK\r\n", b"+PONG\r\n", b"-NOPERM this user has no permissions\r\n"]
    with resp.Client("127.0.0.1", port, resp.Credentials("node", "secret")) as client:
        assert client.call("PING") == "PONG"
        with pytest.raises(resp.Refused, match="^NOPERM this user has no permissions$"):
            client.call("KEYS", "*")
        with pytest.raises(OSError):
            client.call("PING")


def test_a_client_does_not_wait_for_ever() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(TimeoutError),
    ):
        resp.Client("127.0.0.1", listener.getsockname()[1], resp.Credentials("node", "secret"), timeout=0.05)
