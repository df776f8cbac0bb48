"""Synthesises an environment, and has Terraform plan one of its stacks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.mirror import REPOSITORY, tool_environment
from holdfast.ops.review import plan, synthesis
from holdfast.ops.review.facts import Stack

TIMEOUT = 600
"""Seconds for one step of one stack."""

NOT_YET = re.compile(
    r"Unable to find remote state|Unsupported attribute.*terraform_remote_state"
    r"|error\s+loading\s+the\s+remote\s+state:\s+S3\s+bucket|NoSuchBucket",
    re.DOTALL,
)
"""What Terraform says of a stack that reads outputs which nothing has made yet, or whose place does not exist yet."""

PLAN = "review.plan"


class PlanFailed(HoldfastError):
    """A stack can be neither planned nor told from its synthesised output."""


def variables(environment_file: Path, outdir: Path) -> dict[str, str]:
    """The process environment of every command here."""
    return tool_environment() | {
        "HOLDFAST_ENVIRONMENTS": str(environment_file.resolve()),
        "CDKTF_OUTDIR": str(outdir),
    }


def synthesise(environ: Mapping[str, str], source: Path = REPOSITORY) -> None:
    """Run `main.py` of the checkout `source`.

    Raises:
        HoldfastError: with what it said.
    """
    done = _run([sys.executable, "main.py"], source, environ)
    if done.returncode:
        raise HoldfastError(f"the stacks cannot be synthesised from {source}:\n{last_lines(done.stderr)}")


def configuration(outdir: Path, stack: str) -> dict[str, Any]:
    """The content of a stack's cdk.tf.json; empty when there is no such stack."""
    file = _file(outdir, stack)
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return content


def plan_stack(environment: str, stack: str, outdir: Path, environ: Mapping[str, str], *, stateless: bool) -> Stack:
    """Plan one synthesised stack. `stateless`: there is no state yet, not even the place where it will be.

    Raises:
        PlanFailed: with what Terraform said.
    """
    synthesised = configuration(outdir, stack)
    folder, name = _file(outdir, stack).parent, stack.removeprefix(f"{environment}-")
    planned = synthesis.without_refusals(synthesised)
    if stateless:
        planned["terraform"] = {**planned["terraform"], "backend": {"local": {"path": "none.tfstate"}}}
    _file(outdir, stack).write_text(json.dumps(planned, indent=2), encoding="utf-8")
    try:
        # Without a lock: a review only reads, and must neither wait for a deploy nor stop one.
        init = _terraform(folder, environ, "init", "-reconfigure", "-input=false")
        done = init if init.returncode else _terraform(folder, environ, "plan", "-lock=false", f"-out={PLAN}")
        if done.returncode == 0:
            shown = _terraform(folder, environ, "show", "-json", PLAN)
            return plan.read(environment, name, json.loads(shown.stdout), synthesised)
        if init.returncode == 0 and needs_others(done.stderr):
            listed = _terraform(folder, environ, "state", "list")
            return synthesis.described(environment, name, synthesised, _managed(listed.stdout))
        raise PlanFailed(f"{stack} cannot be planned:\n{last_lines(done.stderr)}")
    finally:
        (folder / PLAN).unlink(missing_ok=True)  # it has what Terraform knows, in plain text


def needs_others(errors: str) -> bool:
    """Every one of Terraform's errors is that of a stack which reads what is not there yet."""
    _, *each = re.split(r"^Error: ", errors, flags=re.MULTILINE)
    return bool(each) and all(NOT_YET.search(error) for error in each)


def version() -> str:
    """Terraform's own version."""
    try:
        done = _run(["terraform", "version", "-json"], REPOSITORY, variables(REPOSITORY, REPOSITORY))
        return str(json.loads(done.stdout)["terraform_version"])
    except (OSError, ValueError, KeyError):
        return "unknown"


def _file(outdir: Path, stack: str) -> Path:
    return outdir / "stacks" / stack / "cdk.tf.json"


def _managed(listed: str) -> list[str]:
    return [line for line in listed.splitlines() if line and not line.startswith("data.")]


def _terraform(
    folder: Path, environ: Mapping[str, str], command: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    plain = [] if command in ("show", "state") else ["-no-color"]
    return _run(["terraform", command, *arguments, *plain], folder, environ)


def _run(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=folder, env=environ, text=True, capture_output=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise HoldfastError(
            f"{' '.join(command)} in {folder} took more than {TIMEOUT} s; is the cloud's API up?"
        ) from None
    except FileNotFoundError:
        raise HoldfastError(f"{command[0]} is not installed; install it with: make setup") from None


def last_lines(text: str) -> str:
    """What Terraform said at the end, without its frames."""
    lines = [line for line in text.splitlines() if line.strip(" │╷╵")]
    return "\n".join(lines[-25:])
