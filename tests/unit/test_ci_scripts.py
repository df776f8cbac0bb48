"""What the workflows run, run here: in a copy of `scripts/ci`, with `gh`, `holdfast` and `make` that stand in."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CI = REPOSITORY / "scripts" / "ci"
concerned = runpy.run_path(str(CI / "environments.py"))["concerned"]

GH = """\
#!{python}
# Stands in for GitHub: keeps comments in comments.json, and notes each call.
import json, pathlib, sys
here = pathlib.Path({folder!r})
arguments = sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(" ".join(arguments) + "\\n")
comments = json.loads((here / "comments.json").read_text())
body = next((pathlib.Path(it[6:]).read_text() for it in arguments if it.startswith("body=@")), None)
if "POST" in arguments:
    comments.append({{"id": 100 + len(comments), "user": {{"type": "Bot"}}, "body": body}})
elif "PATCH" in arguments:
    number = int(next(it for it in arguments if it.startswith("repos/")).rsplit("/", 1)[1])
    next(it for it in comments if it["id"] == number)["body"] = body
else:
    print(json.dumps([comments[:1], comments[1:]]))
(here / "comments.json").write_text(json.dumps(comments))
"""


class Runner:
    """A checkout with the scripts alone, and a PATH on which the stand-ins are."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir()
        shutil.copytree(CI, folder / "scripts" / "ci")
        (folder / "scripts" / "env.sh").write_text("")
        (folder / "comments.json").write_text("[]")
        self.stand_in("gh", GH.format(python=sys.executable, folder=str(folder)))
        (self.bin / "python").symlink_to(sys.executable)

    def stand_in(self, name: str, script: str) -> None:
        """An executable of that name; a shell script notes its arguments in `calls` first."""
        if not script.startswith("#!"):
            script = f'#!/usr/bin/env bash\necho "{name} $*" >>{self.folder}/calls\n{script}\n'
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "GITHUB_REPOSITORY": "team/redis",
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
        } | variables
        command = [str(self.folder / "scripts" / "ci" / script), *arguments]
        if script.endswith(".py"):
            command.insert(0, sys.executable)
        return subprocess.run(command, cwd=self.folder, env=variables, text=True, capture_output=True, check=False)

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    @property
    def comments(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.folder / "comments.json").read_text())
        return found

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


REVIEW = """
while (($#)); do
    [[ $1 == --digest ]] && echo "${DIGEST:-d1}" >"$2"
    [[ $1 == --expect && $2 != "${DIGEST:-d1}" ]] && CODE=4
    [[ $1 == --markdown ]] && printf '<!-- holdfast review %s -->\\n%s\\n' shop "$SAYS" >"$2"
    shift
done
echo '{"verdict": "'"$SAYS"'"}'
exit "${CODE:-0}"
"""


def test_a_second_review_edits_the_comment_of_the_first(runner: Runner) -> None:
    runner.stand_in("holdfast", REVIEW)
    first = runner.run("review.sh", "shop", PULL_REQUEST="7", SAYS="one node")
    assert first.returncode == 0, first.stderr
    assert runner.run("review.sh", "shop", PULL_REQUEST="7", SAYS="two nodes", CODE="3").returncode == 3
    assert [it["body"] for it in runner.comments] == ["<!-- holdfast review shop -->\ntwo nodes\n"]
    assert [call for call in runner.calls if call.startswith("api")] == [
        "api --paginate --slurp repos/team/redis/issues/7/comments?per_page=100",
        "api --method POST repos/team/redis/issues/7/comments --field body=@review/shop.md",
        "api --paginate --slurp repos/team/redis/issues/7/comments?per_page=100",
        "api --method PATCH repos/team/redis/issues/comments/100 --field body=@review/shop.md",
    ]
    assert runner.summary.count("<!-- holdfast review shop -->") == 2


def test_neither_the_comment_of_another_environment_nor_a_persons_is_edited(runner: Runner) -> None:
    others = [
        {"id": 1, "user": {"type": "Bot"}, "body": "<!-- holdfast review shop-eu -->\n"},
        {"id": 2, "user": {"type": "User"}, "body": "<!-- holdfast review shop -->\nquoted"},
    ]
    (runner.folder / "comments.json").write_text(json.dumps(others))
    (runner.folder / "report.md").write_text("<!-- holdfast review shop -->\nnew\n")
    assert runner.run("comment.py", "7", "report.md").returncode == 0
    assert runner.comments[:2] == others
    assert runner.comments[2]["body"] == "<!-- holdfast review shop -->\nnew\n"


def test_a_text_without_a_marker_is_not_posted(runner: Runner) -> None:
    (runner.folder / "report.md").write_text("# Hello\n")
    done = runner.run("comment.py", "7", "report.md")
    assert done.returncode == 1
    assert "found a first line '# Hello'; accepted: a marker" in done.stderr
    assert runner.comments == []


