"""The documents say what the code does: every key of the environment file is explained, with its default."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from holdfast.cli.review import BLOCKED
from holdfast.ops.review.rules import RULES
from holdfast.topology import ports
from holdfast.topology.presets import OFFERS
from holdfast.topology.redis_settings import SETTINGS, Setting
from holdfast.topology.spec import LAYOUTS, ApplicationSpec, BackupSpec, Environment, MachineSpec
from holdfast.topology.users import OWN
from scripts import prose
from tests.twin.environments import PLAN

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [page for page in prose.pages() if ".github" not in page.parts]


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= keys(kind, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def keys_of_the_file() -> set[str]:
    """A layout is one of several kinds, a key of `machines` one of several names, and an application has any."""
    layouts = [keys(layout, "layout.") for layout in LAYOUTS.values()]
    named = [
        keys(MachineSpec, "machines.KEY."),
        keys(ApplicationSpec, "applications.NAME."),
        keys(BackupSpec, "backup."),
    ]
    return (keys(Environment) - {"layout", "machines", "applications"}).union(*named, *layouts)


def test_every_key_of_the_environment_file_is_documented_and_no_other() -> None:
    text = (DOCS / "environment.md").read_text().split("## Layouts")[0]
    assert set(re.findall(r"^\| `([a-zA-Z_.]+)` \|", text, re.MULTILINE)) == keys_of_the_file()


def row(setting: Setting) -> tuple[str, ...]:
    redis = setting.redis or '""'
    default = f"{setting.ours}; Redis has `{redis}`" if setting.ours else f"`{redis}`"
    since = [f"from {'.'.join(map(str, setting.since))} on"] if setting.since > (6, 0) else []
    until = [f"up to {'.'.join(map(str, setting.until))}"] if setting.until else []
    start = [] if setting.while_running else ["at its start"]
    return setting.name, setting.kind.accepted, default, ", ".join([*since, *until, *start]), setting.about


def test_every_setting_of_redis_is_documented_as_the_registry_has_it() -> None:
    text = (DOCS / "environment.md").read_text().split("## Settings of Redis")[1].split("\n## ")[0]
    found = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (.+) \| (.*?) ?\| (.+) \|$", text, re.MULTILINE)
    assert found == [row(setting) for setting in SETTINGS.values()]


def test_every_preset_is_documented_with_its_command() -> None:
    text = (DOCS / "clients.md").read_text().split("## What frameworks call")[1].split("\n## ")[0]
    found = re.findall(r"^\| `([a-z-]+)` \| `([A-Z -]+)` \|", text, re.MULTILINE)
    assert found == [(preset, offer.command) for preset, offer in OFFERS.items()]


def test_every_port_is_documented() -> None:
    text = (DOCS / "environment.md").read_text().split("## Ports")[1]
    listed = {int(port) for port in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert listed == {ports.ENDPOINT, ports.TLS_ENDPOINT, ports.REDIS, ports.SENTINEL, ports.STATS, ports.LEASE}


def test_every_rule_of_a_review_is_documented_with_its_severity_and_its_reason() -> None:
    text = (DOCS / "review.md").read_text().split("## What it looks for")[1].split("## ")[0]
    assert re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.+) \|$", text, re.MULTILINE) == [
        (rule.name, rule.severity, rule.reason) for rule in RULES
    ]


def test_the_exit_code_of_a_blocked_review_is_documented() -> None:
    assert f"| {BLOCKED} | a blocking finding |" in (DOCS / "review.md").read_text()


def test_every_user_is_described() -> None:
    table = re.findall(r"^\| `([a-z]+)` \|", (DOCS / "security.md").read_text().split("## Where")[0], re.MULTILINE)
    assert table == ["app", *(user.name for user in OWN)]


def test_the_environments_of_the_twins_tests_are_listed() -> None:
    text = (DOCS.parent / "tests" / "README.md").read_text().split("## Environments")[1].split("## Lanes")[0]
    assert re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \| (.+) \| (.+) \|$", text, re.MULTILINE) == [
        (it.name, str(it.machines), it.image, it.what, ", ".join(it.serves)) for it in PLAN
    ]


def test_each_part_of_the_twins_tests_has_a_lane_and_its_environments() -> None:
    folders = {f"twin/{path.parent.name}" for path in (DOCS.parent / "tests" / "twin").glob("*/test_*.py")}
    assert {part for planned in PLAN for part in planned.serves} | {"twin/parts"} == folders
    listed = re.findall(r"^\| `(twin/\w+)` \|", (DOCS.parent / "tests" / "README.md").read_text(), re.MULTILINE)
    assert set(listed) == folders
    scripts = (DOCS.parent / "scripts" / "test.py").read_text()
    assert all(f'"{folder}"' in scripts for folder in folders)


def anchors(file: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(prose.REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if "://" not in target and (not file.exists() or (anchor and anchor not in anchors(file))):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(prose.REPOSITORY)))
def test_pages_are_plain(page: Path) -> None:
    measured = prose.measure(page.read_text())
    assert measured.rate <= prose.MOST_PRONOUNS
    assert measured.long == ()


def test_every_test_that_the_threat_model_names_is_there() -> None:
    text = (DOCS / "threat-model.md").read_text()
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", text)
    assert len(named) == text.count("::")
    tests = DOCS.parent / "tests"
    assert [test for file, test in named if f"def {test}(" not in (tests / file).read_text()] == []
