"""The report: a verdict, overrides that count only where they must, and forms that fit and give nothing away."""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from holdfast import cli
from holdfast.ops.review import markdown, page, run, synthesis
from holdfast.ops.review.checkov import Finding
from holdfast.ops.review.details import Block
from holdfast.ops.review.facts import Facts
from holdfast.ops.review.report import Checked, Provenance, Report, make
from holdfast.topology.risks import Risk
from holdfast.topology.spec import OverrideSpec
from tests.unit.review_values import CREATE, REPLACE, UPDATE, change, facts, of, replaced, stack, status, zone

PROVENANCE = Provenance("c0ffee", "", {"holdfast": "0.1.0", "terraform": "1.11.4"}, "2026-11-21 12:00 UTC")
SHRUNK = change("aws_ebs_volume.shop-a1-data", UPDATE, of("a", size=16), of("a", size=8))


def report(known: Facts, *overrides: Risk, base: str = "", checked: Checked | None = None) -> Report:
    specs = [OverrideSpec(rule=risk, reason="looked at", expires=date(2026, 12, 31)) for risk in overrides]
    provenance = Provenance(PROVENANCE.commit, base, PROVENANCE.versions, PROVENANCE.made)
    return make(known, specs, checked or Checked(), provenance)


def test_nothing_changes() -> None:
    made = report(facts())
    assert (made.headline, made.blocked) == ("shop: nothing changes", False)


def test_a_rollout_is_counted_in_the_headline() -> None:
    made = report(facts(*(zone(letter, replaced(letter)) for letter in "abc")))
    assert made.headline == "shop: nodes are touched, one zone after the other; 3 nodes replaced"


def test_a_change_that_touches_no_node_says_so() -> None:
    made = report(facts(stack("watch", change("aws_sns_topic.alarms", CREATE, None, {}))))
    assert made.headline == "shop: no node is touched"


def test_a_blocking_finding_blocks() -> None:
    made = report(facts(zone("a", SHRUNK)))
    assert (made.headline, made.blocked) == ("shop: blocked by volume-shrunk", True)


def test_an_override_of_the_very_rule_lets_the_change_pass_and_stays_visible() -> None:
    made = report(facts(zone("a", SHRUNK)), Risk.VOLUME_SHRUNK)
    assert (made.headline, made.blocked) == ("shop: no node is touched; 1 overridden", False)
    text = markdown.render(made)
    assert "- ~~blocking~~ **`volume-shrunk`**, overridden until 2026-12-31: “looked at”" in text
    assert "overridden until 2026-12-31: “looked at”" in page.render(made)
    assert made.unused_overrides == ()


def test_what_a_person_wrote_is_neither_markdown_nor_html() -> None:
    reason = "see <img src=x> **now**\n~~~~\n# [all](http://x) is `well`"
    override = OverrideSpec(rule=Risk.VOLUME_SHRUNK, reason=reason, expires=date(2026, 12, 31))
    text = markdown.render(make(facts(zone("a", SHRUNK)), [override], Checked(), PROVENANCE))
    assert r"“see \<img src=x\> \*\*now\*\* \~\~\~\~ # \[all\](http://x) is \`well\`”" in text


def test_no_line_of_a_fold_ends_it() -> None:
    text = markdown._fold(Block("a <b>", "+ `````", "diff"))
    assert text == "<details><summary>a &lt;b&gt;</summary>\n\n``````diff\n+ `````\n``````\n\n</details>\n"


def test_what_takes_several_zones_together_is_no_orderly_rollout_even_when_overridden() -> None:
    subnets = [change(f"aws_subnet.{zone}", REPLACE, {"availability_zone": f"eu-central-1{zone}"}, {}) for zone in "ab"]
    made = report(facts(stack("network", *subnets)), Risk.SEVERAL_ZONES_AT_ONCE)
    assert made.headline == "shop: nodes are touched, several zones at once; 1 overridden"


def test_an_override_of_another_rule_changes_nothing_and_is_told_to_be_unused() -> None:
    made = report(facts(zone("a", SHRUNK)), Risk.KEY_DESTROYED)
    assert made.blocked
    assert "Unused override of `key-destroyed` (until 2026-12-31): remove it from the environment file." in (
        markdown.render(made)
    )
    assert "Unused override of <code>key-destroyed</code>" in page.render(made)


def test_the_worst_news_comes_first() -> None:
    moved = stack("identity", change("aws_kms_key.key", REPLACE, {}, {}))
    made = report(facts(zone("a", SHRUNK), moved, left_behind=("zone-d",)), Risk.KEY_DESTROYED)
    assert [(it.rule, it.blocks) for it in made.findings] == [
        ("volume-shrunk", True),
        ("key-destroyed", False),
        ("left-behind", False),
    ]
    text = markdown.render(made)
    order = [text.index(part) for part in ("## ⛔", "| stack |", "### Findings", "### What it means", "### Changes")]
    assert order == sorted(order)


