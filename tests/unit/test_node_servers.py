"""What a Redis says of itself becomes a role; nobody listening is told from nobody answering."""

import socket
from typing import Any

import pytest
import redis
from holdfast_node import servers
from holdfast_node.decision import Role, Server


class Connection:
    """Answers INFO as redis-py parses it, all sections at once."""

    def __init__(self, **info: Any) -> None:
        self._info = {"redis_version": "7.0.15", "loading": 0, "master_repl_offset": 900} | info

    def info(self, section: str) -> dict[str, Any]:
        return self._info


def test_a_leader_with_its_replicas() -> None:
    found = servers.details(
        Connection(
            role="master",
            connected_slaves=2,
            slave0={"ip": "10.40.16.4", "port": 6380, "state": "online", "offset": 890, "lag": 1},
            slave1={"ip": "10.40.32.4", "port": 6380, "state": "wait_bgsave", "offset": 0, "lag": 0},
            db0={"keys": 3, "expires": 0, "avg_ttl": 0},
        )
    )
    assert found == servers.Details(
        server=Server(Role.LEADER, leader=None, has_data=True),
        version="7.0.15",
        offset=900,
        link_up=False,
        syncing=False,
        followers=(
            servers.Follower("10.40.16.4", 890, "online", 1),
            servers.Follower("10.40.32.4", 0, "wait_bgsave", 0),
        ),
    )


def test_a_replica_in_sync() -> None:
    found = servers.details(
        Connection(
            role="slave",
            master_host="10.40.0.4",
            master_link_status="up",
            master_sync_in_progress=0,
            slave_repl_offset=880,
            connected_slaves=0,
        )
    )
    assert found.server == Server(Role.REPLICA, leader="10.40.0.4", has_data=False)
    assert (found.offset, found.link_up, found.syncing, found.followers) == (880, True, False, ())


def test_a_replica_that_is_being_fed() -> None:
    found = servers.details(
        Connection(role="slave", master_host="10.40.0.4", master_link_status="down", master_sync_in_progress=1)
    )
    assert (found.server.role, found.link_up, found.syncing, found.offset) == (Role.REPLICA, False, True, 0)


def test_a_redis_that_just_started_follows_nobody() -> None:
    found = servers.details(
        Connection(role="slave", master_host="127.0.0.1", master_link_status="down", db3={"keys": 1})
    )
    assert found.server == Server(Role.WAITING, leader=None, has_data=True)


def test_a_redis_that_is_loading_has_no_role_yet() -> None:
    found = servers.details(Connection(role="slave", master_host="127.0.0.1", loading=1, db0={"keys": 1}))
    assert found.server.role is Role.DOWN


def test_nobody_listening_is_a_refusal_and_nobody_answering_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(servers.Error) as silent:
            servers.details(servers.connect("127.0.0.1", port, None, timeout=0.05))
    with pytest.raises(servers.Error) as refused:
        servers.details(servers.connect("127.0.0.1", port, None))
    assert servers.is_refusal(refused.value)
    assert not servers.is_refusal(silent.value)
    assert not servers.is_refusal(redis.ResponseError("ERR"))


def test_a_sentinels_list_is_pairs_whether_redis_py_parsed_it_or_not() -> None:
    assert servers.pairs(["ip", "10.40.0.4", "port", "6380"]) == {"ip": "10.40.0.4", "port": "6380"}
    assert servers.pairs({"ip": "10.40.0.4", "port": 6380}) == {"ip": "10.40.0.4", "port": "6380"}
