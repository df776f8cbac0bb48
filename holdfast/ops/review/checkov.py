"""What checkov finds in synthesised stacks, less what was looked at and accepted (stacks/checkov_waivers.yaml)."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from holdfast.errors import HoldfastError
from holdfast.mirror import REPOSITORY

WAIVERS = REPOSITORY / "stacks" / "checkov_waivers.yaml"

CHECKOV = REPOSITORY / ".venv-checkov" / "bin" / "checkov"

NOT_ITS_BUSINESS = ("ephemeral", "output", "terraform")
"""Top-level blocks that checkov cannot parse (or has no check for): with them it reads nothing and exits with 0."""

TIMEOUT = 300

Configuration = Mapping[str, Any]


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


class CheckovFailed(HoldfastError):
    """checkov could not be asked, or did not read what it was given."""


def read_waivers(file: Path = WAIVERS) -> list[Waiver]:
    return [Waiver(**waiver) for waiver in yaml.safe_load(file.read_text(encoding="utf-8"))]


def new_findings(
    before: Mapping[str, Configuration], after: Mapping[str, Configuration], today: date
) -> tuple[Finding, ...]:
    """What checkov finds in `after` (stack → configuration), has not found in `before`, and no valid waiver covers.

    Raises:
        CheckovFailed: it is not installed, or did not read the stacks.
    """
    old, new = ({stack: _readable(it) for stack, it in side.items()} for side in (before, after))
    differing = [stack for stack, content in new.items() if content != old.get(stack)]
    if not differing:
        return ()
    # One run for both: most of its time is its own start.
    sides = {f"after/{stack}": new[stack] for stack in differing}
    sides |= {f"before/{stack}": old[stack] for stack in differing if stack in old}
    found: dict[str, set[Finding]] = {"before": set(), "after": set()}
    for finding in scan(sides):
        side, construct = finding.construct.split("/", 1)
        found[side].add(replace(finding, construct=construct))
    waivers = [waiver for waiver in read_waivers() if waiver.expires >= today]
    added = [it for it in found["after"] - found["before"] if not any(waiver.covers(it) for waiver in waivers)]
    return tuple(sorted(added, key=lambda it: (it.construct, it.check)))


def scan(stacks: Mapping[str, Configuration]) -> list[Finding]:
    """Every failed check of the stacks (name, which may have a folder before it → configuration).

    Raises:
        CheckovFailed: it is not installed, or did not read the stacks.
    """
    with tempfile.TemporaryDirectory() as folder:
        for stack, content in stacks.items():
            file = Path(folder) / stack / "cdk.tf.json"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(_readable(content), indent=2), encoding="utf-8")
        report = _run(folder)
    summary = report["summary"]
    if summary["parsing_errors"] or not (summary["passed"] or summary["failed"]):
        raise CheckovFailed(f"checkov did not read {', '.join(stacks)}: {summary}")
    return [_finding(failed) for failed in report["results"]["failed_checks"]]


def _readable(content: Configuration) -> dict[str, Any]:
    """Without blocks that checkov cannot parse, and without provisioners: those say where the repository lies."""
    resources = {
        kind: {name: {key: it for key, it in block.items() if key != "provisioner"} for name, block in blocks.items()}
        for kind, blocks in content.get("resource", {}).items()
    }
    return {key: part for key, part in content.items() if key not in NOT_ITS_BUSINESS} | {"resource": resources}


def _run(folder: str) -> dict[str, Any]:
    options = ("--framework", "terraform_json", "--skip-download", "--output", "json")
    try:
        done = subprocess.run(
            [CHECKOV, "--directory", folder, *options], text=True, capture_output=True, timeout=TIMEOUT, check=False
        )
    except FileNotFoundError:
        raise CheckovFailed("checkov is not installed; install it with: make .venv-checkov/.installed") from None
    except subprocess.TimeoutExpired:
        raise CheckovFailed(f"checkov took more than {TIMEOUT} s") from None
    try:
        report: dict[str, Any] = json.loads(done.stdout)
        report["summary"]["parsing_errors"]
    except (ValueError, KeyError, TypeError):
        last = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
        raise CheckovFailed(f"checkov gave no report:\n{last}") from None
    return report


def _finding(failed: Mapping[str, Any]) -> Finding:
    stack = str(Path(failed["file_path"]).parent).strip("/")
    name = failed["resource"].split(".")[-1]
    return Finding(check=failed["check_id"], construct=f"{stack}/{name}", title=failed["check_name"])
