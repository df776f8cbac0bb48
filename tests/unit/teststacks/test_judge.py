"""What may be removed: only what is provably a test stack's, and has expired."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.ops.teststacks.judge import REQUIRED, Fate, Judgement, exactly, expired_at, of_evidence, read_expiry, when
from holdfast.topology import Environment, names
from tests.unit.teststacks.makers import EXPIRED, LATER

NOW = datetime(2026, 1, 1, 14, 30, tzinfo=UTC)
judge = expired_at(NOW)


def test_what_has_all_the_tags_and_has_expired_goes() -> None:
    assert judge(EXPIRED) == Judgement(Fate.GOES, "expired 2 h 30 min ago")
    assert judge({**EXPIRED, "Name": "whatever", "Node": "test-one-a1"}).fate is Fate.GOES


def test_what_has_not_expired_stays_to_the_second() -> None:
    assert judge(LATER).fate is Fate.STAYS
    at = {**EXPIRED, "Expires": "2026-01-01T14:30:00Z"}
    assert judge(at).fate is Fate.GOES
    assert expired_at(NOW - timedelta(seconds=1))(at) == Judgement(Fate.STAYS, "expires in 0 min")


@pytest.mark.parametrize("missing", ["Environment", "ManagedBy", "Owner", "Run", "Expires"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_without_all_of_the_tags_it_is_refused(missing: str, how: str) -> None:
    tags = {**EXPIRED, missing: ""} if how == "empty" else {k: v for k, v in EXPIRED.items() if k != missing}
    refused = judge(tags)
    assert refused.fate is Fate.REFUSED
    if missing == "Environment":
        assert refused.reason == "its environment is nothing, a protected name: test stacks begin with test-"
    else:
        assert refused.reason == f"it has no tag {missing}"


@pytest.mark.parametrize("name", ["prod", "local", "testing", "Test-one", "my-test-one", " test-one"])
def test_protected_names_are_refused_whatever_else_the_tags_say(name: str) -> None:
    refused = judge({**EXPIRED, "Environment": name})
    assert refused == Judgement(
        Fate.REFUSED, f"its environment is {name}, a protected name: test stacks begin with test-"
    )


@pytest.mark.parametrize(
    "expiry", ["soon", "1767268800", "2026-01-01", "2026-01-01T12:00:00", "2026-13-01T12:00:00Z", "never", "0"]
)
def test_an_expiry_that_cannot_be_read_is_refused(expiry: str) -> None:
    assert judge({**EXPIRED, "Expires": expiry}) == Judgement(Fate.REFUSED, f"its expiry {expiry!r} cannot be read")


def test_what_somebody_else_manages_is_refused() -> None:
    assert judge({**EXPIRED, "ManagedBy": "hand"}) == Judgement(Fate.REFUSED, "its tag ManagedBy is hand, not cdktf")


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {**EXPIRED, "Project": "Holdfast"},
        {**EXPIRED, "Project": ""},
        {"Project": "holdfast", "Environment": "prod", "ManagedBy": "cdktf"},
        {"Project": "holdfast", "Environment": "prod", "ManagedBy": "cdktf", "Owner": "alice"},
    ],
)
def test_what_is_no_test_stack_s_is_none_of_our_business(tags: dict[str, str]) -> None:
    assert judge(tags).fate is Fate.FOREIGN


def test_one_test_stack_is_told_from_another_run_of_it() -> None:
    only = exactly(LATER)
    assert only(LATER).fate is Fate.GOES
    assert only({**LATER, "Run": "r2"}) == Judgement(Fate.REFUSED, "its tag Run is r2, not r1")
    assert only({**LATER, "Environment": "test-one2"}).fate is Fate.FOREIGN
    without = {key: value for key, value in LATER.items() if key != "Owner"}
    assert only(without) == Judgement(Fate.REFUSED, "its tag Owner is missing, not alice")


def test_a_state_goes_only_when_all_that_is_known_of_it_agrees() -> None:
    assert of_evidence([EXPIRED, EXPIRED], judge).fate is Fate.GOES
    assert of_evidence([EXPIRED, LATER], judge).fate is Fate.STAYS
    assert of_evidence([EXPIRED, {**EXPIRED, "Run": ""}], judge).fate is Fate.REFUSED
    prod = {"Project": "holdfast", "Environment": "prod", "ManagedBy": "cdktf"}
    assert of_evidence([EXPIRED, prod], judge) == Judgement(
        Fate.REFUSED, "it records something that belongs to another environment"
    )
    assert of_evidence([], judge) == Judgement(Fate.REFUSED, "nothing says whose it is: no file, and no tags in it")


def test_every_tag_of_a_test_stack_is_required_and_no_other(shop: Environment) -> None:
    test = {"source": "shop", "owner": "alice", "run": "r1", "expires": "2026-01-01T13:00:00+01:00"}
    made = shop.model_validate({**shop.model_dump(), "name": "test-one", "teststack": test, "redis": {"memory": "1GB"}})
    assert names.tags(made) == EXPIRED
    assert tuple(EXPIRED) == REQUIRED
    assert "Expires" not in names.tags(shop)


def test_expiries_are_moments_with_a_time_zone() -> None:
    assert read_expiry("2026-01-01T13:00:00+01:00") == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert read_expiry("") is None
    assert when(NOW + timedelta(days=2, hours=3), NOW) == "expires in 2 d 3 h"
    assert when(NOW - timedelta(hours=4), NOW) == "expired 4 h 0 min ago"
