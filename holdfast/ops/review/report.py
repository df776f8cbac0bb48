"""The report as a value: findings judged against the file's overrides, one verdict, and the same as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from holdfast.ops.review import checkov, meaning
from holdfast.ops.review.facts import UNKNOWN, Action, Facts, Planned, Resource
from holdfast.ops.review.meaning import Section
from holdfast.ops.review.nodes import Fate, Node, nodes, taken_together
from holdfast.ops.review.rules import RULES, Rule, Severity
from holdfast.topology.spec import OverrideSpec

COUNTED = (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.DELETE)


@dataclass(frozen=True)
class Finding:
    """A rule that holds, with every place where it does."""

    rule: str
    severity: Severity
    reason: str
    hits: tuple[tuple[str, str], ...]
    """Construct path (empty: the whole environment) and sentence."""
    override: OverrideSpec | None = None

    @property
    def blocks(self) -> bool:
        return self.severity is Severity.BLOCKING and self.override is None


class Verdict(StrEnum):
    NOTHING = "nothing changes"
    QUIET = "no node is touched"
    ROLLOUT = "nodes are touched, one zone after the other"
    TOGETHER = "nodes are touched, several zones at once"
    NEW = "a new environment"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Checked:
    """What checkov finds that it did not find in the base. `not_asked`: why it was not; empty: it was."""

    new: tuple[checkov.Finding, ...] = ()
    not_asked: str = ""

    @property
    def sentences(self) -> list[str]:
        if self.not_asked:
            return [f"checkov was not asked: {self.not_asked}."]
        return [f"`{it.construct}`: {it.check} {it.title}" for it in self.new]


@dataclass(frozen=True)
class Provenance:
    """Where the report comes from. `base` is the commit compared with, offline; else empty."""

    commit: str
    base: str
    versions: dict[str, str]
    made: str


@dataclass(frozen=True)
class Report:
    facts: Facts
    findings: tuple[Finding, ...]
    """Blocking first, then overridden, then cautions."""
    unused_overrides: tuple[OverrideSpec, ...]
    meaning: tuple[Section, ...]
    nodes: tuple[Node, ...]
    checked: Checked
    provenance: Provenance

    @property
    def blocked(self) -> bool:
        return any(finding.blocks for finding in self.findings)

    @property
    def offline(self) -> bool:
        return any(stack.known_from is Planned.DIFF for stack in self.facts.stacks)

    @property
    def digest(self) -> str:
        """Of what would be done: two reviews with the same one would do the same. Not of who leads, or what time it is.

        Of a value that Terraform holds for sensitive, whether it changes.
        """
        done = [
            (
                stack.name,
                it.address,
                it.action,
                {name: (it.before.get(name), it.after.get(name)) for name in it.changed()},
            )
            for stack in self.facts.stacks
            for it in stack.changes
        ]
        return hashlib.sha256(json.dumps(done, default=repr, sort_keys=True).encode()).hexdigest()

    @property
    def verdict(self) -> Verdict:
        if self.blocked:
            return Verdict.BLOCKED
        if not any(stack.changes for stack in self.facts.stacks):
            return Verdict.NOTHING
        if self.facts.new:
            return Verdict.NEW
        if any(map(taken_together, self.facts.stacks)):
            return Verdict.TOGETHER
        return Verdict.QUIET if all(node.fate is Fate.KEPT for node in self.nodes) else Verdict.ROLLOUT

    @property
    def headline(self) -> str:
        """The verdict in one line: worst news first."""
        blocking = [finding.rule for finding in self.findings if finding.blocks]
        told = [f"{self.verdict} by {', '.join(blocking)}" if blocking else str(self.verdict)]
        counts = {
            fate: sum(node.fate is fate for node in self.nodes)
            for fate in (Fate.REMOVED, Fate.REPLACED, Fate.RESTARTED, Fate.ADDED)
        }
        if not self.facts.new:
            told += [
                f"{number} {'node' if number == 1 else 'nodes'} {fate}" for fate, number in counts.items() if number
            ]
        cautions = sum(finding.severity is Severity.CAUTION for finding in self.findings)
        overridden = sum(finding.override is not None for finding in self.findings)
        told += [f"{overridden} overridden"] if overridden else []
        told += [f"{cautions} to know"] if cautions else []
        return f"{self.facts.environment}: {'; '.join(told)}"

    def as_json(self) -> dict[str, Any]:
        """Everything but the resources' values: those may be long, and the plan has them."""
        return {
            "environment": self.facts.environment,
            "verdict": self.verdict,
            "headline": self.headline,
            "blocked": self.blocked,
            "offline": self.offline,
            "digest": self.digest,
            "stacks": [
                {"name": stack.name, "known_from": stack.known_from}
                | {action.value: stack.count(action) for action in COUNTED}
                for stack in self.facts.stacks
            ],
            "findings": [_finding_json(finding) for finding in self.findings],
            "unused_overrides": [override.model_dump(mode="json") for override in self.unused_overrides],
            "meaning": {section.name: list(section.sentences) for section in self.meaning},
            "nodes": [
                {"name": node.name, "zone": node.zone, "fate": node.fate, "volume": node.volume}
                | {
                    side: asdict(value) if value else None
                    for side, value in (("before", node.before), ("after", node.after))
                }
                for node in self.nodes
            ],
            "changes": [
                {
                    "stack": it.stack,
                    "address": it.address,
                    "path": it.path,
                    "action": it.action,
                    "arguments": arguments(it),
                }
                for stack in self.facts.stacks
                for it in stack.changes
            ],
            "checkov": asdict(self.checked),
            "provenance": asdict(self.provenance),
        }


