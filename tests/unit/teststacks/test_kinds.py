"""Of each kind of resource what has expired goes, and no neighbour. All are made at once, and reaped twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from holdfast.drill.emulated import emulated
from holdfast.ops.teststacks.clouds import Cloud
from holdfast.ops.teststacks.judge import Fate, expired_at
from holdfast.ops.teststacks.kinds import KINDS
from holdfast.ops.teststacks.kinds.kind import Kind, Stage
from holdfast.ops.teststacks.removal import Removal, Survivor, survivors
from holdfast.ops.teststacks.sweep import Pace
from tests.unit.teststacks.conftest import at
from tests.unit.teststacks.makers import EXPIRED, LATER, MAKERS, Maker

NOW = datetime(2026, 1, 1, 14, tzinfo=UTC)


def without(missing: str) -> dict[str, str]:
    return {key: value for key, value in EXPIRED.items() if key != missing}


NEIGHBOURS = {
    "later": LATER,
    "no run": without("Run"),
    "no owner": without("Owner"),
    "no expiry": without("Expires"),
    "not managed": without("ManagedBy"),
    "unreadable": {**EXPIRED, "Expires": "soon"},
    "protected": {**EXPIRED, "Environment": "shop"},
    "another's shop": {"Project": "holdfast", "Environment": "shop", "ManagedBy": "cdktf"},
}


@dataclass
class Swept:
    """Ids of what was made and may not go, and of what is there after reaping twice."""

    neighbours: dict[str, set[str]]
    after: dict[str, set[str]]
    left: list[Survivor]
    left_over: list[Survivor]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    with emulated() as api:
        api.grant(dict.fromkeys(("vpcs", "internet-gateways", "nat-gateways", "elastic-ips"), 500))
        yield sweep(at(api.url, tmp_path_factory.mktemp("environments")))


def sweep(cloud: Cloud) -> Swept:
    makers = {name: Maker(cloud, tags, f"n{index}") for index, (name, tags) in enumerate(NEIGHBOURS.items())}
    expired = {kind: make(Maker(cloud, EXPIRED, "expired")) for kind, make in MAKERS.items()}
    assert all(expired[kind.name] in there(cloud, kind) for kind in KINDS)
    neighbours = {kind: {make(maker) for maker in makers.values()} for kind, make in MAKERS.items()}
    pace = Pace(pauses=(), sleep=lambda seconds: None)
    removal = Removal(cloud, expired_at(NOW), list, lambda sentence: None, pace=pace)
    left = [it for _ in range(2) for it in removal.carry_out(removal.look())[1]]
    left_over = survivors(cloud, removal.look(), (Fate.GOES, Fate.REFUSED))
    return Swept(neighbours, {kind.name: there(cloud, kind) for kind in KINDS}, left, left_over)


def there(cloud: Cloud, kind: Kind) -> set[str]:
    """Without what only waits to be gone."""
    return {thing.id for thing in kind.find(cloud.client(kind.service)) if thing.stage is not Stage.WAITING}


def test_there_is_a_maker_for_every_kind() -> None:
    assert list(MAKERS) == [kind.name for kind in KINDS]


@pytest.mark.parametrize("kind", MAKERS)
def test_only_what_has_expired_and_has_all_the_tags_goes(swept: Swept, kind: str) -> None:
    assert len(swept.neighbours[kind]) == len(NEIGHBOURS)
    assert swept.after[kind] == swept.neighbours[kind]


def test_nothing_that_was_to_go_is_left(swept: Swept) -> None:
    assert swept.left == []


def test_what_is_wrong_about_each_neighbour_is_told(swept: Swept) -> None:
    told = {it.reason for it in swept.left_over if it.kind == "volume"}
    assert told == {
        "it has no tag Run",
        "it has no tag Owner",
        "it has no tag Expires",
        "it has no tag ManagedBy",
        "its expiry 'soon' cannot be read",
        "its environment is shop, a protected name: test stacks begin with test-",
    }
    assert {it.kind for it in swept.left_over} == set(MAKERS)
