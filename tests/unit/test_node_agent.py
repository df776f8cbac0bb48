"""What the agent adds to the decisions: how long this node has contradicted the majority, and when it is ready."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from holdfast_node import handover, renewal, report, secrets, told
from holdfast_node.agent import Agent
from holdfast_node.cloud import Malformed, Route
from holdfast_node.decision import Decision, Do, Role, Server, decide
from holdfast_node.floating import Floating
from holdfast_node.gateway import Open
from holdfast_node.identity import Identity
from holdfast_node.link import State
from holdfast_node.refusals import Refusals
from holdfast_node.report import Reporter
from holdfast_node.restoring import Restores
from holdfast_node.sentinels import Word
from holdfast_node.servers import Details, Sight
from holdfast_node.turn import Backups

ME, NAMED = "10.40.0.4", "10.40.16.4"


def login() -> tuple[str, str]:
    return "node", "secret"


@dataclass
class Sentinels:
    """Three of them: a majority names `leader` (or nobody), this node's own one `own`."""

    leader: str | None = NAMED
    own: str | None = NAMED

    def proven_leader(self) -> str | None:
        return self.leader

    def named(self) -> str | None:
        return self.leader

    def promoting(self) -> str | None:
        return None

    def members(self) -> frozenset[str]:
        return frozenset()

    speak: bool = True
    reached: str | None = NAMED
    """The leader that a Sentinel reaches."""

    def majority_speaks(self) -> bool:
        return self.speak

    def reach(self, leader: str) -> bool:
        return leader == self.reached

    voters: tuple[str, ...] = (ME, NAMED)
    """Those that answer, of three."""

    def votes(self) -> dict[str, str]:
        return dict.fromkeys(self.voters, self.leader) if self.leader else {}

    def known(self) -> int:
        return 3

    def own_word(self) -> Word | None:
        return Word(self.own, 0.0) if self.own else None

    def own_tilt(self) -> bool | None:
        return False

    def strangers(self) -> dict[str, frozenset[str]]:
        return {ME: frozenset({"10.9.9.9:26379"}), NAMED: frozenset({"10.9.9.8:26379"})}

    def absurd_epochs(self) -> dict[str, int]:
        return {ME: 2**64 - 1}

    def poisoned(self) -> bool:
        return False


@dataclass
class Servers:
    """This node's Redis, and a leader at `NAMED`."""

    details: Details | None = None
    leading: dict[str, Server] = field(default_factory=lambda: {NAMED: Server(Role.LEADER)})

    def own(self) -> Any:
        server = self.details.server if self.details else Server(Role.DOWN)
        return SimpleNamespace(details=self.details, server=server)

    def peers(self, _: object) -> dict[str, Server]:
        return self.leading


@dataclass
class Node:
    """The agent of local-a1, whose Redis is what `be` says, at a time that only `later` moves."""

    agent: Any
    now: float = 1000.0

    def be(self, role: Role, leader: str | None = None) -> None:
        server = Server(role, leader, has_data=True)
        self.agent._servers.details = Details(server, "7.0.15", 1, link_up=True, syncing=False, followers=())

    def later(self, seconds: float) -> Decision:
        self.now += seconds
        return decide(self.agent._snapshot(self.agent._sentinels.proven_leader()))


