"""checkov finds nothing in the stacks that was not looked at, and the gate that says so cannot be fooled."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest

from holdfast.ops.review import checkov
from holdfast.ops.review.checkov import CheckovFailed, Finding, Waiver, new_findings, read_waivers, scan
from tests.synth.checkov_gate import objections

Stacks = dict[str, dict[str, Any]]

FINDING = Finding("CKV_AWS_18", "prod-identity/bucket", "Ensure the S3 bucket has access logging enabled")
TODAY = date(2026, 11, 20)


def waiver(check: str = "CKV_AWS_18", construct: str = "*-identity/bucket", expires: date = TODAY) -> Waiver:
    return Waiver(check=check, construct=construct, reason="known", expires=expires)


def test_the_stacks_have_no_finding_outside_the_reviewed_waivers(stacks: Stacks) -> None:
    assert objections(scan(stacks), read_waivers(), date.today()) == []


def test_a_finding_needs_a_waiver_of_its_check_and_its_construct() -> None:
    assert objections([FINDING], [waiver()], TODAY) == []
    assert objections([FINDING], [], TODAY) == [
        "prod-identity/bucket: CKV_AWS_18 Ensure the S3 bucket has access logging enabled"
    ]
    assert len(objections([FINDING], [waiver(check="CKV_AWS_21")], TODAY)) == 2
    assert len(objections([FINDING], [waiver(construct="staging-*")], TODAY)) == 2


def test_a_waiver_that_covers_nothing_or_has_expired_is_an_objection() -> None:
    assert objections([], [waiver()], TODAY) == ["the waiver of CKV_AWS_18 for *-identity/bucket is unused: remove it"]
    assert objections([FINDING], [waiver(expires=date(2026, 11, 19))], TODAY) == [
        "the waiver of CKV_AWS_18 for *-identity/bucket expired on 2026-11-19: look again"
    ]


@pytest.fixture
def weaker(stacks: Stacks) -> dict[str, Any]:
    """`prod-zone-a` whose machine gives its metadata to whoever asks."""
    zone = copy.deepcopy(stacks["prod-zone-a"])
    zone["resource"]["aws_instance"]["prod-a1"]["metadata_options"]["http_tokens"] = "optional"
    return zone


def test_a_weaker_stack_is_found(weaker: dict[str, Any]) -> None:
    assert "CKV_AWS_79" in {finding.check for finding in scan({"prod-zone-a": weaker})}


def test_a_review_tells_what_is_new_and_not_what_was_there_or_is_waived(stacks: Stacks, weaker: dict[str, Any]) -> None:
    today = date.today()
    before = {name: stacks[name] for name in ("prod-zone-a", "prod-identity")}
    after = before | {"prod-zone-a": weaker}
    title = "Ensure Instance Metadata Service Version 1 is not enabled"
    assert new_findings(before, after, today) == (Finding("CKV_AWS_79", "prod-zone-a/prod-a1", title),)
    assert new_findings(after, before, today) == ()
    assert new_findings({}, before, today) == ()  # what is found there is waived


def test_a_waiver_that_has_expired_waives_nothing(stacks: Stacks) -> None:
    found = new_findings({}, {"prod-identity": stacks["prod-identity"]}, date(2999, 1, 1))
    assert ("CKV_AWS_18", "prod-identity/bucket") in {(it.check, it.construct) for it in found}


def test_what_does_not_differ_is_not_asked_about(stacks: Stacks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkov, "scan", lambda stacks: pytest.fail("asked"))
    assert new_findings(stacks, stacks, date.today()) == ()


def test_stacks_that_checkov_cannot_read_are_no_success() -> None:
    with pytest.raises(CheckovFailed, match="checkov"):
        scan({})


def test_where_checkov_is_not_installed_it_is_said_how_it_would_be(
    stacks: Stacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkov, "CHECKOV", checkov.CHECKOV.with_name("nothing-of-that-name"))
    with pytest.raises(CheckovFailed, match="checkov is not installed; install it with: make .venv-checkov/.installed"):
        scan({"prod-zone-a": stacks["prod-zone-a"]})
