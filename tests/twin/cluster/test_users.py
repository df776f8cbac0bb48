"""One user for each purpose: it may do what it is for, and nothing that another one is for."""

import json

import pytest
import redis

from holdfast.ops import cloud
from holdfast.topology import find_environment, load_environment, names
from holdfast.topology.users import USERS
from tests.twin.conftest import Cluster

MAY = {
    "app": [["SET", "user", "1"], ["GET", "user"], ["INFO"]],
    "admin": [["CONFIG", "GET", "maxmemory"], ["ACL", "LIST"], ["GET", "user"]],
    "metrics": [["INFO", "everything"], ["SLOWLOG", "GET"], ["LATENCY", "LATEST"], ["DBSIZE"]],
    "backup": [["PING"], ["INFO", "persistence"], ["REPLCONF", "rdb-only", "1"]],
    "replication": [["PING"], ["REPLCONF", "capa", "psync2"]],
    "sentinel": [["INFO"], ["ROLE"], ["PUBLISH", "user", "1"], ["CLIENT", "SETNAME", "user"]],
    "gateway": [["INFO", "replication"]],
    "node": [["INFO"], ["CONFIG", "GET", "replica-priority"], ["CLIENT", "UNPAUSE"]],
}

TRIED = [
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
    "sentinel": {"CONFIG REWRITE", "PUBLISH", "CLIENT"},
    "node": {"CONFIG GET", "REPLICAOF", "CLIENT", "BGSAVE"},
}
"""Of those, what a user is for: not tried, since the cluster is to stay as it is."""


@pytest.mark.parametrize("user", [user.name for user in USERS])
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


def test_nobody_but_these_is_known_and_none_in_plain_text(healthy: Cluster) -> None:
    with _as(healthy, "admin") as connection:
        rules = {line.split()[1]: line.split()[2:] for line in connection.execute_command("ACL", "LIST")}
    assert rules.keys() == {user.name for user in USERS} | {"default"}
    assert rules.pop("default")[0] == "off"
    assert all(rule[0] == "on" for rule in rules.values())
    assert not [rule for rule in rules.values() if "nopass" in rule]


def _as(cluster: Cluster, user: str) -> redis.Redis:
    """A client of the leader, with that user's secret."""
    environment = load_environment(find_environment(cluster.name))
    secret = cloud.client(environment, "secretsmanager").get_secret_value(SecretId=names.secret(environment, user))
    host, port = cluster.endpoints()["leader"]["forward"].split(":")
    content = json.loads(secret["SecretString"])
    return redis.Redis(
        host=host,
        port=int(port),
        username=content["user"],
        password=content["password"],
        decode_responses=True,
        socket_timeout=2,
    )