def test_what_github_refuses_is_said(runner: Runner) -> None:
    runner.stand_in("gh", "echo 'HTTP 403: Resource not accessible by integration' >&2; exit 1")
    (runner.folder / "report.md").write_text("<!-- holdfast review shop -->\n")
    done = runner.run("comment.py", "7", "report.md")
    assert done.returncode == 1
    assert "HTTP 403: Resource not accessible by integration" in done.stderr


def test_a_review_that_could_not_be_made_replaces_the_comment_of_the_last_one(runner: Runner) -> None:
    runner.stand_in("holdfast", REVIEW)
    runner.run("review.sh", "shop", PULL_REQUEST="7", SAYS="one node")
    runner.stand_in("holdfast", "echo 'shop-network cannot be planned' >&2; exit 1")
    assert runner.run("review.sh", "shop", PULL_REQUEST="7").returncode == 1
    (comment,) = runner.comments
    assert comment["body"].splitlines()[:2] == [
        "<!-- holdfast review shop -->",
        "## ⛔ shop: there is no review of this commit",
    ]
    assert "shop-network cannot be planned" in comment["body"]


def test_without_a_pull_request_nothing_is_posted(runner: Runner) -> None:
    runner.stand_in("holdfast", REVIEW)
    assert runner.run("review.sh", "shop", "--offline", "--base", "abc", SAYS="one node").returncode == 0
    assert runner.calls == [
        "holdfast review shop --offline --base abc --markdown review/shop.md --html review/shop.html "
        "--digest review/shop.digest"
    ]


def test_a_deploy_is_reviewed_then_made_and_then_looked_at(runner: Runner) -> None:
    runner.stand_in("holdfast", REVIEW)
    runner.stand_in("make", "echo deployed")
    done = runner.run("deploy.sh", "shop", "d1", SAYS="one node")
    assert done.returncode == 0, done.stderr
    assert [call.split(" --markdown")[0] for call in runner.calls] == [
        "holdfast review shop --expect d1",
        "make --no-print-directory --old-file=setup deploy ENV=shop YES=1",
        "holdfast status shop --wait 120",
    ]


def test_a_blocked_review_stops_the_deploy_before_it_begins(runner: Runner) -> None:
    runner.stand_in("holdfast", REVIEW)
    runner.stand_in("make", "")
    assert runner.run("deploy.sh", "shop", "d1", SAYS="blocked", CODE="3").returncode == 3
    assert not [call for call in runner.calls if call.startswith("make")]
    assert "shop was not deployed: its review does not pass (exit code 3)" in runner.summary


@pytest.mark.parametrize("approved", ["d1", ""])
def test_what_was_not_approved_is_not_deployed(runner: Runner, approved: str) -> None:
    runner.stand_in("holdfast", REVIEW)
    runner.stand_in("make", "")
    assert runner.run("deploy.sh", "shop", approved, SAYS="two nodes", DIGEST="d2").returncode == 4
    assert not [call for call in runner.calls if call.startswith("make")]
    assert "shop was not deployed: it would do something else by now than what was approved" in runner.summary


def test_a_review_tells_the_deploy_what_it_is_about(runner: Runner) -> None:
    runner.stand_in("holdfast", REVIEW)
    runner.run("review.sh", "shop", SAYS="one node", GITHUB_OUTPUT=str(runner.folder / "output"))
    assert (runner.folder / "output").read_text() == "digest=d1\n"
    runner.stand_in("holdfast", "exit 1")
    runner.run("review.sh", "shop", GITHUB_OUTPUT=str(runner.folder / "output"))
    assert (runner.folder / "output").read_text() == "digest=d1\n", "none where there is no review"


def test_a_gate_that_stays_closed_ends_the_deploy_and_is_in_the_summary(runner: Runner) -> None:
    runner.stand_in("holdfast", REVIEW)
    runner.stand_in("make", "echo 'the gate stayed closed for 900 s, later zones are untouched'; exit 2")
    assert runner.run("deploy.sh", "shop", "d1", SAYS="one node").returncode == 2
    assert not [call for call in runner.calls if "status" in call]
    assert "the gate stayed closed for 900 s, later zones are untouched" in runner.summary


@pytest.mark.parametrize(
    ("says", "code", "exit_code"),
    [("nothing changes", "0", 0), ("no node is touched", "0", 1), ("blocked", "3", 1), ("", "1", 1), ("", "2", 2)],
)
def test_drift_is_whatever_a_deploy_would_change(runner: Runner, says: str, code: str, exit_code: int) -> None:
    runner.stand_in("holdfast", REVIEW)
    done = runner.run("drift.sh", "shop", SAYS=says, CODE=code)
    assert done.returncode == exit_code, done.stderr
    assert ("shop has drifted, or something merged is not deployed" in done.stderr) == (exit_code == 1 and says != "")


