"""The workflows: every action pinned, nothing allowed that is not needed, nothing of a stranger's in a shell line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
FILES = [*WORKFLOWS, *sorted((REPOSITORY / ".github" / "actions").glob("*/action.yml"))]

READ = {"contents": "read"}
ASSUME_ROLE = READ | {"actions": "read", "id-token": "write"}
PERMISSIONS = {
    "checks": {"check": READ, "test": READ},
    "deploy": {"environments": READ, "each": ASSUME_ROLE},
    "deploy-environment": {"review": ASSUME_ROLE, "deploy": ASSUME_ROLE},
    "drift": {"environments": READ, "drift": ASSUME_ROLE},
    "reap": {"tools": READ, "reap": ASSUME_ROLE},
    "renew": {"environments": READ, "renew": ASSUME_ROLE},
    "review": {
        "environments": READ,
        "review": ASSUME_ROLE | {"pull-requests": "write"},
        "review-offline": READ,
    },
    "simulate": {"simulate": READ, "long": READ, "successor": READ},
}
PINNED = re.compile(r"^[a-z-]+/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for file in WORKFLOWS:
        for name, job in read(file)["jobs"].items():
            yield file.stem, name, job


def steps(file: Path) -> list[dict[str, Any]]:
    content = read(file)
    if "runs" in content:
        return list(content["runs"]["steps"])
    return [step for job in content["jobs"].values() for step in job.get("steps", ())]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it(file: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", file.read_text(), re.MULTILINE)
    assert len(used) == file.read_text().count("uses:")
    assert [it for it in used if not it.startswith("./.github/") and not PINNED.match(it)] == []


def test_an_action_has_the_same_commit_everywhere() -> None:
    used = {it for file in FILES for it in re.findall(r"uses: (\S+/\S+@.+)$", file.read_text(), re.MULTILINE)}
    assert len(used) == len({it.split("@")[0] for it in used}) == 4


def test_each_job_may_do_what_it_needs_and_no_more() -> None:
    assert {file.stem: read(file)["permissions"] for file in WORKFLOWS} == dict.fromkeys(PERMISSIONS, {})
    found: dict[str, dict[str, Any]] = {}
    for workflow, name, job in jobs():
        found.setdefault(workflow, {})[name] = job["permissions"]
    assert found == PERMISSIONS


def test_no_workflow_runs_a_strangers_code_with_this_repositorys_rights() -> None:
    triggers = {file.stem: set(read(file)[True]) for file in WORKFLOWS}  # YAML takes the key `on` for a truth value
    assert triggers == {
        "checks": {"pull_request", "push"},
        "deploy": {"push", "workflow_dispatch"},
        "deploy-environment": {"workflow_call"},
        "drift": {"schedule", "workflow_dispatch"},
        "renew": {"schedule", "workflow_dispatch"},
        "reap": {"schedule", "workflow_dispatch"},
        "review": {"pull_request"},
        "simulate": {"schedule", "workflow_dispatch"},
    }


def test_a_fork_gets_the_review_without_credentials_and_nobody_else_does() -> None:
    review = read(REPOSITORY / ".github" / "workflows" / "review.yml")["jobs"]
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    assert own in review["review"]["if"]
    assert own.replace("==", "!=") in review["review-offline"]["if"]
    offline = str(review["review-offline"])
    assert "configure-aws-credentials" not in offline and "GH_TOKEN" not in offline
    assert 'scripts/ci/review.sh "$ENVIRONMENT" --offline --base "$BASE"' in offline


def test_no_expression_stands_in_a_shell_line_and_no_secret_is_named() -> None:
    for file in FILES:
        for step in steps(file):
            assert "${{" not in step.get("run", ""), file
        assert "secrets" not in file.read_text(), file


def test_no_checkout_leaves_its_token_behind() -> None:
    checkouts = [step for file in FILES for step in steps(file) if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == 17
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_nothing_runs_for_ever_and_nothing_twice_at_once() -> None:
    assert [name for _, name, job in jobs() if "uses" not in job and "timeout-minutes" not in job] == []
    groups = {file.stem: read(file).get("concurrency") for file in WORKFLOWS}
    assert {name for name, group in groups.items() if group is None} == {"deploy", "deploy-environment"}
    deploy = read(REPOSITORY / ".github" / "workflows" / "deploy-environment.yml")["jobs"]["deploy"]
    assert deploy["concurrency"] == {"group": "deploy-${{ inputs.name }}", "cancel-in-progress": False}


def test_a_deploy_waits_for_its_review_and_for_the_approval_of_its_environment() -> None:
    deploy = read(REPOSITORY / ".github" / "workflows" / "deploy-environment.yml")["jobs"]["deploy"]
    assert (deploy["needs"], deploy["environment"]) == ("review", "${{ inputs.name }}")


def test_a_deploy_does_what_the_review_before_the_approval_said() -> None:
    jobs = read(REPOSITORY / ".github" / "workflows" / "deploy-environment.yml")["jobs"]
    (review,) = (step for step in jobs["review"]["steps"] if step.get("id") == "review")
    assert review["run"] == 'scripts/ci/review.sh "$ENVIRONMENT"'
    assert jobs["review"]["outputs"] == {"digest": "${{ steps.review.outputs.digest }}"}
    deploy = jobs["deploy"]["steps"][-1]
    assert deploy["run"] == 'scripts/ci/deploy.sh "$ENVIRONMENT" "$APPROVED"'
    assert deploy["env"]["APPROVED"] == "${{ needs.review.outputs.digest }}"


def test_certificates_are_renewed_with_a_role_of_each_environment() -> None:
    """That trusts this GitHub environment alone: one role for all could read every authority's key."""
    renew = read(REPOSITORY / ".github" / "workflows" / "renew.yml")["jobs"]["renew"]
    assert renew["environment"] == "${{ matrix.name }}-certificates"


def test_who_may_assume_a_role_installs_nothing() -> None:
    """What a package runs when it is installed runs in a job without rights, and comes from there."""
    equip, setups = "./.github/actions/equip", ("./.github/actions/setup", "./.github/actions/tools")
    with_rights = {
        (file, name): job for file, name, job in jobs() if "id-token" in job["permissions"] and "steps" in job
    }
    assert len(with_rights) == 6
    for job in with_rights.values():
        used = [step.get("uses") for step in job["steps"]]
        assert equip in used and not set(setups) & set(used)
        assert used.index(equip) < next(n for n, it in enumerate(used) if it and "configure-aws-credentials" in it)
        assert not [step for step in job["steps"] if re.search(r"make|pip|npm", step.get("run", ""))]
    assert "setup" not in str(steps(REPOSITORY / ".github/actions/equip/action.yml")).replace("actions/setup-node", "")
    packed = {file for file, _, job in jobs() if any(step.get("uses") == setups[1] for step in job.get("steps", ()))}
    assert packed | {"deploy-environment"} == {file for file, _ in with_rights} | {"deploy"}


def test_every_script_that_a_workflow_runs_is_there() -> None:
    named = {it for file in FILES for it in re.findall(r"scripts/ci/[\w.]+", file.read_text())}
    assert named == {
        f"scripts/ci/{name}"
        for name in ("deploy.sh", "drift.sh", "environments.py", "reap.sh", "renew.sh", "review.sh", "tools.sh")
    }
    assert [it for it in named if it.endswith(".sh") and not os.access(REPOSITORY / it, os.X_OK)] == []
