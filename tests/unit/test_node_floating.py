"""The floating pair follows the election, is moved by nobody else, and is not fought over."""

from __future__ import annotations

import http.client
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from holdfast_node import aws, floating
from holdfast_node.cloud import Malformed, Route, Routes
from holdfast_node.floating import Floating
from holdfast_node.identity import Identity

KERNEL = floating.ADDRESSES

PAIR = ["100.127.0.2", "100.127.0.3"]
EVERY_ROUTE = [("rtb-a", "100.127.0.2/32"), ("rtb-a", "100.127.0.3/32")]


class Tables:
    """The cloud's route tables, as this node sees them."""

    def __init__(self) -> None:
        self.elsewhere = list(EVERY_ROUTE)
        self.moved: list[tuple[str, str]] = []
        self.foreign: list[Route] = []
        self.reports: dict[str, tuple[bool, float]] = {}
        """Gateway → whether it holds the pair by its own word, and for how many seconds that has been reported."""
        self.looks = 0
        self.refuses: Exception | None = None

    def routes(self, pair: Sequence[str]) -> Routes:
        assert pair == PAIR
        self.looks += 1
        if self.refuses:
            raise self.refuses
        return Routes(list(self.elsewhere), list(self.foreign))

    def report(self, node: str) -> tuple[dict[str, dict[str, bool]], float] | None:
        assert node != "local-a1"
        found = self.reports.get(node)
        return ({"gateway": {"floating": found[0]}}, found[1]) if found else None

    def lead_here(self, table: str, destination: str) -> None:
        self.moved.append((table, destination))
        self.elsewhere.remove((table, destination))


class Node:
    def __init__(self, identity: Identity, folder: Path) -> None:
        self.tables, self.heard = Tables(), True
        self.table = folder / "fib_trie"
        self.elected(False)
        self.floating = Floating(identity, self.tables, lambda: self.heard)  # type: ignore[arg-type]

    def elected(self, elected: bool = True) -> None:
        """As the kernel tells it when keepalived has taken the pair on, or has not."""
        routed = "           |-- {}\n              /32 {}\n"
        has = [routed.format(address, "host LOCAL") for address in ["127.0.0.1", *(PAIR if elected else [])]]
        others = [routed.format(address, "universe UNICAST") for address in PAIR]
        self.table.write_text("Main:\n  +-- 0.0.0.0/0 3 0 5\n" + "".join([*others, *has]))


@pytest.fixture
def node(identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr(floating, "ADDRESSES", tmp_path / "fib_trie")
    monkeypatch.setattr(floating, "UNABLE", tmp_path / "unable")
    return Node(identity, tmp_path)


def test_the_elected_moves_every_route_and_holds_the_pair_when_a_look_confirms_it(node: Node) -> None:
    node.elected()
    node.floating.look(100.0)
    assert node.tables.moved == EVERY_ROUTE
    assert node.floating.holds is False
    node.floating.look(100.05)
    assert node.floating.holds is True
    node.floating.look(100.1)
    assert node.tables.looks == 2


def test_who_is_not_elected_moves_nothing(node: Node) -> None:
    node.floating.look(100.0)
    assert node.tables.moved == []


def test_who_has_half_of_the_pair_moves_nothing(node: Node) -> None:
    """In the middle of an election."""
    node.elected()
    node.table.write_text(node.table.read_text().replace("100.127.0.3", "100.127.0.30"))
    node.floating.look(100.0)
    assert node.tables.moved == []


def test_the_kernel_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floating, "ADDRESSES", KERNEL)
    assert floating._has(["127.0.0.1"])
    assert not floating._has(["127.0.0.1", "203.0.113.77"])
    assert not floating._has(["27.0.0.1"])


def test_the_elected_without_a_majority_of_sentinels_moves_nothing(node: Node) -> None:
    node.elected()
    node.heard = False
    node.floating.look(100.0)
    assert node.tables.moved == []


