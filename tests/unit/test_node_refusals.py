"""What Redis refused is said once, put together, and harms nobody who reads it."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from holdfast_node import refusals, resp
from holdfast_node.refusals import NEWEST, Refusal, Refusals, read

from tests.unit.test_acl_engines import APPLICATIONS, Server, server
from tests.unit.test_redis_engines import engine

__all__ = ["engine", "server"]
"""The fixtures."""

NOW = 1_000_000.0
USERS = {"app", "b", "renew"}


def entry(what: str = "command", name: str = "keys", user: str = "app", count: int = 1, age: str = "2.5") -> list[Any]:
    words = {"count": count, "reason": what, "context": "toplevel", "object": name, "username": user}
    return [word for pair in (words | {"age-seconds": age, "client-info": "id=1"}).items() for word in pair]


def test_a_refusal_for_each_user_and_thing_the_newest_first() -> None:
    log = [entry("key", "a:1", age="1"), entry(count=2, age="3"), entry(count=5, age="90"), entry(user="b", age="4")]
    assert read(log, USERS, NOW) == [
        Refusal("app", "key", "a:*", 1, NOW - 1),
        Refusal("app", "command", "KEYS", 7, NOW - 3),
        Refusal("b", "command", "KEYS", 1, NOW - 4),
    ]


def test_what_is_old_counts_no_more() -> None:
    assert read([entry(age="3599.9")], USERS, NOW) != []
    assert read([entry(age="3600.0")], USERS, NOW) == []


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("session:5f3c9a", "session:*"),
        ("{cart}:5:items", "{cart}:*"),
        ("short", "short"),
        ("5f3c9aa1b2c3d4e5", "5f3c9aa1*"),
        ("\x1b[2J\n", "??2J?"),
        ("a; to allow it: all", "a??to?allow?it:*"),
        (1000 * "k" + ":1", 40 * "k" + ":*"),
        ("", ""),
    ],
)
def test_of_a_key_only_the_beginning_is_told(key: str, shown: str) -> None:
    (found,) = read([entry("key", key)], USERS, NOW)
    assert found.name == shown


def test_who_is_no_user_is_not_named(capsys: pytest.CaptureFixture[str]) -> None:
    """It may be a password; and many names are one line."""
    (found,) = read([entry("auth", "AUTH", user=f"hunter{number}") for number in range(9)], USERS, NOW)
    assert (found.user, found.name, found.count) == ("?", "", 9)
    assert found.sentence() == "Redis refused a login: there is no such user"


def test_a_login_tells_no_name_of_a_command() -> None:
    (found,) = read([entry("auth", "AUTH", user="b")], USERS, NOW)
    assert found.sentence() == "Redis refused a login as b: a wrong password"


@pytest.mark.parametrize("log", [None, 3, "OK", [["count"]], [["count", 1]], [entry(age="soon")], [[1, 2]], [3]])
def test_what_is_no_log_is_said_to_be_none(log: object) -> None:
    with pytest.raises(ValueError):
        read(log, USERS, NOW)


def test_each_redis_tells_what_it_refused_and_the_node_may_ask(server: Server) -> None:
    """Also of a subcommand, a key and a login; Redis 6.0 does not name subcommands."""
    for command in (["KEYS", "*"], ["KEYS", "*"], ["CONFIG", "GET", "*"]):
        assert server.refuses("all", *command)
    assert server.refuses("some", "GET", "others:1")
    with pytest.raises(Exception, match="invalid username-password"), server.as_("all") as client:
        client.execute_command("AUTH", "all", "wrong")
    with server.as_("node", protocol=2) as client:
        connection = client.connection_pool.get_connection()
        connection.send_command("ACL", "LOG", 32)
        found = read(connection.read_response(), {*APPLICATIONS, "node"}, NOW)
    config = "CONFIG GET" if server.version >= (7, 0) else "CONFIG"
    assert {
        (one.user, one.what, one.name): one.count for one in found if one.what != "auth" and one.user != "node"
    } == {
        ("all", "command", "KEYS"): 2,
        ("all", "command", config): 1,
        ("some", "key", "others:*"): 1,
    }
    assert ("all", "auth", "") in {(one.user, one.what, one.name) for one in found}
    assert all(NOW - 60 < one.at <= NOW for one in found)


class Answers:
    """A Redis that answers a login, and each further command with the next of these."""

    def __init__(self, *replies: bytes) -> None:
        self.replies, self.asked = iter(replies), 0
        self.counts: list[int] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                while request := connection.recv(4096):
                    if b"AUTH" in request:
                        connection.sendall(b"+OK\r\n")
                    elif (reply := next(self.replies, b"")) != b"":
                        self.asked += 1
                        self.counts.append(int(request.split(b"\r\n")[-2]))
                        connection.sendall(reply)
                    else:
                        break


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [0.0]
    monkeypatch.setattr(refusals.time, "monotonic", lambda: now[0])
    yield now


def test_one_line_for_each_and_again_after_an_hour(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = b"*1\r\n" + resp.encode(*entry())
    redis = Answers(*10 * [one])
    found = Refusals(redis.port, lambda: resp.Credentials("node", "secret"), USERS)
    monkeypatch.setattr(found.notice, "_clock", lambda: clock[0])
    for now in (0.0, 5.0, 10.0, 20.0):
        clock[0] = now
        found.look()
    assert redis.asked == 3, "every 10 s"
    assert capsys.readouterr().err == ("Redis refused app the command KEYS: holdfast status says what would allow it\n")
    assert [(it["user"], it["name"], it["count"]) for it in found.report()] == [("app", "KEYS", 1)]


@pytest.mark.parametrize(
    "reply",
    [
        b"-NOPERM User node has no permissions\r\n",
        b"*1\r\n*2\r\n$5\r\ncount\r\n$600000000\r\n",
        b"!nothing\r\n",
        b"+OK\r\n",
        b"",
    ],
    ids=["not allowed", "a key as long as memory", "no protocol", "no log", "closed"],
)
def test_a_redis_that_does_not_tell_costs_nothing_and_is_asked_again(clock: list[float], reply: bytes) -> None:
    redis = Answers(*[reply] * bool(reply), b"*1\r\n" + resp.encode(*entry()))
    found = Refusals(redis.port, lambda: resp.Credentials("node", "secret"), USERS)
    if reply:
        found.look()
        assert found.report() == []
    clock[0] += 10
    found.look()
    assert [it["name"] for it in found.report()] == ["KEYS"]
    redis.listener.close()
    clock[0] += 10
    found.look()
    assert [it["name"] for it in found.report()] == ["KEYS"], "one that is busy has not forgotten"


def test_of_entries_that_are_too_long_fewer_are_read(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis keeps whole keys, of up to half a gigabyte."""
    long, one = b"*1\r\n*2\r\n$5\r\ncount\r\n$600000000\r\n", b"*1\r\n" + resp.encode(*entry())
    redis = Answers(*[long] * 7, one)
    found = Refusals(redis.port, lambda: resp.Credentials("node", "secret"), USERS)
    monkeypatch.setattr(found.notice, "_clock", lambda: clock[0])
    for _ in range(8):
        found.look()
        clock[0] += 60
    assert redis.counts == [NEWEST, 16, 8, 4, 2, 1, 1, 1]
    assert [it["name"] for it in found.report()] == ["KEYS"]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "what Redis has refused last cannot be read: it is too long"
    assert said[1:] == ["Redis refused app the command KEYS: holdfast status says what would allow it"]


def test_nobody_there(clock: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = Refusals(port, lambda: resp.Credentials("node", "secret"), USERS)
    found.look()
    assert found.report() == []


def test_the_file_says_that_the_node_may_ask() -> None:
    users = Path(__file__).parents[2] / "templates" / "users.acl"
    (line,) = [line for line in users.read_text().splitlines() if line.startswith("user node ")]
    assert "+acl|log" in line.split()