def test_a_comment_starts_with_the_mark_by_which_it_is_found_again() -> None:
    assert markdown.render(report(facts())).startswith("<!-- holdfast review shop -->\n")


def test_two_reviews_of_the_same_have_one_digest_whoever_leads_and_whenever_they_are_made() -> None:
    first = report(facts(zone("a", replaced("a")), status=status("shop-a1")))
    later = Provenance("c0ffee", "", PROVENANCE.versions, "2026-11-22 12:00 UTC")
    again = make(facts(zone("a", replaced("a")), status=status("shop-b1")), [], Checked(), later)
    assert re.fullmatch("[0-9a-f]{64}", first.digest)
    assert first.digest == again.digest == first.as_json()["digest"]
    assert f"does `{first.digest[:12]}`" in markdown.render(first)


def test_whatever_else_would_be_done_has_another_digest() -> None:
    topic = "aws_sns_topic.alarms"
    different = [
        facts(),
        facts(stack("watch", change(topic, UPDATE, {"name": "a"}, {"name": "b"}))),
        facts(stack("watch", change(topic, UPDATE, {"name": "a"}, {"name": "c"}))),
        facts(stack("watch", change(topic, UPDATE, {"name": "x"}, {"name": "b"}))),
        facts(stack("watch", change(topic, REPLACE, {"name": "a"}, {"name": "b"}))),
        facts(stack("names", change(topic, UPDATE, {"name": "a"}, {"name": "b"}))),
        facts(stack("watch", change("aws_sns_topic.others", UPDATE, {"name": "a"}, {"name": "b"}))),
    ]
    assert len({report(known).digest for known in different}) == len(different)


@pytest.mark.parametrize(
    ("expected", "known", "code"),
    [
        (report(facts()).digest, facts(), 0),
        (report(facts()).digest, facts(zone("a", replaced("a"))), 4),
        ("", facts(), 4),
        (report(facts(zone("a", SHRUNK))).digest, facts(zone("a", SHRUNK)), 3),
    ],
    ids=["the same", "another", "nothing was approved", "the same, and blocked"],
)
def test_a_deploy_goes_on_only_with_what_was_approved(
    expected: str,
    known: Facts,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(run, "review", lambda *_: report(known))
    file = tmp_path / "digest"
    assert cli.main(["review", "prod", "--expect", expected, "--digest", str(file)]) == code
    assert file.read_text() == f"{report(known).digest}\n"
    said = f"a deploy would do {report(known).digest[:12]} now, and {expected[:12]} was approved"
    assert (said in capsys.readouterr().err) is (code == 4)


EVIL = "<b>b</b> [all](http://x) ~~well~~ ![i](http://y) _so_ \n\n# done"


def test_no_sentence_makes_markdown_of_what_others_wrote() -> None:
    """Names, tags and values come from files and from the cloud."""
    bad = change(f"aws_ebs_volume.{EVIL}", UPDATE, of("a", size=16), of("a", size=8))
    override = OverrideSpec(rule=Risk.VOLUME_SHRUNK, reason=EVIL, expires=date(2026, 12, 31))
    checked = Checked((Finding("CKV_AWS_79", f"a/`{EVIL}", EVIL),), "")
    known = facts(zone("a", bad), status_unknown=EVIL)
    text = markdown.render(make(known, [override], checked, PROVENANCE))
    outside = re.sub(r"````.*?````|`[^`\n]*`", "", text, flags=re.DOTALL)
    for taken in ("<b>", "[all](", "~~well", "![i](", " _so_", "\n# done"):
        assert taken not in outside
    assert r"Who leads now is unknown (\<b\>b\</b\> \[all\](http://x) \~\~well\~\~" in text
    assert "CKV_AWS_79" in text, "an underscore within a word is none of Markdown's"


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("**Changed**: `a_b` is `_c_`.", "**Changed**: `a_b` is `_c_`."),
        ("3 nodes: shop-a1, shop-b1.", "3 nodes: shop-a1, shop-b1."),
        ("1. one", r"1\. one"),
        ("- one", r"\- one"),
        ("a `lone* mark", r"a \`lone\* mark"),
        ("two\n\nparagraphs", "two paragraphs"),
    ],
)
def test_a_sentence_keeps_its_own_marks_alone(sentence: str, shown: str) -> None:
    assert markdown.inline(sentence) == shown


