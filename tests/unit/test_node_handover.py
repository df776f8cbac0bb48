"""A leader that stops hands over to a replica that has everything, or changes nothing."""

import dataclasses
from typing import Any

import pytest
import redis
from holdfast_node import handover, servers
from holdfast_node.decision import Role, Server
from holdfast_node.identity import Identity
from holdfast_node.servers import Details, Follower

SUCCESSOR = "10.40.16.4"


class Machines:
    """This node's Redis and Sentinel: what they say, look by look (the last one stays), and what they were told."""

    def __init__(self, *looks: Details | Exception, named: str = SUCCESSOR, refusal: Exception | None = None) -> None:
        self.looks, self.named, self.refusal = list(looks), named, refusal
        self.told: list[str] = []

    def connect(self, address: str, port: int, *_: Any, **__: Any) -> Any:
        assert (address, port) in {("127.0.0.1", 6380), ("10.40.0.4", 26379)}
        return self

    def details(self, _: Any) -> Details:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        return look

    def execute_command(self, *words: object) -> Any:
        command = " ".join(str(word) for word in words)
        if command == "SENTINEL GET-MASTER-ADDR-BY-NAME local":
            return [self.named, "6380"]
        self.told.append(command)
        if command.startswith("SENTINEL FAILOVER") and self.refusal:
            raise self.refusal
        return "OK"


def leading(*followers: Follower, offset: int = 100) -> Details:
    return Details(Server(Role.LEADER, has_data=True), "7.0.15", offset, False, False, followers)


def replica(offset: int, state: str = "online", lag: int = 0) -> Follower:
    return Follower(SUCCESSOR, offset, state, lag)


PAUSE, UNPAUSE = "CLIENT PAUSE 6000 WRITE", "CLIENT UNPAUSE"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "POLL", 0)


def hand_over(identity: Identity, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(servers, "connect", machines.connect)
    monkeypatch.setattr(servers, "details", machines.details)
    return handover.hand_over(identity, ("system", "secret"))


def test_writes_stop_a_replica_catches_up_and_only_then_it_is_promoted(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = Machines(leading(replica(90)), leading(replica(90)), leading(replica(99)), leading(replica(100)))
    assert hand_over(identity, machines, monkeypatch) is True
    assert len(machines.looks) == 1, "it did not wait for the offset"
    assert machines.told == [
        PAUSE,
        "SENTINEL FAILOVER local",
        # Before writes go on: an old leader that takes some loses them.
        "REPLICAOF 10.40.16.4 6380",
        "CLIENT KILL TYPE normal SKIPME yes",
        UNPAUSE,
    ]


@pytest.mark.parametrize(
    "followers",
    [[replica(99)], [replica(100, "send_bulk")], [replica(100, lag=9)], [replica(100), replica(99)]],
    ids=["behind", "still being fed", "silent", "one of two behind, and it could be the one that is promoted"],
)
def test_without_replicas_that_have_everything_writes_go_on_here(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, followers: list[Follower]
) -> None:
    monkeypatch.setattr(handover, "DEADLINE", 0.05)
    machines = Machines(leading(*followers))
    assert hand_over(identity, machines, monkeypatch) is False
    assert machines.told == ["CLIENT PAUSE 50 WRITE", UNPAUSE]


def test_a_frozen_replica_does_not_hold_up_the_others(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    machines = Machines(leading(replica(100), replica(50, lag=3)))
    assert hand_over(identity, machines, monkeypatch) is True


def test_when_nobody_is_promoted_in_time_writes_go_on_here(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "DEADLINE", 0.05)
    machines = Machines(leading(replica(100)), named="10.40.0.4")
    assert hand_over(identity, machines, monkeypatch) is False
    assert machines.told == ["CLIENT PAUSE 50 WRITE", "SENTINEL FAILOVER local", UNPAUSE]


@pytest.mark.parametrize(
    "machines",
    [
        Machines(leading(replica(100)), refusal=redis.ResponseError("NOGOODSLAVE No suitable replica to promote")),
        Machines(leading(replica(100)), redis.TimeoutError("gone")),
    ],
    ids=["Sentinel refuses", "Redis stops answering"],
)
def test_an_error_on_the_way_ends_the_pause(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, machines: Machines
) -> None:
    assert hand_over(identity, machines, monkeypatch) is False
    assert machines.told[0] == PAUSE
    assert machines.told[-1] == UNPAUSE


@pytest.mark.parametrize(
    ("look", "sentence"),
    [
        (dataclasses.replace(leading(), server=Server(Role.REPLICA)), "no handover: this node does not lead"),
        (leading(), "no handover: no replica follows"),
        (redis.ConnectionError("refused"), "no handover: Redis does not answer (refused)"),
    ],
    ids=["replica", "alone", "down"],
)
def test_where_there_is_nothing_to_hand_over_nothing_is_told(
    identity: Identity,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    look: Details | Exception,
    sentence: str,
) -> None:
    machines = Machines(look)
    assert hand_over(identity, machines, monkeypatch) is False
    assert machines.told == []
    assert capsys.readouterr().err == sentence + "\n"


def test_redis_6_0_hands_over_without_a_pause(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    machines = Machines(leading(replica(100)))
    assert hand_over(dataclasses.replace(identity, since_6_2=False), machines, monkeypatch) is True
    assert machines.told == [
        "SENTINEL FAILOVER local",
        "REPLICAOF 10.40.16.4 6380",
        "CLIENT KILL TYPE normal SKIPME yes",
    ]
