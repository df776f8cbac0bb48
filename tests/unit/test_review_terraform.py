"""A stack that needs what others have not made yet is told from its synthesis; any other error of Terraform is one."""

import json
import os
from pathlib import Path

import pytest

from holdfast.ops.review.facts import Planned
from holdfast.ops.review.terraform import PlanFailed, needs_others, plan_stack

NO_STATE = """
Error: Unable to find remote state

  with data.terraform_remote_state.cross-stack-reference-input-shop-network,
  on cdk.tf.json line 31, in data.terraform_remote_state:

No stored state was found for the given workspace in the given backend.
"""
NO_OUTPUT = """
Error: Unsupported attribute

  on cdk.tf.json line 168, in resource.aws_cloudwatch_metric_alarm.shop-a2-status.dimensions:
 168: "InstanceId": "${data.terraform_remote_state.shop-zone-a.outputs.shop-a2id}"

This object does not have an attribute named "shop-a2id".
"""
NO_BUCKET = """
Error: error loading the remote state: S3 bucket
"holdfast-shop-state" does not exist.

Error: operation error S3: ListObjectsV2, https response error StatusCode:
404, NoSuchBucket:
"""
OTHER = """
Error: No valid credential sources found
"""
TYPO = """
Error: Unsupported attribute

  on cdk.tf.json line 5: ${aws_vpc.vpc.idd}
"""


@pytest.mark.parametrize("errors", [NO_STATE, NO_OUTPUT, NO_BUCKET, NO_STATE + NO_OUTPUT])
def test_what_is_not_there_yet_is_no_error(errors: str) -> None:
    assert needs_others(errors)


@pytest.mark.parametrize("errors", ["", OTHER, TYPO, NO_STATE + OTHER, OTHER + NO_STATE])
def test_anything_else_is_one(errors: str) -> None:
    assert not needs_others(errors)


TERRAFORM = """\
#!/bin/sh
# Stands in for Terraform: plans once a folder is initialised, or says what ERROR holds.
echo "$1" >>calls
case $1 in
    init) touch initialised ;;
    plan)
        [ -e initialised ] || { echo 'Error: Backend initialization required' >&2; exit 1; }
        [ -z "$ERROR" ] || { echo "$ERROR" >&2; exit 1; } ;;
    show) echo '{}' ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the stack shop-network is synthesised."""
    folder = tmp_path / "stacks" / "shop-network"
    folder.mkdir(parents=True)
    (folder / "cdk.tf.json").write_text(json.dumps({"resource": {}}))
    (tmp_path / "terraform").write_text(TERRAFORM)
    (tmp_path / "terraform").chmod(0o755)
    return folder


def planned(folder: Path, error: str = "") -> Planned:
    outdir = folder.parents[1]
    environ = {"PATH": f"{outdir}:{os.environ['PATH']}", "ERROR": error}
    return plan_stack("shop", "shop-network", outdir, environ, stateless=False).known_from


def calls(folder: Path) -> list[str]:
    made = (folder / "calls").read_text().split()
    (folder / "calls").unlink()
    return made


def test_a_folder_is_initialised_once(folder: Path) -> None:
    assert planned(folder) is Planned.PLAN
    assert calls(folder) == ["plan", "init", "plan", "show"]
    assert planned(folder) is Planned.PLAN
    assert calls(folder) == ["plan", "show"]


def test_a_stack_that_needs_others_is_told_from_its_synthesis(folder: Path) -> None:
    planned(folder)
    calls(folder)
    assert planned(folder, NO_STATE) is Planned.SYNTHESIS
    assert calls(folder) == ["plan", "state"]


def test_an_error_that_initialising_does_not_mend_is_the_reviews(folder: Path) -> None:
    with pytest.raises(PlanFailed, match="shop-network cannot be planned:\nError: No valid credential sources found"):
        planned(folder, OTHER)
    assert calls(folder) == ["plan", "init", "plan"]