def test_an_election_that_ends_in_the_middle_ends_the_moving(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.elected()
    lead_here = node.tables.lead_here

    def lose_it_then(table: str, destination: str) -> None:
        lead_here(table, destination)
        node.elected(False)

    monkeypatch.setattr(node.tables, "lead_here", lose_it_then)
    node.floating.look(100.0)
    assert node.tables.moved == EVERY_ROUTE[:1]


def test_an_api_that_does_not_answer_is_tried_again_ever_more_seldom(node: Node) -> None:
    node.elected()
    node.tables.refuses = OSError("timed out")
    tried, now = [], 100.0
    while now < 120.0:
        before = node.tables.looks
        node.floating.look(now)
        if node.tables.looks > before:
            tried.append(now)
        now = round(now + 0.05, 2)
    pauses = [later - earlier for earlier, later in zip(tried, tried[1:], strict=False)]
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0], abs=0.06)
    node.tables.refuses = aws.Refused(503, "Unavailable", "")
    node.floating.look(now + 5)
    node.tables.refuses = None
    node.floating.look(now + 10)
    assert node.tables.moved == EVERY_ROUTE


def test_routes_that_another_elected_gateway_took_are_left_to_it_for_a_while(node: Node) -> None:
    node.elected()
    for now in (100.0, 100.1):
        node.floating.look(now)
    node.tables.elsewhere, node.tables.moved = list(EVERY_ROUTE), []
    node.tables.reports["local-b1"] = True, 0.0
    node.floating.look(105.1)
    assert (node.tables.moved, node.floating.holds) == ([], False)
    for now in (107.2, 109.3, 110.0):
        node.floating.look(now)
    assert node.tables.moved == []
    node.floating.look(110.2)
    assert node.tables.moved == EVERY_ROUTE
    node.floating.look(110.3)
    node.tables.elsewhere, node.tables.moved = list(EVERY_ROUTE), []
    node.floating.look(115.4)
    # Twice as long as the first time.
    for tenth in range(1160, 1254):
        node.floating.look(tenth / 10)
    assert node.tables.moved == []
    node.floating.look(125.5)
    assert node.tables.moved == EVERY_ROUTE


@pytest.mark.parametrize(
    ("reports", "back_after"),
    [
        pytest.param({"local-b1": (False, 0.0)}, 2.0, id="it says so"),
        pytest.param({"local-b1": (True, 16.0)}, 2.0, id="it has not said anything for long"),
        pytest.param({}, 2.0, id="it never said anything"),
        pytest.param({"local-b1": (False, 3.0)}, 4.1, id="it has not said anything since it took the pair"),
        pytest.param({"local-b1": (False, 0.0), "local-c1": (True, 0.0)}, 40.0, id="the third one holds it"),
    ],
)
def test_routes_are_taken_back_as_soon_as_the_other_gateway_does_not_hold_them(
    node: Node, reports: dict[str, tuple[bool, float]], back_after: float
) -> None:
    node.elected()
    node.floating._contested = 40.0
    for now in (100.0, 100.1):
        node.floating.look(now)
    node.tables.elsewhere, node.tables.moved, node.tables.reports = list(EVERY_ROUTE), [], reports
    now = taken_at = 105.2
    while not node.tables.moved:
        node.floating.look(now)
        now += 0.1
    assert now - 0.1 - taken_at == pytest.approx(back_after, abs=0.21)


def test_who_loses_the_election_while_it_leaves_the_pair_to_another_one_begins_anew(node: Node) -> None:
    node.elected()
    for now in (100.0, 100.1):
        node.floating.look(now)
    node.tables.elsewhere, node.tables.moved = list(EVERY_ROUTE), []
    node.tables.reports["local-b1"] = True, 0.0
    node.floating.look(105.2)
    node.elected(False)
    node.floating.look(105.3)
    node.elected()
    node.floating.look(105.4)
    assert node.tables.moved == EVERY_ROUTE


def test_what_was_contested_long_ago_costs_no_pause(node: Node) -> None:
    def be_taken_away(now: float) -> float:
        """Seconds until it moves them back."""
        node.tables.elsewhere, node.tables.moved = list(EVERY_ROUTE), []
        node.tables.reports["local-b1"] = True, 0.0
        since = now
        while not node.tables.moved:
            node.floating.look(now)
            now += 0.5
        return now - since

    def hold(now: float, seconds: float) -> float:
        for _ in range(int(2 * seconds)):
            node.floating.look(now)
            now += 0.5
        return now

    node.elected()
    now = hold(100.0, 10)
    for _ in range(4):
        now = hold(now + be_taken_away(now), 10)
    assert be_taken_away(now) > 60
    now = hold(now + 100, 700)
    assert be_taken_away(now) < 12


