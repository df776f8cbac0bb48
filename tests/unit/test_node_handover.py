"""A leader that stops hands over to a replica that has everything, or changes nothing."""

from __future__ import annotations

import dataclasses
import fcntl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from holdfast_node import handover, resp
from holdfast_node.decision import Role, Server
from holdfast_node.identity import Identity
from holdfast_node.servers import Details, Follower

AS_NODE = resp.Credentials("node", "secret")
OWN, SUCCESSOR, OTHER = "10.40.0.4", "10.40.16.4", "10.40.32.4"
PROMOTES = "+failover-state-send-slaveof-noone slave 10.40.16.4:6380 10.40.16.4 6380 @ local 10.40.0.4 6380"
NO_GOOD = "-failover-abort-no-good-slave master local 10.40.0.4 6380"
FOLLOWS = Details(Server(Role.REPLICA, "10.40.0.4", has_data=True), "7.0.15", 100, True, False, ())
LEADS = Details(Server(Role.LEADER, has_data=True), "7.0.15", 100, False, False, ())


class Machines:
    """This node's Redis, its replicas and a Sentinel: what they say, and what they were told.

    Each says its looks one after the other, and stays with the last. The Sentinel announces `events` as it writes them.
    """

    def __init__(
        self,
        own: Details,
        *successor: Details | Exception,
        other: Details | Exception | None = None,
        events: tuple[str, ...] = (PROMOTES,),
        refusal: str = "",
    ) -> None:
        self.looks: dict[str, list[Details | Exception]] = {
            "127.0.0.1": [own],
            SUCCESSOR: list(successor) or [FOLLOWS, LEADS],
            OTHER: [other or FOLLOWS],
        }
        self.events, self.refusal = list(events), refusal
        self.priority = "70"
        """Of the replicas."""
        self.watched = [OWN]
        """Whom Sentinels watch, one answer after the other; they stay with the last."""
        self.flags, self.epochs = "master", dict[str, int]()
        self.refreshed = ["0", "120"]
        """Milliseconds since the last INFO of replicas, one answer after the other."""
        self.replaced_by = ""
        """The address of the Sentinel that was asked to."""
        self.told: list[str] = []

    def connect(self, address: str, port: int, *_: Any, **__: Any) -> Any:
        return Machine(self, address, port)


class Machine:
    """A connection to one of them."""

    def __init__(self, machines: Machines, address: str, port: int) -> None:
        assert port in (6380, 26379)
        self.address, self._machines = address, machines

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def look(self) -> Details:
        looks = self._machines.looks[self.address]
        look = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(look, Exception):
            raise look
        return look

    def call(self, *words: object) -> Any:
        command = " ".join(str(word) for word in words)
        if command == "SENTINEL GET-MASTER-ADDR-BY-NAME local":
            return [SUCCESSOR, "6380"]
        if command == "SENTINEL MASTER local":
            watched = self._machines.watched
            leader = watched.pop(0) if len(watched) > 1 else watched[0]
            epoch = str(self._machines.epochs.get(self.address, 3))
            return ["ip", leader, "flags", self._machines.flags, "config-epoch", epoch]
        if command == "CONFIG GET replica-priority":
            return ["replica-priority", self._machines.priority]
        if command == "SENTINEL REPLICAS local":
            preferred = "1" if "CONFIG SET replica-priority 1" in self._machines.told else "70"
            refreshed = self._machines.refreshed
            age = refreshed.pop(0) if len(refreshed) > 1 else refreshed[0]
            return [["ip", SUCCESSOR, "slave-priority", preferred, "info-refresh", age]]
        if command.startswith("SUBSCRIBE"):
            return ["subscribe", words[1], 1]
        self._machines.told.append(command)
        if command.startswith("CONFIG SET replica-priority"):
            self._machines.priority = command.split()[-1]
        if command == FAILOVER:
            self._machines.replaced_by = self.address
        if command == FAILOVER and self._machines.refusal:
            raise resp.Refused(self._machines.refusal)
        return "OK"

    def read(self, _: float) -> list[str]:
        if not self._machines.events:
            raise TimeoutError
        channel, message = self._machines.events.pop(0).split(" ", 1)
        return ["message", channel, message]


