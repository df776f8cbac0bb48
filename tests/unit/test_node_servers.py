"""What a Redis says of itself becomes a role."""

from types import SimpleNamespace
from typing import Any

import pytest
from holdfast_node import servers
from holdfast_node.decision import Role, Server
from holdfast_node.identity import Identity

LEADER = {
    "redis_version": "7.0.15",
    "loading": "0",
    "connected_clients": "17",
    "role": "master",
    "master_repl_offset": "900",
    "connected_slaves": "2",
    "slave0": "ip=10.40.16.4,port=6380,state=online,offset=890,lag=1",
    "slave1": "ip=10.40.32.4,port=6380,state=wait_bgsave,offset=0,lag=0",
    "db0": "keys=3,expires=0,avg_ttl=0",
}
REPLICA = {
    "redis_version": "7.0.15",
    "loading": "0",
    "role": "slave",
    "master_host": "10.40.0.4",
    "master_link_status": "up",
    "master_sync_in_progress": "0",
    "slave_repl_offset": "880",
    "master_repl_offset": "880",
    "connected_slaves": "0",
}


def test_a_leader_with_its_replicas() -> None:
    assert servers.details(LEADER) == servers.Details(
        server=Server(Role.LEADER, leader=None, has_data=True),
        version="7.0.15",
        offset=900,
        link_up=False,
        syncing=False,
        followers=(
            servers.Follower("10.40.16.4", 890, "online", 1),
            servers.Follower("10.40.32.4", 0, "wait_bgsave", 0),
        ),
        clients=17,
    )


def test_a_replica_in_sync() -> None:
    found = servers.details(REPLICA)
    assert found.server == Server(Role.REPLICA, leader="10.40.0.4", has_data=False)
    assert (found.offset, found.link_up, found.syncing, found.followers) == (880, True, False, ())
    assert found.follows_in_sync("10.40.0.4")
    assert not found.follows_in_sync("10.40.16.4")


def test_a_replica_that_is_being_fed() -> None:
    found = servers.details(REPLICA | {"master_link_status": "down", "master_sync_in_progress": "1"})
    assert (found.server.role, found.link_up, found.syncing) == (Role.REPLICA, False, True)
    assert not found.follows_in_sync("10.40.0.4")


def test_a_redis_that_just_started_follows_nobody() -> None:
    found = servers.details(REPLICA | {"master_host": "127.0.0.1", "db3": "keys=1,expires=0"})
    assert found.server == Server(Role.WAITING, leader=None, has_data=True)


def test_a_redis_that_is_loading_has_no_role_yet() -> None:
    assert servers.details(REPLICA | {"master_host": "127.0.0.1", "loading": "1"}).server.role is Role.DOWN


@pytest.mark.parametrize(
    ("roles", "leader"),
    [
        ({"a": Role.REPLICA, "b": Role.LEADER, "c": Role.REPLICA}, "b"),
        ({"a": Role.REPLICA, "b": Role.SILENT}, None),
        ({"a": Role.LEADER, "b": Role.LEADER}, None),
    ],
    ids=["one", "none", "two"],
)
def test_who_leads_is_told_where_one_says_so(identity: Identity, roles: dict[str, Role], leader: str | None) -> None:
    nobody: Any = None
    found = servers.Servers(identity, nobody, nobody)
    watched: Any = {name: SimpleNamespace(server=Server(role)) for name, role in roles.items()}
    found._watched = watched
    assert found.leader() == leader


@pytest.mark.parametrize(
    "listed",
    [
        "ip=a,b,port=6380,state=online,offset=0,lag=0",
        "ip=\x1b[2J,port=6380,state=online,offset=0,lag=0",
        "ip=10.40.16.4,port=6380,state=online,offset=many,lag=0",
        "ip=10.40.16.4",
        "",
    ],
)
def test_a_replica_that_announces_no_address_costs_its_leader_nothing(listed: str) -> None:
    """Whoever may follow announces any text (REPLCONF): a leader that nobody understood would be taken for silent."""
    found = servers.details(LEADER | {"slave0": listed})
    assert [one.address for one in found.followers] == ["10.40.32.4"]


def test_as_many_replicas_are_read_as_are_listed() -> None:
    """Counting to that number would stop the program for minutes."""
    assert len(servers.details(LEADER | {"connected_slaves": "9" * 12}).followers) == 2
