"""Terraform and cdktf for test stacks: a deploy from the file, and a destruction that needs no more than a state."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.mirror import PROVIDER_VERSION, REPOSITORY, tool_environment
from holdfast.ops.terraform import last
from holdfast.ops.teststacks.clouds import Cloud
from holdfast.ops.teststacks.recorded import State
from holdfast.topology import Environment, emulation, names

FOLDER = REPOSITORY / ".holdfast" / "teststacks"

GRACE = 120
"""Seconds for Terraform to write its state after it was told to stop."""


class DestroyFailed(HoldfastError):
    """Terraform did not destroy all that a state records."""


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


def destroy(cloud: Cloud, state: State, *, patience: float, lock: bool) -> None:
    """Destroy all that `state` records, from the state alone: no file, no synthesis, no refusals.

    `patience`: seconds. The provider waits up to twenty minutes for a subnet in which something is left.

    Raises:
        DestroyFailed: with what Terraform said.
    """
    folder = FOLDER / "destroy"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # one folder for all, since each would have its own copy of the provider
        file = folder / "main.tf.json"
        file.write_text(json.dumps(_configuration(cloud, state), indent=2), encoding="utf-8")
        _terraform(state, folder, patience, "init", "-reconfigure")
        _terraform(state, folder, patience, "destroy", "-auto-approve", f"-lock={str(lock).lower()}")


def _configuration(cloud: Cloud, state: State) -> dict[str, Any]:
    """Nothing but where the state is and how to reach the cloud: what is not here any more Terraform destroys."""
    key = names.state_key(state.stack)
    backend: dict[str, Any] = {"local": {"path": str(names.LOCAL_STATE / key)}}
    if state.bucket is not None:
        backend = {"s3": {"bucket": state.bucket, "key": key, "region": state.region, "use_lockfile": True}}
    provider: dict[str, Any] = {"region": state.region}
    if cloud.endpoint is not None:
        provider |= emulation.PROVIDER | {"endpoints": emulation.endpoints(cloud.endpoint)}
    required = {"aws": {"source": "hashicorp/aws", "version": PROVIDER_VERSION}}
    return {"terraform": {"backend": backend, "required_providers": required}, "provider": {"aws": [provider]}}


def _terraform(state: State, folder: Path, patience: float, command: str, *arguments: str) -> None:
    try:
        running = subprocess.Popen(
            ["terraform", command, *arguments, "-input=false", "-no-color"],
            cwd=folder,
            env=tool_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except FileNotFoundError:
        raise HoldfastError("terraform is not installed; install it with: make setup") from None
    try:
        said, _ = running.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        said = _stop(running)
        raise DestroyFailed(
            f"terraform {command} of {state.stack} was stopped after {patience:.0f} s:\n{last(said)}"
        ) from None
    except KeyboardInterrupt:
        running.communicate()  # the terminal told it too: it writes its state, and ends
        raise
    if running.returncode:
        raise DestroyFailed(f"terraform {command} of {state.stack} failed:\n{last(said)}")


def _stop(running: subprocess.Popen[str]) -> str:
    running.send_signal(signal.SIGINT)
    try:
        return running.communicate(timeout=GRACE)[0]
    except subprocess.TimeoutExpired:
        running.kill()
        return running.communicate()[0]