def leading(*followers: Follower, offset: int = 100) -> Details:
    return Details(Server(Role.LEADER, has_data=True), "7.0.15", offset, False, False, followers)


def replica(address: str = SUCCESSOR, state: str = "online", lag: int = 0) -> Follower:
    return Follower(address, 90, state, lag)


def following(offset: int) -> Details:
    return dataclasses.replace(FOLLOWS, offset=offset)


PAUSE = ["CONFIG SET repl-ping-replica-period 3600", "CLIENT PAUSE 3000 WRITE"]
RESUME = ["CLIENT UNPAUSE", "CONFIG SET repl-ping-replica-period 1"]
DONE = "handed over to 10.40.16.4; writes paused for "
FAILOVER = "SENTINEL FAILOVER local"
GIVE_UP = ["REPLICAOF 10.40.16.4 6380", "CLIENT KILL TYPE normal SKIPME yes"]
"""Before writes go on: an old leader that takes some loses them."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(handover, "POLL", 0)
    monkeypatch.setattr(handover, "FILE", tmp_path / "node.json")
    handover.FILE.touch()


def hand_over(identity: Identity, machines: Machines, monkeypatch: pytest.MonkeyPatch, to: str | None = None) -> str:
    monkeypatch.setattr(resp, "Client", machines.connect)
    monkeypatch.setattr(handover, "_look", lambda machine: machine.look())
    return handover.hand_over(identity, AS_NODE, AS_NODE, to)


def test_writes_stop_the_replicas_catch_up_and_only_then_one_is_promoted(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = Machines(leading(replica()), following(90), following(99), following(100), FOLLOWS, LEADS)
    assert hand_over(identity, machines, monkeypatch).startswith(DONE)
    assert machines.looks[SUCCESSOR] == [LEADS], "it did not wait for the offset, or for the lead"
    assert machines.told == [*PAUSE, FAILOVER, *GIVE_UP, *RESUME]
    assert machines.replaced_by != OWN, "its own Sentinel may stop with it"


def test_the_sessions_of_the_promoted_one_end_and_it_is_asked_again(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = Machines(leading(replica()), FOLLOWS, ConnectionError("closed"), LEADS)
    assert hand_over(identity, machines, monkeypatch).startswith(DONE)


def test_a_sentinel_that_watches_another_leader_is_not_asked_to_replace_that_one(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This node was promoted just now, and one of the Sentinels knows it a moment later."""
    machines = Machines(leading(replica()))
    machines.watched = [SUCCESSOR] * 20 + [OWN]
    assert hand_over(identity, machines, monkeypatch).startswith(DONE)
    assert machines.watched == [OWN]


@pytest.mark.parametrize(("epochs", "asked"), [({}, SUCCESSOR), ({SUCCESSOR: 0}, OTHER)])
def test_of_all_sentinels_the_one_that_knows_of_most_changes_is_asked(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, epochs: dict[str, int], asked: str
) -> None:
    """Another one came back without its volume, and would promote in an epoch that was there already."""
    machines = Machines(leading(replica()))
    machines.epochs = epochs
    assert hand_over(identity, machines, monkeypatch).startswith(DONE)
    assert machines.replaced_by == asked


