"""The report as a page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from holdfast.ops.review import drawing
from holdfast.ops.review.details import Block, blocks
from holdfast.ops.review.markdown import known, label
from holdfast.ops.review.report import COUNTED, Finding, Report, Verdict
from holdfast.plain import plain

STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1f2328; --dim: #59636e; --line: #d1d9e0; --panel: #f6f8fa;
  --red: #b3261e; --red-soft: #ffebe9; --amber: #8a5a00; --amber-soft: #fff3d6; --green: #1a7f37;
  --green-soft: #e2f6e6; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --text: #e6edf3; --dim: #9198a1; --line: #3d444d;
  --panel: #161b22; --red: #ff8f87; --red-soft: #3b1618; --amber: #e3b341; --amber-soft: #33270b; --green: #57c96c;
  --green-soft: #10301a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 1.2rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.3rem; line-height: 1.35; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.8rem 0 .6rem; }
.verdict { padding: .9rem 1.1rem; border-radius: 8px; border: 1px solid var(--green); background: var(--green-soft); }
.verdict.attention { border-color: var(--amber); background: var(--amber-soft); }
.verdict.blocked { border-color: var(--red); background: var(--red-soft); }
.label { margin: .5rem 0 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; min-width: 24rem; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right;
  font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td:first-child { white-space: nowrap; } td .dim { white-space: normal; }
th, .dim, footer, .nothing { color: var(--dim); font-weight: normal; }
.finding { border-left: 4px solid var(--amber); padding: .1rem 0 .1rem .9rem; margin: .8rem 0; }
.finding.blocks { border-color: var(--red); }
.finding.overridden { border-color: var(--line); }
.finding p, .finding ul { margin: .2rem 0; }
.badge { font-weight: 600; color: var(--amber); }
.blocks .badge { color: var(--red); }
.overridden .badge { color: var(--dim); }
ul { padding-left: 1.2rem; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .5rem 1.2rem; margin: 0; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; } dd p { margin: 0; }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: .8rem; border-radius: 6px; background: var(--panel); margin: .4rem 0; }
pre code { overflow-wrap: normal; }
details { border: 1px solid var(--line); border-radius: 6px; padding: .45rem .8rem; margin: .5rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
.plus { color: var(--green); } .minus { color: var(--red); }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 32rem), 1fr)); gap: 1.2rem; }
figure { margin: 0; } figcaption { color: var(--dim); margin-bottom: .3rem; }
figure { overflow-x: auto; }
svg { width: 100%; min-width: 34rem; height: auto; display: block; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--text); }
svg .name { font-weight: 600; font-size: 13px; } svg .dim, svg .line { fill: var(--dim); }
svg .changed { font-weight: 600; fill: var(--amber); }
svg .zone { fill: var(--panel); stroke: var(--line); }
svg .node { fill: var(--page); stroke: var(--line); stroke-width: 1.5; }
svg .node.replaced, svg .node.restarted { stroke: var(--amber); fill: var(--amber-soft); }
svg .node.added { stroke: var(--green); fill: var(--green-soft); }
svg .node.removed { stroke: var(--red); fill: var(--red-soft); stroke-dasharray: 5 3; }
svg .mark { font-weight: 600; } svg .mark.kept { fill: var(--dim); }
svg .mark.replaced, svg .mark.restarted { fill: var(--amber); }
svg .mark.added { fill: var(--green); } svg .mark.removed { fill: var(--red); }
svg .volume * { fill: none; stroke: var(--dim); stroke-width: 1.5; }
svg .volume.lost * { stroke: var(--red); } svg .volume.create * { stroke: var(--green); }
svg .volume.update * { stroke: var(--amber); }
@media (max-width: 40rem) {
  body { padding: .8rem; }
  h1 { font-size: 1.1rem; }
  table { min-width: 0; font-size: .85rem; } th, td { padding: .3rem 0 .3rem .7rem; }
  dl { display: block; } dt { margin-top: .7rem; }
}
footer { margin-top: 2rem; font-size: .85rem; overflow-wrap: anywhere; }
"""