@pytest.fixture
def node(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> Node:
    agent: Any = Agent(identity, None, login, login)  # type: ignore[arg-type]
    agent._sentinels, agent._servers = Sentinels(), Servers()
    node = Node(agent)
    monkeypatch.setattr("holdfast_node.agent.time.monotonic", lambda: node.now)
    return node


@pytest.mark.parametrize(
    ("leader", "strangers", "members", "poisoned"),
    [
        (Details(Server(Role.LEADER), "7.0.15", 1, True, False, ()), True, {ME}, False),
        (None, True, {ME}, True),
        (None, False, {ME}, False),
        (None, True, set(), False),
    ],
    ids=["the leader answers", "ghosts, and the leader is lost", "the leader is lost", "nobody knows who there is"],
)
def test_ghosts_are_urgent_when_the_leader_is_lost(
    node: Node,
    monkeypatch: pytest.MonkeyPatch,
    leader: Details | None,
    strangers: bool,
    members: set[str],
    poisoned: bool,
) -> None:
    """With one ghost three Sentinels need all three votes: the loss of a machine leaves two."""
    node.agent._servers.at = lambda _: leader
    node.agent._membership.members = frozenset(members)
    if not strangers:
        monkeypatch.setattr(Sentinels, "strangers", lambda _: {})
    node.agent._is_poisoned()
    node.now += 1
    assert node.agent._is_poisoned() is poisoned


@pytest.mark.parametrize(
    ("is_open", "reached", "proven", "speak", "of_no_use_after"),
    [
        pytest.param(True, NAMED, NAMED, True, None, id="applications can write"),
        pytest.param(False, NAMED, NAMED, True, 4, id="the Sentinels reach the leader, and it does not"),
        pytest.param(False, None, NAMED, True, None, id="nobody reaches the leader"),
        pytest.param(False, ME, NAMED, True, None, id="the Sentinels reach another one"),
        pytest.param(False, NAMED, None, True, None, id="nobody is proven"),
        pytest.param(True, NAMED, NAMED, False, 1, id="no majority speaks"),
    ],
)
def test_a_gateway_is_of_no_use_that_hears_nobody_or_alone_misses_the_leader(
    node: Node, is_open: bool, reached: str | None, proven: str | None, speak: bool, of_no_use_after: int | None
) -> None:
    sentinels = node.agent._sentinels
    sentinels.reached, sentinels.leader, sentinels.speak = reached, proven, speak
    node.agent._usable = Open(proven, frozenset({("leader", "local-b1")} if is_open else {("replicas", "local-c1")}))
    of_use = [node.agent._is_of_use(node.now + second) for second in range(60)]
    assert of_use == [of_no_use_after is None or second < of_no_use_after for second in range(60)]


def test_a_fresh_promotion_is_not_undone_however_long_the_other_was_named(node: Node) -> None:
    node.be(Role.REPLICA, NAMED)
    for _ in range(60):
        assert node.later(1).do is Do.STAY
    node.be(Role.LEADER)
    assert node.later(0.1).do is Do.STAY
    assert node.later(3.9).do is Do.STAY


@pytest.mark.parametrize(
    ("voters", "after"), [((ME, NAMED), 4.0), ((ME, NAMED, "10.40.32.4"), 1.0)], ids=["a majority names it", "all do"]
)
def test_a_stale_leader_steps_down(node: Node, voters: tuple[str, ...], after: float) -> None:
    node.agent._sentinels.voters = voters
    node.be(Role.LEADER)
    assert node.later(0).do is Do.STAY
    assert node.later(after - 0.1).do is Do.STAY
    assert (node.later(0.1).do, node.later(0).target) == (Do.FOLLOW, NAMED)


def test_the_clock_starts_anew_after_the_contradiction_has_ended(node: Node) -> None:
    node.be(Role.LEADER)
    node.later(0)
    node.later(3)
    node.be(Role.REPLICA, NAMED)
    node.later(1)
    node.be(Role.LEADER)
    assert node.later(0.1).do is Do.STAY
    assert node.later(3).do is Do.STAY


def test_a_time_before_it_was_named_counts_for_nothing_after_that_nor_the_other_way_round(node: Node) -> None:
    """Else the Sentinels would have a moment, and not four seconds, to promote it or to have it follow."""
    other = "10.40.32.4"
    node.be(Role.REPLICA, other)
    node.agent._servers.leading = {NAMED: Server(Role.REPLICA, ME), other: Server(Role.REPLICA, NAMED)}
    node.later(0)
    node.later(3)
    node.agent._sentinels.leader = ME
    assert [node.later(seconds).do for seconds in (0.1, 3.9, 0.1)] == [Do.STAY, Do.STAY, Do.WAIT]
    node.agent._servers.leading[NAMED] = Server(Role.LEADER)
    node.agent._sentinels.leader = NAMED
    assert [node.later(seconds).do for seconds in (0.1, 3.9, 0.1)] == [Do.STAY, Do.STAY, Do.FOLLOW]


class Told:
    """This node's Redis: what it says, and what it was told."""

    def __init__(self, details: Details) -> None:
        self.details, self.server, self.told = details, details.server, list[str]()

    def tell(self, _: object, *words: object) -> None:
        self.told.append(" ".join(map(str, words)))


BUSY, OFF, ENDED = Sight(None, State.BUSY, 8), Sight(None, State.SILENT, 8), Sight(None, State.REFUSED, 8)
ANSWERS = Sight(Details(Server(Role.REPLICA, ME), "7.0.15", 1, link_up=True, syncing=False, followers=()), State.UP)
PINGS = "CONFIG SET repl-ping-replica-period 1"
LEADS = Details(Server(Role.LEADER), "7.0.15", 1, link_up=False, syncing=False, followers=())
FOLLOWS = Details(
    Server(Role.REPLICA, NAMED, True, True), "7.0.15", 1, link_up=True, syncing=False, followers=(), priority=70
)


@pytest.mark.parametrize(
    ("proven", "others", "lag"),
    [
        (ME, [ANSWERS, OFF], [30]),
        (ME, [BUSY, BUSY], [30]),
        (ME, [OFF, ENDED], [2]),
        (None, [ANSWERS, ANSWERS], [2]),
        (NAMED, [ANSWERS, ANSWERS], [2]),
    ],
    ids=["one answers", "all busy", "none is there", "no majority", "another is proven"],
)
def test_busy_replicas_do_not_stop_the_writes_of_a_proven_leader(
    node: Node, proven: str | None, others: list[Sight], lag: list[int]
) -> None:
    redis = Told(LEADS)
    node.agent._servers = SimpleNamespace(own=lambda: redis, others=lambda: others)
    for _ in range(3):
        node.agent._set_lag(proven)
    assert redis.told == [PINGS, *(f"CONFIG SET min-replicas-max-lag {seconds}" for seconds in lag)]


def test_a_leader_that_is_cut_off_refuses_writes_again_and_one_that_restarts_is_told_anew(node: Node) -> None:
    redis = Told(LEADS)
    node.agent._servers = SimpleNamespace(own=lambda: redis, others=lambda: [ANSWERS])
    node.agent._set_lag(ME)
    node.agent._set_lag(None)
    assert redis.told == [PINGS, "CONFIG SET min-replicas-max-lag 30", "CONFIG SET min-replicas-max-lag 2"]
    node.agent._set_lag(ME)
    redis.details = None  # type: ignore[assignment]
    node.agent._set_lag(ME)
    redis.details = LEADS
    node.agent._set_lag(ME)
    assert redis.told[3:] == ["CONFIG SET min-replicas-max-lag 30", PINGS, "CONFIG SET min-replicas-max-lag 30"]


def test_what_a_program_that_was_killed_had_set_is_set_anew(node: Node) -> None:
    """A long lag of a leader that is cut off by now, and a handover's pause of the pings to replicas."""
    redis = Told(LEADS)
    node.agent._servers = SimpleNamespace(own=lambda: redis, others=lambda: [OFF])
    node.agent._set_lag(None)
    assert redis.told == [PINGS, "CONFIG SET min-replicas-max-lag 2"]


def test_who_leads_never_begins_the_cluster_again(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would lead empty, after a restart, whatever its replicas hold that do not answer at that moment."""
    began = tmp_path / "began"
    began.write_text("token")
    monkeypatch.setattr("holdfast_node.agent.BEGAN", began)
    redis = Told(WAITS)
    node.agent._servers.own = lambda: redis
    node.agent._act(Decision(Do.LEAD, "leads"))
    assert (began.exists(), redis.told) == (False, ["REPLICAOF NO ONE"])


@pytest.mark.parametrize(
    ("before", "first"), [(LEADS, ["CONFIG SET replica-priority 0"]), (FOLLOWS, [])], ids=["leads", "follows another"]
)
def test_who_gives_up_its_lead_may_not_be_promoted_before_a_sentinel_sees_it_follow(
    node: Node, before: Details, first: list[str]
) -> None:
    """Of one that leads, Sentinel knows no priority but an old one, and what it has may be old too."""
    redis = Told(before)
    node.agent._servers.own = lambda: redis
    node.agent._aside = SimpleNamespace(over=True)
    node.agent._act(Decision(Do.FOLLOW, "follows", "10.40.16.4"))
    assert redis.told == [*first, "REPLICAOF 10.40.16.4 6380"]


@pytest.mark.parametrize(
    ("after", "role", "since_7_0", "asked"),
    [
        (0.1, Role.DOWN, True, 1),
        (0.3, Role.DOWN, True, 0),
        (0.3, Role.WAITING, True, 0),
        (0.3, Role.DOWN, False, 0),
        (0.3, Role.WAITING, False, 2),
    ],
    ids=["it saw the loss", "too late", "back already", "too late for 6", "back, which a Sentinel of 6 does not mind"],
)
def test_a_failover_is_asked_for_once_and_only_by_who_saw_the_leader_lost(
    node: Node, after: float, role: Role, since_7_0: bool, asked: int
) -> None:
    """Later it would coincide with the Sentinels' own election."""
    tasks: list[Any] = []
    node.agent._loop = SimpleNamespace(create_task=lambda task: tasks.append(task.close()))
    redis = Told(LEADS)
    node.agent._servers.own = lambda: redis
    node.agent._act(Decision(Do.STAY, "leads"))
    redis.server = Server(role, has_data=True)
    node.agent._identity = replace(node.agent._identity, since_7_0=since_7_0)
    node.now += after
    for _ in range(50):
        node.agent._act(Decision(Do.FAIL_OVER, "hands over"))
        node.now += 0.125
    assert len(tasks) == asked


def test_a_replica_may_be_promoted_once_it_is_in_sync(node: Node) -> None:
    node.agent._sentinels.leader = NAMED
    node.agent._servers.at = lambda _: LEADS
    redis = Told(replace(FOLLOWS, link_up=False, priority=0))
    node.agent._servers.own = lambda: redis
    node.agent._set_priority(NAMED)
    assert redis.told == []
    redis.details = replace(FOLLOWS, priority=0)
    for _ in range(2):
        node.agent._set_priority(NAMED)
    assert redis.told == ["CONFIG SET replica-priority 70"], "once, until it says so itself"
    redis.details = replace(FOLLOWS, priority=70)
    node.agent._set_priority(NAMED)
    redis.details = replace(FOLLOWS, priority=70, link_up=False, syncing=True)
    node.agent._set_priority(NAMED)
    assert redis.told[1:] == ["CONFIG SET replica-priority 0"]


@pytest.mark.parametrize(("holder", "told"), [(True, ["CONFIG SET replica-priority 70"]), (False, [])])
def test_after_a_restart_of_all_a_holder_may_be_promoted_when_its_leader_does_not_come_back(
    node: Node, holder: bool, told: list[str]
) -> None:
    redis = Told(replace(FOLLOWS, link_up=False, priority=0))
    node.agent._servers.own, node.agent._servers.at = lambda: redis, lambda _: None
    node.agent._holders = SimpleNamespace(include_me=lambda: holder)
    for _ in range(30):
        node.agent._set_priority(NAMED)
        assert redis.told == []
        node.now += 1
    node.agent._set_priority(NAMED)
    assert redis.told == told


def test_a_leader_that_is_loading_for_long_is_waited_for(node: Node) -> None:
    loading = replace(WAITS, server=Server(Role.DOWN, has_data=True))
    redis = Told(replace(FOLLOWS, link_up=False, priority=0))
    node.agent._servers.own, node.agent._servers.at = lambda: redis, lambda _: loading
    node.agent._holders = SimpleNamespace(include_me=lambda: True)
    for _ in range(300):
        node.agent._set_priority(NAMED)
        node.now += 1
    assert redis.told == []


LEADS = Details(Server(Role.LEADER, has_data=True), "7.0.15", 1, link_up=False, syncing=False, followers=())
FOLLOWS_ANOTHER = replace(FOLLOWS, server=Server(Role.REPLICA, "10.40.32.4", True))
WAITS = replace(LEADS, server=Server(Role.WAITING, has_data=True))


def reporter_of(
    identity: Identity, sentinels: Sentinels, servers: Servers, cloud: object = None, hand_over: object = None
) -> Any:
    parts: Any = (cloud, hand_over, sentinels, servers)
    floating, backups = Floating(identity, parts[0], lambda: True), Backups(identity, parts[0], sentinels, servers)
    restores = Restores(identity, parts[0], sentinels, servers)
    return Reporter(identity, *parts, floating, parts[0], parts[0], backups, Refusals(0, login, set()), restores)


def test_what_the_bucket_says_is_read_each_time_while_a_sentinel_was_told_something_forged(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each Sentinel restarts soon then, with what its node has written down last."""
    monkeypatch.setattr(told, "FILE", tmp_path / "told.json")
    leaders, forged = iter((ME, NAMED, "10.40.32.4")), dict[str, object]()
    cloud = SimpleNamespace(members=lambda: {"local-a1": ME}, last_leader=lambda: next(leaders))
    servers = SimpleNamespace(leader=lambda: None)
    parts: Any = [cloud, None, SimpleNamespace(strangers=lambda: forged, absurd_epochs=dict), servers, None]
    parts += [SimpleNamespace(), parts[1], None, None, None]
    reporter = Reporter(identity, *parts)
    for now in (0.0, 1.0):
        reporter._look_who_there_is(now)
        assert (told.members(), told.leader()) == ({"local-a1": ME}, ME)
    forged[ME] = {"10.9.9.9:26379"}
    for now, leader in ((2.0, NAMED), (3.0, "10.40.32.4")):
        reporter._look_who_there_is(now)
        assert told.leader() == leader
    # Sentinels that still work have replaced the forged one: whom they promoted is not in the bucket before a majority
    # names it, and two leaders by name would both take writes.
    servers.leader = lambda: "10.40.16.4"
    reporter._look_who_there_is(4.0)
    assert told.leader() == "10.40.16.4"


@pytest.fixture(autouse=True)
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What the services here know."""
    known = {"node": ["v1"]}
    monkeypatch.setattr(secrets, "versions", lambda: known)
    return known


@pytest.mark.parametrize(
    ("redis", "sentinels", "haproxy", "ready"),
    [
        (FOLLOWS, Sentinels(), True, True),
        (LEADS, Sentinels(leader=ME, own=ME), True, True),
        (replace(FOLLOWS, link_up=False), Sentinels(), True, False),
        (replace(FOLLOWS, syncing=True), Sentinels(), True, False),
        (FOLLOWS_ANOTHER, Sentinels(), True, False),
        (WAITS, Sentinels(leader=ME, own=ME), True, False),
        (None, Sentinels(), True, False),
        (LEADS, Sentinels(), True, False),
        (FOLLOWS, Sentinels(leader=None), True, False),
        (FOLLOWS, Sentinels(own=ME), True, False),
        (FOLLOWS, Sentinels(own=None), True, False),
        (FOLLOWS, Sentinels(), False, False),
    ],
    ids=[
        "replica in sync",
        "leader",
        "link down",
        "still being fed",
        "follows another",
        "waits",
        "Redis down",
        "leads, but another is named",
        "no majority",
        "own Sentinel names another",
        "own Sentinel silent",
        "HAProxy down",
    ],
)
def test_a_node_is_ready_when_all_its_parts_mean_the_same_leader(
    identity: Identity,
    monkeypatch: pytest.MonkeyPatch,
    redis: Details | None,
    sentinels: Sentinels,
    haproxy: bool,
    ready: bool,
) -> None:
    monkeypatch.setattr(report, "_is_up", lambda _: haproxy)
    reporter = reporter_of(identity, sentinels, Servers(redis))
    reporter._floating.holds = True
    reporter._floating.foreign = [Route("rtb-a", "0.0.0.0/0", "eni-b", None)]
    made = reporter.make("i-0123456789abcdef0")
    assert made["ready"] is ready
    assert made["gateway"] == {
        "proven_leader": sentinels.leader,
        "haproxy": haproxy,
        "floating": True,
        "routes": [{"table": "rtb-a", "destination": "0.0.0.0/0", "interface": "eni-b", "instance": None}],
    }


def test_a_node_reports_what_its_own_sentinel_believes_and_is_not_so(identity: Identity) -> None:
    made = reporter_of(replace(identity, roles=["sentinel"]), Sentinels(), Servers()).make("i-0123456789abcdef0")
    assert made["sentinel"]["strangers"] == ["10.9.9.9:26379"]
    assert made["sentinel"]["forged_epoch"] == 2**64 - 1


@pytest.mark.parametrize(
    ("roles", "sentinels", "haproxy", "ready"),
    [
        (["gateway"], Sentinels(own=None), True, True),
        (["gateway"], Sentinels(own=None), False, False),
        (["gateway"], Sentinels(leader=None, own=None), True, False),
        (["sentinel"], Sentinels(), False, True),
        (["sentinel"], Sentinels(own="10.40.32.4"), False, False),
        (["gateway", "sentinel"], Sentinels(), True, True),
        (["gateway", "sentinel"], Sentinels(), False, False),
        (["gateway", "sentinel"], Sentinels(own=None), True, False),
    ],
)
def test_a_node_without_redis_is_ready_by_the_roles_that_it_has(
    identity: Identity,
    monkeypatch: pytest.MonkeyPatch,
    roles: list[str],
    sentinels: Sentinels,
    haproxy: bool,
    ready: bool,
) -> None:
    monkeypatch.setattr(report, "_is_up", lambda _: haproxy)
    mine = replace(identity, roles=roles)
    made = reporter_of(mine, sentinels, Servers()).make("i-0123456789abcdef0")
    assert made["ready"] is ready
    assert made["roles"] == roles
    assert made["redis"] is None
    gateway = {"proven_leader": sentinels.leader, "haproxy": haproxy, "floating": False, "routes": []}
    assert made["gateway"] == (gateway if "gateway" in roles else None)


def test_data_alone_is_ready_without_a_sentinel_and_without_haproxy(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_is_up", lambda _: False)
    alone, sentinels = replace(identity, roles=["data"]), Sentinels(own=None)
    assert reporter_of(alone, sentinels, Servers(FOLLOWS)).make("i-0123456789abcdef0")["ready"] is True


def test_a_node_without_redis_says_who_leads_and_never_looks_for_one(
    node: Node, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.agent._identity = replace(identity, roles=["gateway"])
    monkeypatch.setattr(node.agent._servers, "own", lambda: pytest.fail("asked a Redis that is not there"))
    assert node.agent._decide(NAMED) == Decision(Do.STAY, "a majority names 10.40.16.4")
    node.agent._sentinels.leader = None
    assert node.agent._decide(None) == Decision(
        Do.STAY, "waits: 0 of 3 Sentinels name the same leader, and a majority is 2"
    )


class Bucket:
    """What the operator ordered."""

    def __init__(self, order: dict[str, Any] | None) -> None:
        self.content = order

    def order(self) -> dict[str, Any] | None:
        return self.content

    renewal = order

    def restore_order(self) -> None:
        return None

    def generation(self) -> tuple[None, float]:
        return None, 0.0


def reporter(identity: Identity, monkeypatch: pytest.MonkeyPatch, redis: Details, order: Any) -> Any:
    def hand_over(to: str | None) -> str:
        if to == "10.40.32.4":
            raise handover.Failed("no handover: 10.40.32.4 is no replica in sync")
        made.handed_over.append(to)
        return "handed over to 10.40.16.4"

    made = reporter_of(identity, Sentinels(leader=ME), Servers(redis), Bucket(order), hand_over)
    made.handed_over = []
    monkeypatch.setattr(report, "ORDER_INTERVAL", 0)
    monkeypatch.setattr(report, "_is_up", lambda _: True)
    return made


def test_a_leader_obeys_an_order_once_and_says_what_came_of_it(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = reporter(identity, monkeypatch, LEADS, {"id": "1", "from": "local-a1", "to": "local-b1"})
    found._obey()
    found._obey()
    assert found.handed_over == ["10.40.16.4"]
    assert found.make("i-0")["order"] == {"id": "1", "done": True, "says": "handed over to 10.40.16.4"}
    found._cloud.content = {"id": "2", "from": "local-a1", "to": "local-c1"}
    found._obey()
    assert found.make("i-0")["order"] == {
        "id": "2",
        "done": False,
        "says": "no handover: 10.40.32.4 is no replica in sync",
    }


@pytest.mark.parametrize(
    ("redis", "order"),
    [
        (LEADS, None),
        # Its predecessor's: it obeyed, and this is who leads now.
        (LEADS, {"id": "1", "from": "local-b1", "to": None}),
        (FOLLOWS, {"id": "1", "from": "local-a1", "to": None}),
    ],
    ids=["none", "to another", "a replica"],
)
def test_nobody_else_obeys(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, redis: Details, order: dict[str, Any] | None
) -> None:
    found = reporter(identity, monkeypatch, redis, order)
    found._obey()
    assert found.handed_over == []
    assert found.make("i-0")["order"] is None


def test_a_node_ends_sessions_once_when_it_is_told_to_and_says_so(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    obeyed: list[str] = []

    def end(_: object, login: object, order: dict[str, str]) -> dict[str, Any]:
        assert login == ("node", "secret")
        obeyed.append(order["users"])
        return {"id": order["id"], "done": True, "says": "ended 2 sessions of app"}

    monkeypatch.setattr(report.sessions, "end", end)
    monkeypatch.setattr(secrets, "login", lambda: ("node", "secret"))
    monkeypatch.setattr(renewal, "ask", lambda _: pytest.fail("fetched passwords"))
    order = {"id": "1", "node": "local-a1", "what": "sessions", "users": "app"}
    found = reporter(identity, monkeypatch, LEADS, order)
    assert found.make("i-0")["sessions"] is None
    for now in (0, 10, 20):
        found._renew(now)
    assert obeyed == ["app"]
    assert found.make("i-0")["sessions"] == {"id": "1", "done": True, "says": "ended 2 sessions of app"}


def test_a_node_passes_on_an_order_for_new_passwords_once_and_says_which_it_knows(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, versions: dict[str, list[str]]
) -> None:
    asked = tmp_path / "renew"
    monkeypatch.setattr(renewal, "ASKED", asked)
    found = reporter(identity, monkeypatch, LEADS, {"id": "1", "node": "local-b1"})
    found._renew(0)
    assert not asked.exists()
    found._cloud.content = {"id": "2", "node": "local-a1"}
    found._renew(report.RENEWAL_INTERVAL - 1)
    assert not asked.exists()
    found._renew(report.RENEWAL_INTERVAL)
    assert json.loads(asked.read_text())["id"] == "2"
    asked.unlink()
    found._renew(2 * report.RENEWAL_INTERVAL)
    assert not asked.exists()
    versions["node"] = ["v2", "v1"]
    assert found.make("i-0")["secrets"] == {"node": ["v2", "v1"]}


def test_what_has_no_sense_in_the_bucket_costs_what_it_was_about_and_is_said_once(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who may write one object there would else stop every report."""

    def malformed() -> None:
        raise Malformed("orders/secrets.json: found []; accepted: a JSON object")

    found = reporter(identity, monkeypatch, LEADS, {"id": "1", "from": "local-a1", "to": "local-b1"})
    found._cloud.renewal, looked = malformed, list[str]()
    monkeypatch.setattr(found, "_look_who_there_is", lambda _: looked.append("members"))
    monkeypatch.setattr(found, "_look_who_has_everything", lambda: looked.append("holders"))
    for now in (0.0, 10.0):
        found._look_into_bucket(now)
    assert found.handed_over == ["10.40.16.4"]
    assert looked == ["members", "holders"] * 2
    assert capsys.readouterr().err.count("leaves aside what is in the bucket: orders/secrets.json: found []") == 1
