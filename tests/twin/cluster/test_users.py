"""One user for each purpose: it may do what it is for, and nothing that another one is for."""

from typing import Any

import pytest
import redis
from holdfast_node import resp

from holdfast.drill.cluster import Cluster
from holdfast.drill.waiting import wait_until
from holdfast.topology import find_environment, load_environment, ports, users
from holdfast.twin import client
from tests.twin.passwords import password

ENVIRONMENT = load_environment(find_environment("local"))
USERS = [user.name for user in users.of(ENVIRONMENT)]

MAY = {
    "app": [["SET", "user", "1"], ["GET", "user"], ["INFO"], ["ROLE"]],
    # Of the environment's file: to read some keys.
    "reports": [["PING"], ["GET", "orders:1"], ["INFO"], ["ROLE"]],
    "admin": [["CONFIG", "GET", "maxmemory"], ["ACL", "LIST"], ["GET", "user"]],
    "metrics": [["INFO", "everything"], ["SLOWLOG", "GET"], ["LATENCY", "LATEST"], ["DBSIZE"]],
    "backup": [["PING"], ["INFO", "persistence"], ["REPLCONF", "rdb-only", "1"]],
    "replication": [["PING"], ["REPLCONF", "capa", "psync2"]],
    "sentinel": [["INFO"], ["ROLE"], ["PUBLISH", "__sentinel__:hello", "1"], ["CLIENT", "SETNAME", "user"]],
    "node": [["INFO"], ["CONFIG", "GET", "replica-priority"], ["CLIENT", "UNPAUSE"], ["ACL", "LOG", "1"]],
}

TRIED = [
    ["ACL", "SETUSER", "renew", "nopass"],
    ["GET", "user"],
    ["SET", "user", "2"],
    ["FLUSHALL"],
    ["KEYS", "*"],
    ["CONFIG", "GET", "*"],
    ["CONFIG", "REWRITE"],
    ["ACL", "LIST"],
    ["SHUTDOWN", "NOSAVE"],
    ["REPLICAOF", "NO", "ONE"],
    ["PUBLISH", "user", "1"],
    ["REPLCONF", "capa", "eof"],
    ["CLIENT", "KILL", "TYPE", "pubsub"],
    ["BGSAVE"],
]
"""What harms, or tells what is not one's own."""

ALSO_MAY = {
    "app": {"GET", "SET", "PUBLISH"},
    "backup": {"REPLCONF"},
    "replication": {"REPLCONF"},
    "sentinel": {"CONFIG REWRITE", "CLIENT"},
    "node": {"CONFIG GET", "REPLICAOF", "CLIENT", "BGSAVE"},
}
"""Of those, what a user is for: not tried, since the cluster is to stay as it is."""


@pytest.mark.parametrize("user", USERS)
def test_a_user_may_do_what_it_is_for_and_nothing_else(healthy: Cluster, user: str) -> None:
    with _as(healthy, user) as connection:
        for command in MAY[user]:
            connection.execute_command(*command)
        if user == "admin":
            return
        for command in TRIED:
            if not {command[0], " ".join(command[:2])} & ALSO_MAY.get(user, set()):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    connection.execute_command(*command)


def test_what_an_application_is_refused_shows_in_the_log_and_in_status_with_the_line_to_add(healthy: Cluster) -> None:
    leader = healthy.status()["leader"]
    with _as(healthy, "app") as connection, pytest.raises(redis.exceptions.NoPermissionError):
        connection.execute_command("CLIENT", "LIST")
    says = "app was refused the command CLIENT LIST "
    line = "to allow it: applications.app.presets: [list-clients]"
    wait_until(
        lambda: any(says in one and one.endswith(line) for one in healthy.status()["refused"]),
        30,
        lambda: str(healthy.status()["refused"]),
    )
    assert says in healthy.holdfast("status", "local").stdout
    journal = healthy.exec(leader, "journalctl", "-u", "holdfast-node", "-o", "cat", "--since", "-2min")
    # A line names five at most, once a minute.
    assert "Redis refused " in journal


