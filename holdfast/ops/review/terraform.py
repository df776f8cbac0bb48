"""Has Terraform plan one of an environment's stacks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.ops import terraform
from holdfast.ops.review import plan, synthesis
from holdfast.ops.review.facts import Stack

NOT_YET = re.compile(
    r"Unable to find remote state|Unsupported attribute.*terraform_remote_state"
    r"|error\s+loading\s+the\s+remote\s+state:\s+S3\s+bucket|NoSuchBucket",
    re.DOTALL,
)
"""What Terraform says of a stack that reads outputs which nothing has made yet, or whose place does not exist yet."""

PLAN = "review.plan"


class PlanFailed(HoldfastError):
    """A stack can be neither planned nor told from its synthesised output."""


def plan_stack(environment: str, stack: str, outdir: Path, environ: Mapping[str, str], *, stateless: bool) -> Stack:
    """Plan one synthesised stack. `stateless`: there is no state yet, not even the place where it will be.

    Raises:
        PlanFailed: with what Terraform said.
    """
    synthesised = terraform.configuration(outdir, stack)
    folder, name = terraform.file(outdir, stack).parent, stack.removeprefix(f"{environment}-")
    planned = synthesis.without_refusals(synthesised)
    if stateless:
        planned["terraform"] = {**planned["terraform"], "backend": {"local": {"path": "none.tfstate"}}}
    terraform.file(outdir, stack).write_text(json.dumps(planned, indent=2), encoding="utf-8")
    try:
        done = _plan(folder, environ)
        if done.returncode == 0:
            shown = terraform.run(folder, environ, "show", "-json", PLAN)
            return plan.read(environment, name, json.loads(shown.stdout), synthesised)
        if needs_others(done.stderr):
            listed = terraform.run(folder, environ, "state", "list")
            return synthesis.described(environment, name, synthesised, _managed(listed.stdout))
        raise PlanFailed(f"{stack} cannot be planned:\n{terraform.last(done.stderr)}")
    finally:
        (folder / PLAN).unlink(missing_ok=True)  # it has what Terraform knows, in plain text


def _plan(folder: Path, environ: Mapping[str, str]) -> terraform.Done:
    """Without a lock: a review only reads, and must neither wait for a deploy nor stop one.

    A folder that an earlier review has initialised is planned at once; Terraform says at once, too, where it is not.
    """
    plan = ("plan", "-lock=false", "-input=false", f"-out={PLAN}")
    done = terraform.run(folder, environ, *plan)
    if done.returncode == 0 or needs_others(done.stderr):
        return done
    init = terraform.run(folder, environ, "init", "-reconfigure", "-input=false")
    if init.returncode:
        raise PlanFailed(f"{folder.name} cannot be planned:\n{terraform.last(init.stderr)}")
    return terraform.run(folder, environ, *plan)


def needs_others(errors: str) -> bool:
    """Every one of Terraform's errors is that of a stack which reads what is not there yet."""
    _, *each = re.split(r"^Error: ", errors, flags=re.MULTILINE)
    return bool(each) and all(NOT_YET.search(error) for error in each)


def _managed(listed: str) -> list[str]:
    return [line for line in listed.splitlines() if line and not line.startswith("data.")]