def test_a_comment_is_never_longer_than_it_may_be_and_says_where_it_was_cut() -> None:
    many = [
        change(f"aws_route.route-{number}", UPDATE, {"note": "a" * 200}, {"note": "b" * 200}) for number in range(900)
    ]
    made = report(facts(stack("network", *many), *(zone(letter, replaced(letter)) for letter in "abc")))
    text = markdown.render(made)
    assert len(text) <= 65_536
    assert "_Cut here: a comment holds 65,536 characters. 4 more folds are in the HTML page (`--html`)._" in text
    assert text.rstrip().endswith("2026-11-21 12:00 UTC</sub>")
    assert "shop-network: 900 changes" in page.render(made)


def test_a_sensitive_value_is_in_no_form_of_the_report() -> None:
    secret = change(
        "aws_secretsmanager_secret_version.first",
        UPDATE,
        {"secret_string": "hunter2"},
        {"secret_string": "hunter3"},
        before_sensitive={"secret_string": True},
        after_sensitive={"secret_string": True},
    )
    made = report(facts(stack("identity", secret)))
    forms = markdown.render(made) + page.render(made) + json.dumps(made.as_json())
    assert "hunter" not in forms


def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    evil = change("aws_sns_topic.alarms", UPDATE, {"name": "a"}, {"name": "<script>alert(1)</script>"})
    text = page.render(report(facts(stack("watch", evil), zone("a", replaced("a"))), base=""))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert re.findall(r"(?:src|href)=|url\(|@import", text) == []
    assert text.count("<svg") == 2
    assert "prefers-color-scheme: dark" in text


def test_the_drawing_has_every_node_its_leader_and_what_becomes_of_it() -> None:
    text = page.render(report(facts(zone("b", replaced("b")), status=status("shop-a1"))))
    assert text.count(">shop-a1<") == 2
    assert text.count(">leads · kept<") == 1
    assert text.count(">replaced<") == 2


def test_an_offline_report_says_that_nothing_was_planned() -> None:
    made = report(Facts("shop", (synthesis.diff("shop", "network", {}, {}),)), base="0123456789abcdef")
    note = "Offline: the synthesised output of this commit compared with 0123456789ab. No plan was made"
    assert note in markdown.render(made)
    assert note in page.render(made)
    assert made.as_json()["offline"] is True


def test_a_first_review_is_marked_as_one() -> None:
    new: Any = Facts("shop", (stack("network", change("aws_vpc.vpc", CREATE, None, {})),))
    made = report(new)
    assert made.headline == "shop: a new environment"
    assert "A first review: what can be planned is planned" in markdown.render(made)


def test_new_findings_of_checkov_are_told_and_nothing_where_there_is_none() -> None:
    found = Finding("CKV_AWS_79", "shop-zone-a/shop-a1", "Ensure IMDSv1 is not enabled")
    made = report(facts(), checked=Checked((found,)))
    assert "### New findings of checkov\n\n- `shop-zone-a/shop-a1`: CKV_AWS_79 Ensure IMDSv1" in markdown.render(made)
    assert "<li><code>shop-zone-a/shop-a1</code>: CKV_AWS_79 Ensure IMDSv1" in page.render(made)
    assert made.as_json()["checkov"]["new"][0]["check"] == "CKV_AWS_79"
    nothing = report(facts())
    assert "checkov" not in markdown.render(nothing) + page.render(nothing)


def test_why_checkov_was_not_asked_is_one_sentence() -> None:
    made = report(facts(), checked=Checked(not_asked="checkov is not installed"))
    assert "- checkov was not asked: checkov is not installed.\n" in markdown.render(made)


def test_what_only_the_provider_computes_is_not_told() -> None:
    before = {"id": "i-1", "name": "a", "block": [{"iops": 3000, "size": 8}], "empty": "x"}
    after = {"name": "b", "block": [{"size": 8}], "empty": None}
    unknown = {"id": True, "block": [{"iops": True}]}
    made = report(facts(stack("zone-d", change("aws_thing.it", REPLACE, before, after, after_unknown=unknown))))
    (only,) = [it for it in made.as_json()["changes"] if it["address"] == "aws_thing.it"]
    assert only["arguments"] == ["name"]


def test_a_review_shows_what_a_terminal_or_a_browser_would_obey() -> None:
    unsafe = "".join(chr(code) for code in (0x1B, 0x9B, 0x202E, 0x2066))
    named = of("a", size=8) | {"tags": {"Name": f"shop-a1{unsafe}", "Node": "shop-a1", "Zone": "a"}}
    shrunk = change("aws_ebs_volume.shop-a1-data", UPDATE, of("a", size=16), named)
    made = report(facts(zone("a", shrunk), status=status(f"shop-a1{unsafe}")))
    for shown in (markdown.render(made), page.render(made)):
        assert not set(unsafe) & set(shown)
        assert r"\x1b" in shown
