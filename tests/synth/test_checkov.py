"""checkov finds nothing in the stacks that was not looked at, and the gate that says so cannot be fooled."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from tests.synth.checkov_gate import Finding, Waiver, objections, read_waivers, scan

FINDING = Finding("CKV_AWS_18", "prod-identity/bucket", "Ensure the S3 bucket has access logging enabled")
TODAY = date(2026, 11, 20)


def waiver(check: str = "CKV_AWS_18", construct: str = "*-identity/bucket", expires: date = TODAY) -> Waiver:
    return Waiver(check=check, construct=construct, reason="known", expires=expires)


def test_the_stacks_have_no_finding_outside_the_reviewed_waivers(outdir: Path) -> None:
    assert objections(scan(outdir), read_waivers(), date.today()) == []


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


def test_a_weaker_stack_is_found(outdir: Path, tmp_path: Path) -> None:
    shutil.copytree(outdir / "stacks" / "prod-zone-a", tmp_path / "stacks" / "prod-zone-a")
    file = tmp_path / "stacks" / "prod-zone-a" / "cdk.tf.json"
    file.write_text(file.read_text().replace('"http_tokens": "required"', '"http_tokens": "optional"'))
    assert "CKV_AWS_79" in {finding.check for finding in scan(tmp_path)}


def test_stacks_that_checkov_cannot_read_are_no_success(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="checkov"):
        scan(tmp_path)