@pytest.mark.parametrize("answer", [http.client.IncompleteRead(b"<Desc"), ET.ParseError("no element found")])
def test_an_answer_that_is_cut_off_in_the_middle_is_asked_for_again(node: Node, answer: Exception) -> None:
    node.elected()
    node.tables.refuses = answer
    node.floating.look(100.0)
    node.tables.refuses = None
    node.floating.look(100.3)
    assert node.tables.moved == EVERY_ROUTE


def test_who_loses_the_election_holds_nothing(node: Node) -> None:
    node.elected()
    for now in (100.0, 100.1):
        node.floating.look(now)
    node.elected(False)
    node.floating.look(100.2)
    assert node.floating.holds is False


REDIRECTED = Route("rtb-a", "10.40.0.0/16", "eni-taken", "i-taken")


@pytest.mark.parametrize("elected", [True, False])
def test_what_another_gateway_has_moved_beside_the_pair_is_said_once(
    node: Node, capsys: pytest.CaptureFixture[str], elected: bool
) -> None:
    node.elected(elected)
    node.tables.foreign = [REDIRECTED]
    for second in range(200):
        node.floating.look(100.0 + second)
    assert node.floating.foreign == [REDIRECTED]
    said = "a route that no deploy made so: 10.40.0.0/16 in rtb-a leads to eni-taken of i-taken\n"
    assert capsys.readouterr().err.count(said) == 1
    node.tables.foreign = []
    for second in range(200, 300):
        node.floating.look(100.0 + second)
    assert node.floating.foreign == []
    assert "all routes lead where a deploy had them lead\n" in capsys.readouterr().err


def test_who_is_not_elected_looks_where_routes_lead_once_a_minute(node: Node) -> None:
    looked = []
    for second in range(200):
        before = node.tables.looks
        node.floating.look(100.0 + second)
        if node.tables.looks > before:
            looked.append(second)
    assert looked == [0, 60, 120, 180]


def test_an_api_that_is_away_keeps_nobody_from_taking_the_pair_later(node: Node) -> None:
    node.tables.refuses = OSError("timed out")
    node.floating.look(100.0)
    node.tables.refuses = None
    node.elected()
    node.floating.look(100.1)
    assert node.tables.moved == EVERY_ROUTE


def test_the_only_gateway_needs_no_election(node: Node, identity: Identity) -> None:
    node.floating._identity = replace(identity, gateways={"local-a1": "10.40.0.4"})
    node.floating.look(100.0)
    assert node.tables.moved == EVERY_ROUTE


def test_keepalived_is_told_when_this_gateway_is_of_no_use(node: Node, tmp_path: Path) -> None:
    told = tmp_path / "unable"
    node.floating.tell(able=True)
    assert told.read_text() == "0\n"
    node.floating.tell(able=False)
    assert told.read_text() == "1\n"


@pytest.mark.parametrize("report", [{}, {"gateway": None}, {"gateway": []}, {"gateway": {"floating": "yes"}}], ids=str)
def test_a_report_without_sense_does_not_keep_the_pair_from_who_is_elected(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], report: dict[str, object]
) -> None:
    """Whoever has a gateway takes the routes, and writes what it likes into its report."""
    node.elected()
    node.floating._contested = 40.0
    for now in (100.0, 100.1):
        node.floating.look(now)
    node.tables.elsewhere, node.tables.moved = list(EVERY_ROUTE), []
    monkeypatch.setattr(node.tables, "report", lambda _: (report, 0.0))
    for tenth in range(1052, 1080):
        node.floating.look(tenth / 10)
    assert node.tables.moved == EVERY_ROUTE
    assert "cannot lead" not in capsys.readouterr().err


def test_a_report_that_cannot_be_read_is_none(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def malformed(name: str) -> None:
        raise Malformed(f"reports/{name}.json: found []; accepted: a JSON object")

    node.elected()
    node.floating._contested = 40.0
    for now in (100.0, 100.1):
        node.floating.look(now)
    node.tables.elsewhere, node.tables.moved = list(EVERY_ROUTE), []
    monkeypatch.setattr(node.tables, "report", malformed)
    for tenth in range(1052, 1080):
        node.floating.look(tenth / 10)
    assert node.tables.moved == EVERY_ROUTE
    assert "takes it that local-b1 holds nothing" in capsys.readouterr().err