def test_a_sentinel_that_has_not_asked_the_replicas_yet_is_waited_for(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = Machines(leading(replica()))
    machines.refreshed = ["0"] * 5 + ["120"]
    assert hand_over(identity, machines, monkeypatch).startswith(DONE)
    assert machines.refreshed == ["120"]


@pytest.mark.parametrize(("watched", "flags"), [(SUCCESSOR, "master"), (OWN, "master,failover_in_progress")])
def test_without_a_sentinel_that_watches_this_node_and_replaces_nobody_it_stays(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, watched: str, flags: str
) -> None:
    monkeypatch.setattr(handover, "NAMED_WITHIN", 0.05)
    machines = Machines(leading(replica()))
    machines.watched, machines.flags = [watched], flags
    with pytest.raises(handover.Failed, match="no Sentinel that answers names this node; writes go on here"):
        hand_over(identity, machines, monkeypatch)
    assert machines.told == []


def test_a_follower_that_is_no_node_is_neither_asked_nor_waited_for(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked, it would be logged in to. The fake knows no machine of that address."""
    machines = Machines(leading(replica(), replica("10.9.9.8")))
    assert hand_over(identity, machines, monkeypatch).startswith(DONE)


def test_a_stranger_that_a_sentinel_promotes_is_not_followed(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    promotes = PROMOTES.replace(SUCCESSOR, "10.9.9.8")
    machines = Machines(leading(replica()), events=(promotes,))
    with pytest.raises(handover.Failed, match="the Sentinel promotes 10.9.9.8, which is no node"):
        hand_over(identity, machines, monkeypatch)
    assert machines.told == [*PAUSE, FAILOVER, *RESUME]


@pytest.mark.parametrize(
    "machines",
    [
        Machines(leading(replica()), following(99)),
        Machines(leading(replica(lag=9))),
        Machines(leading(replica(), replica(OTHER)), following(98), other=following(99)),
        Machines(leading(replica()), ConnectionError("closed")),
    ],
    ids=["behind", "silent", "both behind", "gone"],
)
def test_without_replicas_that_have_everything_writes_go_on_here(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, machines: Machines
) -> None:
    monkeypatch.setattr(handover, "CATCH_UP", 0.05)
    with pytest.raises(handover.Failed, match="^no handover: "):
        hand_over(identity, machines, monkeypatch)
    assert machines.told == [*PAUSE, *RESUME]


@pytest.mark.parametrize("to", [SUCCESSOR, None])
@pytest.mark.parametrize("other", [following(99), TimeoutError("timed out")], ids=["behind", "busy"])
def test_where_one_does_not_catch_up_another_one_that_did_is_preferred(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, other: Details | Exception, to: str | None
) -> None:
    """The leader's machine may be about to stop, and a replica that has just been fed is behind for seconds."""
    monkeypatch.setattr(handover, "CATCH_UP", 0.05)
    machines = Machines(leading(replica(), replica(OTHER)), other=other)
    machines.looks[SUCCESSOR] = [FOLLOWS, FOLLOWS, LEADS]
    assert hand_over(identity, machines, monkeypatch, to).startswith(DONE)
    prefer, restore = "CONFIG SET replica-priority 1", "CONFIG SET replica-priority 70"
    first, second = [*PAUSE, *RESUME], [*PAUSE, FAILOVER, *GIVE_UP, *RESUME]
    expected = [prefer, *first, restore, prefer, *second, restore] if to else [*first, prefer, *second, restore]
    assert machines.told == expected


@pytest.mark.parametrize("lag", [0, 8])
def test_the_one_that_was_asked_for_must_have_everything_too(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, lag: int
) -> None:
    monkeypatch.setattr(handover, "CATCH_UP", 0.05)
    machines = Machines(leading(replica(lag=lag), replica(OTHER)), following(50), other=following(100))
    with pytest.raises(handover.Failed, match=r"^no handover: 10\.40\.16\.4 did not catch up in time"):
        hand_over(identity, machines, monkeypatch, to=SUCCESSOR)
    assert FAILOVER not in machines.told


def test_one_that_nobody_waits_for_is_not_promoted_either(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom it would prefer the Sentinel knows, but not who has everything."""
    machines = Machines(leading(replica(), replica(OTHER, lag=8)), following(100), LEADS, other=following(50))
    assert hand_over(identity, machines, monkeypatch).startswith(DONE)
    assert machines.told[0] == "CONFIG SET replica-priority 1"
    assert machines.told[-1] == "CONFIG SET replica-priority 70"


def test_a_frozen_replica_does_not_hold_up_the_others(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    machines = Machines(leading(replica(), replica(OTHER, lag=3)), other=following(50))
    assert hand_over(identity, machines, monkeypatch).startswith(DONE)


@pytest.mark.parametrize(
    ("machines", "told"),
    [
        (Machines(leading(replica()), events=(NO_GOOD,)), [*PAUSE, FAILOVER, *RESUME]),
        (Machines(leading(replica()), events=()), [*PAUSE, FAILOVER, *RESUME]),
        (Machines(leading(replica()), refusal="NOGOODSLAVE"), [*PAUSE, FAILOVER, *RESUME]),
        (Machines(leading(replica()), OSError("gone")), [*PAUSE, *RESUME]),
        (Machines(leading(replica()), FOLLOWS), [*PAUSE, FAILOVER, *RESUME]),
    ],
    ids=[
        "no good replica",
        "Sentinel says nothing more",
        "Sentinel refuses",
        "replica stops answering",
        "chosen, but never leads",
    ],
)
def test_when_nobody_is_promoted_writes_go_on_here(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, machines: Machines, told: list[str]
) -> None:
    monkeypatch.setattr(handover, "DEADLINE", 0.05)
    with pytest.raises(handover.Failed, match="^no handover: "):
        hand_over(identity, machines, monkeypatch)
    assert machines.told == [command.replace("3000", "50") for command in told]


@pytest.mark.parametrize(
    ("look", "sentence"),
    [
        (dataclasses.replace(leading(), server=Server(Role.REPLICA)), "no handover: this node does not lead"),
        (leading(), "no handover: no replica follows"),
        (leading(replica(state="send_bulk")), "no handover: no replica follows"),
        (OSError("refused"), "no handover: refused; writes go on here"),
    ],
    ids=["replica", "alone", "replica still being fed", "down"],
)
def test_where_there_is_nothing_to_hand_over_nothing_is_told(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, look: Details | Exception, sentence: str
) -> None:
    machines = Machines(leading())
    machines.looks["127.0.0.1"] = [look]
    with pytest.raises(handover.Failed) as failed:
        hand_over(identity, machines, monkeypatch)
    assert str(failed.value) == sentence
    assert machines.told == []


def test_the_one_that_is_asked_for_is_preferred_until_it_leads(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = Machines(leading(replica(), replica(OTHER)))
    assert hand_over(identity, machines, monkeypatch, to=SUCCESSOR).startswith(DONE)
    assert machines.told == [
        "CONFIG SET replica-priority 1",
        *PAUSE,
        FAILOVER,
        *GIVE_UP,
        *RESUME,
        "CONFIG SET replica-priority 70",
    ]


def test_one_that_restarted_meanwhile_is_not_made_eligible(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    class Restarts(Machines):
        def connect(self, address: str, port: int, *_: Any, **__: Any) -> Any:
            if FAILOVER in self.told:
                self.priority = "0"
            return super().connect(address, port)

    machines = Restarts(leading(replica(), replica(OTHER)))
    assert hand_over(identity, machines, monkeypatch, to=SUCCESSOR).startswith(DONE)
    assert machines.told[-1] == RESUME[-1]


def test_the_second_of_two_handovers_waits_for_the_first(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's order, and a machine that stops meanwhile: it would resume the writes that the other one paused."""
    machines = Machines(leading(replica()))
    with handover.FILE.open() as first, ThreadPoolExecutor() as pool:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = pool.submit(hand_over, identity, machines, monkeypatch)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.2)
        assert machines.told == []
        fcntl.flock(first, fcntl.LOCK_UN)
        assert second.result(timeout=10).startswith(DONE)


def test_one_that_is_no_replica_in_sync_cannot_be_asked_for(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = Machines(leading(replica(), replica(OTHER, state="wait_bgsave")))
    with pytest.raises(handover.Failed, match="^no handover: 10.40.32.4 is no replica in sync; accepted: 10.40.16.4$"):
        hand_over(identity, machines, monkeypatch, to=OTHER)
    assert machines.told == []


def test_redis_6_0_hands_over_without_a_pause(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    machines = Machines(leading(replica()))
    assert hand_over(dataclasses.replace(identity, since_6_2=False), machines, monkeypatch).startswith(DONE)
    assert machines.told == [PAUSE[0], FAILOVER, *GIVE_UP, RESUME[1]]


def test_without_an_own_sentinel_the_first_that_answers_is_asked_and_only_that_one(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OneSilent(Machines):
        def connect(self, address: str, port: int, *_: Any, **__: Any) -> Any:
            if address == "10.40.0.16":
                raise ConnectionRefusedError
            return super().connect(address, port)

    machines = OneSilent(leading(replica()))
    sentinels = {"local-sentinel-a1": "10.40.0.16", "local-sentinel-b1": SUCCESSOR}
    apart = dataclasses.replace(identity, roles=["data"], sentinels=sentinels)
    assert hand_over(apart, machines, monkeypatch).startswith(DONE)
    assert machines.told.count(FAILOVER) == 1