def test_what_is_left_over_is_asked_for_when_the_reaper_fails_too(runner: Runner) -> None:
    runner.stand_in("holdfast", "[[ $1 != reap ]] || exit 1")
    assert runner.run("reap.sh").returncode == 1
    assert runner.calls == ["holdfast reap --yes", "holdfast leftovers"]
    runner.stand_in("holdfast", "[[ $1 != leftovers ]] || exit 1")
    assert runner.run("reap.sh").returncode == 1
    runner.stand_in("holdfast", "")
    assert runner.run("reap.sh").returncode == 0


def test_tools_reach_a_job_that_installs_nothing(runner: Runner, tmp_path: Path) -> None:
    stamps = [".venv/.installed", "node_modules/.installed", "stacks/bindings/aws/.generated"]
    for file in (*stamps, ".holdfast/bin/terraform"):
        (runner.folder / file).parent.mkdir(parents=True, exist_ok=True)
        (runner.folder / file).write_text(file)
        os.utime(runner.folder / file, (1, 1))
    assert runner.run("tools.sh", "pack", "tools.tgz").returncode == 0
    for folder in (".venv", "node_modules", "stacks", ".holdfast"):
        shutil.rmtree(runner.folder / folder)
    assert runner.run("tools.sh", "unpack", "tools.tgz").returncode == 0
    assert (runner.folder / ".holdfast/bin/terraform").read_text() == ".holdfast/bin/terraform"
    # Younger than the checkout: else make would install all of it again.
    assert all((runner.folder / stamp).stat().st_mtime > 1 for stamp in stamps)
    assert runner.run("tools.sh", "install", "tools.tgz").returncode == 2


def test_certificates_that_are_due_are_renewed_and_one_that_is_not_taken_fails(runner: Runner) -> None:
    runner.stand_in("holdfast", "echo 'prod-a1 has a new certificate' >&2")
    assert runner.run("renew.sh", "prod").returncode == 0
    assert runner.calls == ["holdfast certs rotate prod --due"]
    assert "prod-a1 has a new certificate" in runner.summary
    runner.stand_in("holdfast", "exit 1")
    assert runner.run("renew.sh", "prod").returncode == 1


NAMES = ["prod", "staging"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([], []),
        (["environments/prod.yaml"], ["prod"]),
        (["docs/review.md", "README.md", "environments/README.md", "tests/unit/test_status.py"], []),
        (["environments/examples/tiered.yaml", "environments/local.yaml"], []),
        (["docs/review.md", "stacks/zone.py"], NAMES),
        (["environments/images.lock.json"], NAMES),
        (["something/new.txt"], NAMES),
    ],
)
def test_a_change_concerns_its_own_environment_or_all_where_it_reaches_every_stack(
    changed: list[str], expected: list[str]
) -> None:
    assert concerned(changed, NAMES) == expected


@pytest.fixture
def environments() -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(CI / "environments.py"), *arguments]
        return subprocess.run(command, cwd=REPOSITORY, text=True, capture_output=True, check=False)

    return run


PROD, STAGING = ({"name": name, "region": "eu-central-1"} for name in ("prod", "staging"))


def test_environments_on_this_machine_are_no_business_of_a_runner(
    environments: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert environments().stdout == f"found={json.dumps([PROD, STAGING])}\n"
    assert environments("--only", "prod").stdout == f"found={json.dumps([PROD])}\n"
    assert environments("--only", "local").stdout == "found=[]\n"
    refused = environments("--only", "$(id)")
    assert refused.returncode == 2
    assert "environment $(id): there is no file" in refused.stderr


def test_certificates_are_renewed_where_there_are_any(
    environments: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_ENVIRONMENTS_DIR", str(tmp_path))
    for name, tls in (("prod", "required"), ("staging", "off")):
        text = (REPOSITORY / "environments" / f"{name}.yaml").read_text()
        (tmp_path / f"{name}.yaml").write_text(text.replace("tls: required", f"tls: {tls}"))
    assert environments().stdout == f"found={json.dumps([PROD, STAGING])}\n"
    assert environments("--tls").stdout == f"found={json.dumps([PROD])}\n"


def test_a_commit_from_which_nothing_differs_concerns_none(
    environments: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, check=False).returncode != 0:
        pytest.skip("not a git checkout")
    assert environments("--since", "HEAD").stdout == "found=[]\n"


def test_a_commit_that_is_not_here_concerns_all(environments: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = environments("--since", "0" * 40)
    assert done.stdout == f"found={json.dumps([PROD, STAGING])}\n"
    assert "is not in this checkout: every environment is taken" in done.stderr