def make(facts: Facts, overrides: Iterable[OverrideSpec], checked: Checked, provenance: Provenance) -> Report:
    """Judge the facts. `overrides` are those of the environment file, none of them expired."""
    by_rule = {override.rule.value: override for override in overrides}
    found = [_judge(rule, facts, by_rule) for rule in RULES]
    findings = sorted((it for it in found if it.hits), key=lambda it: (not it.blocks, it.severity))
    used = {finding.rule for finding in findings if finding.override}
    return Report(
        facts=facts,
        findings=tuple(findings),
        unused_overrides=tuple(override for rule, override in by_rule.items() if rule not in used),
        meaning=meaning.explain(facts),
        nodes=nodes(facts),
        checked=checked,
        provenance=provenance,
    )


def arguments(resource: Resource) -> list[str]:
    """The arguments whose change is worth a line: not what only the provider computes."""
    if resource.action not in (Action.UPDATE, Action.REPLACE):
        return []
    forced = {path.split(".")[0] for path in resource.forced_by}
    changed = [name for name in resource.changed() if name != "tags_all"]
    if resource.action is Action.UPDATE:
        return [name for name in changed if resource.after.get(name) is not UNKNOWN]
    return [
        name for name in changed if name in forced or not _same(resource.before.get(name), resource.after.get(name))
    ]


def _same(before: Any, after: Any) -> bool:
    """As far as `after` says anything: what is computed, or left to the provider, may be what it was."""
    if after is UNKNOWN or before == after:
        return True
    if isinstance(before, dict) and isinstance(after, dict):
        return all(_same(before.get(key), value) for key, value in after.items())
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return all(map(_same, before, after))
    return after in (None, [], {})


def _judge(rule: Rule, facts: Facts, overrides: dict[str, OverrideSpec]) -> Finding:
    hits = tuple((hit.where, hit.sentence) for hit in rule.check(facts))
    return Finding(rule.name, rule.severity, rule.reason, hits, overrides.get(rule.name))


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "blocks": finding.blocks,
        "reason": finding.reason,
        "hits": [{"where": where, "sentence": sentence} for where, sentence in finding.hits],
        "override": finding.override.model_dump(mode="json") if finding.override else None,
    }
