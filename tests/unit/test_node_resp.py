"""Redis' protocol: replies come out whole, however they arrive."""

import socket
import threading
import time
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


@pytest.mark.parametrize(
    ("sent", "because"),
    [
        (b"*1\r\n" * 10_000, "lists in each other; accepted: 4"),
        (b"$9999999999\r\n", "a text of 9,999,999,999 bytes; accepted: 8,388,608 at most"),
        (b"+" + b"x" * 100_000, "a line of more than 65,536 bytes"),
        (b"*9999999999\r\n" + b"$4096\r\n%s\r\n" % (b"x" * 4096) * 3000, "a reply of more than 8,388,608 bytes"),
        (b"$" + b"9" * 5000 + b"\r\n", "Exceeds the limit"),
        (b"*x\r\n", "invalid literal"),
        (b"+\xff\r\n", "can't decode"),
    ],
    ids=["deep", "a long text", "a long line", "a long list", "many digits", "no number", "not UTF-8"],
)
def test_what_would_take_all_memory_or_time_is_an_error(sent: bytes, because: str) -> None:
    """A machine in other hands answers as it likes, and every other node asks it."""
    parser = resp.Parser()
    with pytest.raises(ValueError, match=because):
        for at in range(0, len(sent), 16_384):
            list(parser.feed(sent[at : at + 16_384]))


def test_each_byte_is_looked_at_once_however_long_a_reply_is() -> None:
    """Read again from its start with every piece, this one takes minutes, in which nobody else is heard."""
    parser, sent = resp.Parser(), b"*400000\r\n" + b":1\r\n" * 400_000
    began = time.process_time()
    found = [reply for at in range(0, len(sent), 16_384) for reply in parser.feed(sent[at : at + 16_384])]
    assert found == [[1] * 400_000]
    assert time.process_time() - began < 10


def test_an_address_with_line_breaks_changes_nothing_else_that_info_tells() -> None:
    """A replica announces it by REPLCONF, which takes any text."""
    forged = "1.2.3.4\r\nrole:slave\r\nmaster_host:6.6.6.6\r\nmaster_repl_offset:0\r\nx"
    found = resp.fields(
        f"# Replication\r\nrole:master\r\nslave0:ip={forged},port=1,state=online,offset=0,lag=0\r\n"
        "master_repl_offset:900\r\n"
    )
    assert (found["role"], found["master_repl_offset"]) == ("master", "900")
