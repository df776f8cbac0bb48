"""Deploys a test stack from its file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.mirror import REPOSITORY, tool_environment
from holdfast.topology import Environment

FOLDER = REPOSITORY / ".holdfast" / "teststacks"


def deploy(environment: Environment, file: Path) -> None:
    """`cdktf deploy` of all its stacks, printing as it goes.

    Raises:
        HoldfastError: it failed, or there is no cdktf.
    """
    variables = tool_environment() | {"HOLDFAST_ENVIRONMENTS": str(file.resolve())}
    if not sys.stdout.isatty():
        variables["CI"] = "true"  # plain lines, not a picture that is drawn again and again
    out = _out(environment.name)
    out.mkdir(parents=True, exist_ok=True)
    command = ["cdktf", "deploy", f"{environment.name}-*", "--auto-approve", "--output", str(out)]
    try:
        # What it says is progress: standard output is for the answer.
        done = subprocess.run(command, cwd=REPOSITORY, env=variables, stdout=sys.stderr, check=False)
    except FileNotFoundError:
        raise HoldfastError("cdktf is not installed; install it with: make setup") from None
    if done.returncode:
        raise HoldfastError(
            f"{environment.name}: the deploy failed (cdktf ended with {done.returncode}, see above). What it made is "
            f"still there: try again with the same command, or take it down: holdfast teststack down {environment.name}"
        )


def forget(environment: str) -> None:
    """Remove what a deploy leaves here: a copy of the provider for each stack, perhaps."""
    shutil.rmtree(_out(environment), ignore_errors=True)


def _out(environment: str) -> Path:
    """A folder of its own: several test stacks may be deployed at the same time."""
    return FOLDER / "out" / environment