def test_nobody_but_these_is_known_and_none_in_plain_text(healthy: Cluster) -> None:
    with _as(healthy, "admin") as connection:
        rules = {line.split()[1]: line.split()[2:] for line in connection.execute_command("ACL", "LIST")}
    assert rules.keys() == {*USERS, "default", "renew"}
    assert rules.pop("default")[0] == "off"
    assert all(rule[0] == "on" for rule in rules.values())
    assert not [rule for rule in rules.values() if "nopass" in rule]


def test_who_changes_passwords_is_known_to_its_own_machine_and_may_nothing_else(healthy: Cluster) -> None:
    nodes = {node["name"]: node["address"] for node in healthy.status()["nodes"]}
    file = "/run/holdfast/renew-password"
    for node in nodes:
        assert healthy.exec(node, "stat", "--format=%U %a", file).strip() == "root 600"
        own = healthy.exec(node, "cat", file).strip()
        for other, address in nodes.items():
            with client.connect_from_node(node, address, ports.REDIS, 2) as connection:
                talk = connection.makefile("rwb")
                said = _say(talk, "AUTH", "renew", own)
                if other != node:
                    assert said.startswith("-WRONGPASS "), f"{node} at {other}"
                    continue
                assert said == "+OK"
                assert _say(talk, "ACL", "SETUSER", "backup", "on") == "+OK"
                for command in [*TRIED[1:], ["ACL", "LOAD"], ["ACL", "WHOAMI"]]:
                    assert _say(talk, *command).startswith("-NOPERM "), command


@pytest.mark.parametrize(
    ("user", "may"),
    [
        ("app", [["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "local"], ["SENTINEL", "REPLICAS", "local"], ["PING"]]),
        ("reports", [["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "local"], ["PING"]]),
        ("node", [["INFO", "sentinel"], ["SENTINEL", "CKQUORUM", "local"]]),
        ("sentinel", [["PING"], ["INFO"]]),
        (None, []),
        ("admin", []),
    ],
)
def test_a_sentinel_asks_who_one_is(healthy: Cluster, user: str | None, may: list[list[str]]) -> None:
    """And none but the node program changes anything."""
    # Whose turn it is to stand for election: the others' quorum is more than there are, and CKQUORUM says so.
    node = next(it for it in healthy.status()["nodes"] if it["role"] != "leader")
    with client.connect_from_node(node["name"], node["address"], ports.SENTINEL, 2) as connection:
        talk = connection.makefile("rwb")
        said = [_say(talk, "AUTH", user, password(ENVIRONMENT, user))] if user else []
        if not may:
            assert [word.split()[0] for word in said] == (["-WRONGPASS"] if user else [])
            assert _say(talk, "SENTINEL", "MASTERS").startswith("-NOAUTH ")
            return
        assert said == ["+OK"]
        assert not [command for command in may if _say(talk, *command).startswith("-")]
        if user != "node":
            for command in (["SENTINEL", "FAILOVER", "local"], ["SENTINEL", "RESET", "local"], ["SHUTDOWN"]):
                assert _say(talk, *command).startswith("-NOPERM ")
        if user in ENVIRONMENT.applications:
            assert _say(talk, "PUBLISH", "__sentinel__:hello", "1").startswith("-NOPERM ")


def _as(cluster: Cluster, user: str) -> redis.Redis:
    """A client of the leader, with that user's secret."""
    host, port = cluster.endpoints()["leader"]["forward"].split(":")
    return redis.Redis(
        host=host,
        port=int(port),
        username=user,
        password=password(ENVIRONMENT, user),
        decode_responses=True,
        socket_timeout=2,
    )


def _say(talk: Any, *words: str) -> str:
    """The first line of what comes back; the rest of it is read away."""
    talk.write(resp.encode(*words))
    talk.flush()
    first: str = talk.readline().decode().strip()
    _skip(talk, first)
    return first


def _skip(talk: Any, first: str) -> None:
    if first.startswith("$") and first != "$-1":
        talk.read(int(first[1:]) + 2)
    elif first.startswith("*"):
        for _ in range(int(first[1:])):
            _skip(talk, talk.readline().decode().strip())
