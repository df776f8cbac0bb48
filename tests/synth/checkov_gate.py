"""Runs checkov over synthesised stacks: no finding outside the reviewed waivers, none of them unused or expired."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

WAIVERS = Path(__file__).with_name("checkov_waivers.yaml")

NOT_ITS_BUSINESS = ("ephemeral", "output", "terraform")
"""Top-level blocks that checkov cannot parse (or has no check for): with them it reads nothing and exits with 0."""

TIMEOUT = 300

CHECKOV = Path(__file__).resolve().parents[2] / ".venv-checkov" / "bin" / "checkov"


@dataclass(frozen=True)
class Finding:
    """A failed check. `construct` is the construct's path: `prod-identity/bucket`."""

    check: str
    construct: str
    title: str


@dataclass(frozen=True)
class Waiver:
    """A finding that was looked at and accepted. `construct` may have wildcards: `*-identity/bucket`."""

    check: str
    construct: str
    reason: str
    expires: date

    def covers(self, finding: Finding) -> bool:
        return self.check == finding.check and fnmatchcase(finding.construct, self.construct)


def read_waivers(file: Path = WAIVERS) -> list[Waiver]:
    return [Waiver(**waiver) for waiver in yaml.safe_load(file.read_text(encoding="utf-8"))]


def objections(findings: Iterable[Finding], waivers: Sequence[Waiver], today: date) -> list[str]:
    """What a person must do something about, one sentence each; empty: all is well."""
    findings = list(findings)
    said = [
        f"{finding.construct}: {finding.check} {finding.title}"
        for finding in findings
        if not any(waiver.covers(finding) for waiver in waivers)
    ]
    for waiver in waivers:
        if not any(waiver.covers(finding) for finding in findings):
            said.append(f"the waiver of {waiver.check} for {waiver.construct} is unused: remove it")
        elif waiver.expires < today:
            said.append(f"the waiver of {waiver.check} for {waiver.construct} expired on {waiver.expires}: look again")
    return said


def scan(outdir: Path) -> list[Finding]:
    """Every failed check in the stacks below `outdir`.

    Raises:
        RuntimeError: checkov did not read them.
    """
    with tempfile.TemporaryDirectory() as folder:
        for file in outdir.glob("stacks/*/cdk.tf.json"):
            _copy_readable(file, Path(folder) / file.parent.name / file.name)
        command = [
            str(CHECKOV),
            "--directory",
            folder,
            "--framework",
            "terraform_json",
            "--skip-download",
            "--output",
            "json",
        ]
        result = subprocess.run(command, text=True, capture_output=True, timeout=TIMEOUT, check=False)
    try:
        report: dict[str, Any] = json.loads(result.stdout)
        summary = report["summary"]
    except (ValueError, KeyError, TypeError):
        last = "\n".join((result.stdout + result.stderr).splitlines()[-5:])
        raise RuntimeError(f"checkov gave no report:\n{last}") from None
    if summary["parsing_errors"] or not summary["passed"]:
        raise RuntimeError(f"checkov did not read the stacks in {outdir}: {summary}")
    return [_finding(failed) for failed in report["results"]["failed_checks"]]


def _copy_readable(file: Path, copy: Path) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    copy.parent.mkdir()
    copy.write_text(json.dumps({key: part for key, part in content.items() if key not in NOT_ITS_BUSINESS}, indent=2))


def _finding(failed: dict[str, Any]) -> Finding:
    stack = Path(failed["file_path"]).parent.name
    name = failed["resource"].split(".")[-1]
    return Finding(check=failed["check_id"], construct=f"{stack}/{name}", title=failed["check_name"])


def main(arguments: Sequence[str]) -> int:
    """`python tests/synth/checkov_gate.py [cdktf.out]`."""
    said = objections(scan(Path(arguments[0] if arguments else "cdktf.out")), read_waivers(), date.today())
    print("\n".join(said) or "checkov: nothing outside the reviewed waivers")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