TONES = {Verdict.BLOCKED: "blocked", Verdict.ROLLOUT: "attention", Verdict.TOGETHER: "attention"}


def render(report: Report) -> str:
    """The whole page as text."""
    title = escape(f"Review of {report.facts.environment}")
    body = plain("\n".join(_body(report)), lines=True)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _body(report: Report) -> Iterator[str]:
    note = f'<p class="label">{inline(label(report))}</p>' if label(report) else ""
    tone = TONES.get(report.verdict, "")
    yield f'<header class="verdict {tone}"><h1>{inline(report.headline)}</h1>{note}</header>'
    yield "<h2>Changes by stack</h2>"
    yield from _table(report)
    if report.findings:
        yield "<h2>Findings</h2>"
        for finding in report.findings:
            yield _finding(finding)
    for override in report.unused_overrides:
        yield (
            f'<p class="dim">Unused override of <code>{escape(override.rule)}</code> (until {override.expires}): '
            "remove it from the environment file.</p>"
        )
    yield "<h2>The layout</h2>"
    leader = report.facts.status.leader if report.facts.status else None
    sides = [("before", False), ("after", True)]
    figures = (
        f"<figure><figcaption>{name}</figcaption>{drawing.draw(report.nodes, after=after, leader=leader)}</figure>"
        for name, after in sides
    )
    yield f'<div class="sides">{"".join(figures)}</div>'
    yield "<h2>What it means for the cluster</h2>"
    yield "<dl>"
    for section in report.meaning:
        if section.sentences:
            yield f"<dt>{section.name}</dt><dd>{''.join(f'<p>{inline(it)}</p>' for it in section.sentences)}</dd>"
    yield "</dl>"
    if report.checked.sentences:
        yield "<h2>New findings of checkov</h2>"
        yield f"<ul>{''.join(f'<li>{inline(sentence)}</li>' for sentence in report.checked.sentences)}</ul>"
    if folds := blocks(report):
        yield "<h2>Changes</h2>"
        yield from map(_fold, folds)
    it = report.provenance
    versions = ", ".join(f"{name} {version}" for name, version in it.versions.items())
    yield f"<footer>{escape(f'{report.facts.environment} at {it.commit}; {versions}; {it.made}')}</footer>"


def _table(report: Report) -> Iterator[str]:
    heads = "".join(f"<th>{name}</th>" for name in ("stack", "add", "change", "replace", "destroy"))
    yield f'<div class="scroll"><table><tr>{heads}</tr>'
    for stack in report.facts.stacks:
        cells = "".join(f"<td>{stack.count(action) or '–'}</td>" for action in COUNTED)
        name = escape(f"{report.facts.environment}-{stack.name}")
        yield f'<tr><td>{name}<span class="dim">{escape(known(stack, report.facts))}</span></td>{cells}</tr>'
    yield "</table></div>"


def _finding(finding: Finding) -> str:
    if finding.override:
        kind, badge = "overridden", f"overridden until {finding.override.expires}: “{escape(finding.override.reason)}”"
    else:
        kind, badge = ("blocks", "blocking") if finding.blocks else ("", "to know")
    hits = "".join(
        f"<li>{f'<code>{escape(where)}</code>: ' if where else ''}{inline(sentence)}</li>"
        for where, sentence in finding.hits
    )
    return (
        f'<section class="finding {kind}"><p><span class="badge">{badge}</span> <code>{finding.rule}</code>: '
        f"{inline(finding.reason)}</p><ul>{hits}</ul></section>"
    )


def _fold(block: Block) -> str:
    lines = "\n".join(_line(line) if block.language == "diff" else escape(line) for line in block.text.splitlines())
    return f"<details><summary>{escape(block.summary)}</summary><pre><code>{lines}</code></pre></details>"


def _line(line: str) -> str:
    kind = {"+": "plus", "-": "minus"}.get(line[:1])
    return f'<span class="{kind}">{escape(line)}</span>' if kind else escape(line)


def inline(text: str) -> str:
    """The little Markdown that sentences have: `code` and **strong**."""
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
