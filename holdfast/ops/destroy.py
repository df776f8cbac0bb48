"""Destroys what a Terraform state records, from the state alone: no environment file, no synthesis, no refusals.

Refusals (`prevent_destroy`, a stack's `refusal`) are part of the configuration, not of the state. Here nothing is
configured but where the state is and how to reach the cloud, and what is not configured Terraform destroys.
"""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
from dataclasses import dataclass
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.mirror import PROVIDER_VERSION, REPOSITORY, lock_provider, tool_environment
from holdfast.ops.terraform import last
from holdfast.topology import emulation, names

FOLDER = REPOSITORY / ".holdfast" / "destroy"

GRACE = 120
"""Seconds for Terraform to write its state after it was told to stop."""

LOCK_PATIENCE = "60s"


class DestroyFailed(HoldfastError):
    """Terraform did not destroy all that a state records."""


@dataclass(frozen=True)
class Place:
    """Where the state of a stack is, and the cloud that it speaks of."""

    stack: str
    region: str
    bucket: str | None
    """None: a file on this machine."""
    endpoint: str | None
    """Of an emulation; None for AWS."""
    account: str | None = None
    """Where it may be; None: anywhere."""


def destroy(place: Place, *, patience: float, lock: bool = True) -> None:
    """Destroy all that the state at `place` records.

    `patience`: seconds. The provider waits up to twenty minutes for a subnet in which something is left.
    `lock`: respect the lock of the state.

    Raises:
        DestroyFailed: with what Terraform said.
    """
    FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (FOLDER / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # one folder for all, since each would have its own copy of the provider
        (FOLDER / "main.tf.json").write_text(json.dumps(configuration(place), indent=2), encoding="utf-8")
        lock_provider(FOLDER)
        _terraform(place.stack, patience, "init", "-reconfigure")
        locking = f"-lock-timeout={LOCK_PATIENCE}" if lock else "-lock=false"
        _terraform(place.stack, patience, "destroy", "-auto-approve", locking)


def configuration(place: Place) -> dict[str, Any]:
    """The content of a `.tf.json`: backend and provider, and nothing else."""
    key = names.state_key(place.stack)
    allowed = {} if place.account is None else {"allowed_account_ids": [place.account]}
    backend: dict[str, Any] = {"local": {"path": str(names.LOCAL_STATE / key)}}
    if place.bucket is not None:
        where = {"bucket": place.bucket, "key": key, "region": place.region}
        backend = {"s3": {**where, **allowed, "use_lockfile": True}}
    provider: dict[str, Any] = {"region": place.region, **allowed}
    if place.endpoint is not None:
        provider |= emulation.provider() | {"endpoints": emulation.endpoints(place.endpoint)}
    required = {"aws": {"source": "hashicorp/aws", "version": PROVIDER_VERSION}}
    return {"terraform": {"backend": backend, "required_providers": required}, "provider": {"aws": [provider]}}


def _terraform(stack: str, patience: float, command: str, *arguments: str) -> None:
    try:
        running = subprocess.Popen(
            ["terraform", command, *arguments, "-input=false", "-no-color"],
            cwd=FOLDER,
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
            f"terraform {command} of {stack} was stopped after {patience:.0f} s:\n{last(said)}"
        ) from None
    except KeyboardInterrupt:
        running.communicate()  # the terminal told it too: it writes its state, and ends
        raise
    if running.returncode:
        raise DestroyFailed(f"terraform {command} of {stack} failed:\n{last(said)}")


def _stop(running: subprocess.Popen[str]) -> str:
    running.send_signal(signal.SIGINT)
    try:
        return running.communicate(timeout=GRACE)[0]
    except subprocess.TimeoutExpired:
        running.kill()
        return running.communicate()[0]
