"""Synthesises an environment, and runs Terraform in a stack's folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.mirror import REPOSITORY, tool_environment

TIMEOUT = 600
"""Seconds for one command that only reads."""

Done = subprocess.CompletedProcess[str]


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
        raise HoldfastError(f"the stacks cannot be synthesised from {source}:\n{last(done.stderr)}")


def configuration(outdir: Path, stack: str) -> dict[str, Any]:
    """The content of a stack's cdk.tf.json; empty when there is no such stack."""
    found = file(outdir, stack)
    content: dict[str, Any] = json.loads(found.read_text(encoding="utf-8")) if found.exists() else {}
    return content


def file(outdir: Path, stack: str) -> Path:
    """Where CDKTF synthesises a stack to."""
    return outdir / "stacks" / stack / "cdk.tf.json"


def run(folder: Path, environ: Mapping[str, str], command: str, *arguments: str, timeout: float = TIMEOUT) -> Done:
    """Run one Terraform command in the folder of a stack, whatever comes of it."""
    plain = [] if command in ("show", "state") else ["-no-color"]
    return _run(["terraform", command, *arguments, *plain], folder, environ, timeout)


def last(text: str) -> str:
    """The end of what a command said, without the frames that Terraform draws."""
    lines = [line for line in text.splitlines() if line.strip(" │╷╵")]
    return "\n".join(lines[-25:])


def version() -> str:
    """Terraform's own version."""
    try:
        done = _run(["terraform", "version", "-json"], REPOSITORY, variables(REPOSITORY, REPOSITORY))
        return str(json.loads(done.stdout)["terraform_version"])
    except (OSError, ValueError, KeyError):
        return "unknown"


def _run(command: Sequence[str], folder: Path, environ: Mapping[str, str], timeout: float = TIMEOUT) -> Done:
    try:
        return subprocess.run(
            command, cwd=folder, env=environ, text=True, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise HoldfastError(
            f"{' '.join(command)} in {folder} took more than {timeout} s; is the cloud's API up?"
        ) from None
    except FileNotFoundError:
        raise HoldfastError(f"{command[0]} is not installed; install it with: make setup") from None
