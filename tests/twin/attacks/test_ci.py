"""Who pushes a branch, or has text of its own in what CI shows: none of it becomes a command, a name or another digest.

The scripts run here as in tests/unit/test_ci_scripts.py, with hostile input. What a role of CI may do in the account:
unit/twin_api/test_roles_policies.py. What a review makes of hostile text: unit/test_review_report.py.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_ci_scripts import CI, REPOSITORY, REVIEW, Runner, concerned
from tests.unit.test_workflows import FILES

COMMANDS = [
    "::set-output name=digest::forged",
    "::add-path::/tmp/evil",
    "::add-mask::shop",
    "  ::error::x",
    "##[add-path]x",
]
STOPPED = re.compile(r"^::stop-commands::([0-9a-f]{32})$", re.MULTILINE)

NAMES = ["prod", "staging"]


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("review.sh", ["shop"]),
        ("deploy.sh", ["shop", "d1"]),
        ("drift.sh", ["shop"]),
        ("renew.sh", ["shop"]),
        ("reap.sh", []),
    ],
)
def test_no_line_of_others_is_a_command_to_the_runner(runner: Runner, script: str, arguments: list[str]) -> None:
    """It reads both streams."""
    said = "\n".join(COMMANDS)
    runner.stand_in("holdfast", f"cat <<'END' >&2\n{said}\nEND\n{REVIEW}")
    runner.stand_in("make", f"cat <<'END'\n{said}\nEND")
    done = runner.run(script, *arguments, SAYS="one node", GITHUB_ACTIONS="true")
    heard = STOPPED.match(done.stderr)
    assert heard, done
    assert COMMANDS[0] in done.stderr + done.stdout
    # Nobody who wrote the text beforehand knows the word that would end it.
    again = STOPPED.match(runner.run(script, *arguments, SAYS="one node", GITHUB_ACTIONS="true").stderr)
    assert again and again[1] != heard[1]


def test_outside_of_a_workflow_nothing_is_added(runner: Runner) -> None:
    runner.stand_in("holdfast", REVIEW)
    assert "::stop-commands::" not in runner.run("review.sh", "shop", SAYS="one node").stderr


def test_text_of_a_review_becomes_neither_an_output_of_the_step_nor_another_digest(runner: Runner) -> None:
    says = "one node\ndigest=forged\ndigest<<END\nforged\nEND"
    runner.stand_in("holdfast", f"printf 'digest=forged\\n::set-output name=digest::forged\\n' >&2\n{REVIEW}")
    output = runner.folder / "output"
    runner.run("review.sh", "shop", SAYS=says, GITHUB_OUTPUT=str(output), GITHUB_ACTIONS="true")
    assert output.read_text() == "digest=d1\n"


@pytest.mark.parametrize("approved", ["", "d2", "d1 ", "--offline", "d1\n", "*"])
def test_a_plan_that_changed_after_the_approval_is_not_deployed(runner: Runner, approved: str) -> None:
    runner.stand_in("holdfast", REVIEW)
    runner.stand_in("make", "")
    assert runner.run("deploy.sh", "shop", approved, SAYS="one node").returncode == 4
    assert not [call for call in runner.calls if call.startswith("make")]


HOSTILE = ["x; touch pwned", "$(touch pwned)", "`touch pwned`", "-rf", "a b", "*"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("script", ["review.sh", "drift.sh", "renew.sh"])
def test_no_name_of_an_environment_is_run(runner: Runner, script: str, name: str) -> None:
    runner.stand_in("holdfast", REVIEW)
    runner.run(script, name, SAYS="one node")
    assert not (runner.folder / "pwned").exists()


@pytest.mark.parametrize(
    "changed",
    [
        ("name: prod", 'name: "prod\\nfound=[]"'),
        ("name: prod", 'name: "$(touch pwned)"'),
        ("name: prod", 'name: "../prod"'),
        ("region: eu-central-1", 'region: "eu-central-1\\nfound=[]"'),
        ("region: eu-central-1", 'region: "x\'; touch pwned"'),
    ],
    ids=lambda pair: pair[1],
)
def test_an_environment_file_adds_no_job_and_no_output(tmp_path: Path, changed: tuple[str, str]) -> None:
    text = (REPOSITORY / "environments" / "prod.yaml").read_text()
    assert changed[0] in text
    (tmp_path / "prod.yaml").write_text(text.replace(*changed, 1))
    done = subprocess.run(
        [sys.executable, str(CI / "environments.py")],
        cwd=REPOSITORY,
        env={**os.environ, "HOLDFAST_ENVIRONMENTS_DIR": str(tmp_path)},
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done


@pytest.mark.parametrize(
    "file",
    ['"environments/prod.yaml\\nx"', '"docs/\\n../stacks/zone.py"', "environments/../stacks/zone.py", "Docs/x", "docs"],
)
def test_a_file_with_an_odd_name_hides_from_no_review(file: str) -> None:
    """Git quotes such names. What is not known to concern nobody concerns all."""
    assert concerned([file], NAMES) == NAMES


def test_nothing_that_a_stranger_words_reaches_a_workflow() -> None:
    """No title, no body, no name of a branch, no message of a commit."""
    used = {it for file in FILES for it in re.findall(r"github\.[\w.]+", re.sub(r"#.*", "", file.read_text()))}
    assert used == {
        "github.event.before",
        "github.event.pull_request.base.sha",
        "github.event.pull_request.head.repo.full_name",
        "github.event.pull_request.number",
        "github.event_name",
        "github.ref",
        "github.repository",
        "github.token",
    }
