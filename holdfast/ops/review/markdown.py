"""The report as a pull-request comment: worst news first, counts above the fold, never longer than a comment may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from holdfast.ops.review.details import Block, blocks
from holdfast.ops.review.facts import Facts, Planned, Stack
from holdfast.ops.review.report import COUNTED, Finding, Report, Verdict
from holdfast.plain import plain

LIMIT = 65_536
"""Characters of a GitHub comment."""

SIGNS = {Verdict.BLOCKED: "⛔", Verdict.ROLLOUT: "🔁", Verdict.TOGETHER: "⚠️", Verdict.NEW: "🌱"}

NOTE = "\n_Cut here: a comment holds {limit:,} characters. {left} more folds are in the HTML page (`--html`)._\n"


SHOWN_OF_A_FINDING, SHOWN_OF_CHECKOV = 8, 20
"""Lines of each; the page has all."""


def marker(environment: str) -> str:
    """By which a workflow finds its one comment for this environment."""
    return f"<!-- holdfast review {environment} -->"


def render(report: Report, limit: int = LIMIT) -> str:
    """The whole comment, of at most `limit` characters."""
    head = "\n".join(_head(report))
    foot = "\n".join(_foot(report))
    folds = [_fold(block) for block in blocks(report)]
    room = limit - len(head) - len(foot) - len(NOTE) - 20
    taken: list[str] = []
    for fold in folds:
        room -= len(fold)
        if room < 0:
            break
        taken.append(fold)
    note = NOTE.format(limit=limit, left=len(folds) - len(taken)) if len(taken) < len(folds) else ""
    changes = f"\n### Changes\n\n{''.join(taken)}{note}" if folds else ""
    return plain(head + changes + foot, lines=True)[:limit]


def _head(report: Report) -> Iterator[str]:
    facts = report.facts
    yield marker(facts.environment)
    yield f"## {SIGNS.get(report.verdict, '✅')} {inline(report.headline)}"
    yield ""
    if note := label(report):
        yield f"> **{inline(note)}**"
        yield ""
    yield "| stack | add | change | replace | destroy |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for stack in facts.stacks:
        counts = " | ".join(str(stack.count(action) or "–") for action in COUNTED)
        yield f"| {facts.environment}-{stack.name}{known(stack, facts)} | {counts} |"
    yield ""
    if report.findings:
        yield "### Findings"
        yield ""
        for finding in report.findings:
            yield from _finding(finding)
        yield ""
    for override in report.unused_overrides:
        yield f"Unused override of `{override.rule}` (until {override.expires}): remove it from the environment file."
        yield ""
    yield "### What it means for the cluster"
    yield ""
    for section in report.meaning:
        if len(section.sentences) == 1:
            yield f"- **{section.name}**: {inline(section.sentences[0])}"
        elif section.sentences:
            yield f"- **{section.name}**:"
            yield from (f"  - {inline(sentence)}" for sentence in section.sentences)
    yield ""
    if report.checked.sentences:
        yield "### New findings of checkov"
        yield ""
        yield from _some([f"- {inline(sentence)}" for sentence in report.checked.sentences], SHOWN_OF_CHECKOV, "- ")
        yield ""


def label(report: Report) -> str:
    """How far the report can be relied on, where that is less than a plan of everything."""
    if report.offline:
        return (
            f"Offline: the synthesised output of this commit compared with {report.provenance.base[:12]}. "
            "No plan was made and no cloud was asked; replacements are inferred."
        )
    if report.facts.new:
        return (
            "A first review: what can be planned is planned; stacks marked “from synth” need others to be applied "
            "first and are told from the synthesised output."
        )
    return ""


def known(stack: Stack, facts: Facts) -> str:
    """What stands behind a stack's name: how far its counts can be relied on."""
    if stack.known_from is Planned.SYNTHESIS:
        return " (from synth)"
    moving = [it.name for it in facts.stacks if stack.reads.get(it.name, frozenset()) & it.moving_outputs]
    return " (follows what it reads)" if moving else ""


def _finding(finding: Finding) -> Iterator[str]:
    if finding.override:
        yield (
            f"- ~~blocking~~ **`{finding.rule}`**, overridden until {finding.override.expires}: "
            f"“{escaped(finding.override.reason)}”"
        )
    else:
        yield f"- **{'⛔ blocking' if finding.blocks else 'to know'}** `{finding.rule}`: {inline(finding.reason)}"
    hits = [f"  - {f'{_code(where)}: ' if where else ''}{inline(sentence)}" for where, sentence in finding.hits]
    yield from _some(hits, SHOWN_OF_A_FINDING, "  - ")


MEANING = re.compile(r"[\\`*~<>\[\]&|!]|(?<![^\W_])_|_(?![^\W_])|^[#+-]|(?<=^\d)[.)]|(?<=^\d\d)[.)]")
"""What Markdown or HTML could take for its own; an underscore not where it is within a word."""


def escaped(text: str) -> str:
    """What others wrote, in one line, and nothing of it Markdown or HTML."""
    return _literal(" ".join(text.split()))


def inline(sentence: str) -> str:
    """A sentence, which may hold what others wrote: `code` and **strong** count, as on the page, and nothing else."""
    parts = re.split("(`[^`]+`|[*]{2})", " ".join(sentence.split()))
    return "".join(part if number % 2 else _literal(part) for number, part in enumerate(parts))


def _literal(text: str) -> str:
    return MEANING.sub(r"\\\g<0>", text)


def _code(text: str) -> str:
    return f"`{' '.join(text.replace('`', '').split())}`"


def _some(lines: list[str], number: int, bullet: str) -> Iterator[str]:
    yield from lines[:number]
    if len(lines) > number:
        yield f"{bullet}and {len(lines) - number} more"


def _fold(block: Block) -> str:
    # Longer than any in it, which would end the block.
    fence = "`" * max([4, *(len(run) + 1 for run in re.findall("`+", block.text))])
    summary = f"<summary>{escape(block.summary)}</summary>"
    return f"<details>{summary}\n\n{fence}{block.language}\n{block.text}\n{fence}\n\n</details>\n"


def _foot(report: Report) -> Iterator[str]:
    it = report.provenance
    versions = ", ".join(f"{name} {version}" for name, version in it.versions.items())
    yield ""
    yield f"<sub>{report.facts.environment} at {it.commit}; does `{report.digest[:12]}`; {versions}; {it.made}</sub>"
    yield ""
