"""The gate: no finding of checkov outside the reviewed waivers, none of them unused or expired."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from holdfast.ops.review.checkov import Finding, Waiver, read_waivers, scan
from tests.synth.conftest import read


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


def main(arguments: Sequence[str]) -> int:
    """`python -m tests.synth.checkov_gate [cdktf.out]`."""
    stacks = read(Path(arguments[0] if arguments else "cdktf.out"))
    said = objections(scan(stacks), read_waivers(), date.today())
    print("\n".join(said) or "checkov: nothing outside the reviewed waivers")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
