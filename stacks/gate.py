"""The health gate that ends a stack: a deploy goes on only once the nodes are back in sync."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from cdktf import LocalExecProvisioner, TerraformResource

from stacks.base import REPOSITORY, Stack

FIND_HOLDFAST = 'PATH="$PWD/.venv/bin:$PATH"'


def zone_gate(stack: Stack, instances: Mapping[str, str]) -> None:
    """Hold until each node (name → instance id) is ready as that very instance."""
    expected = " ".join(f"--expect {name}={instance}" for name, instance in instances.items())
    _gate(stack, expected, instances)


def whole_gate(stack: Stack, instances: Mapping[str, str]) -> None:
    """Hold until the whole cluster is healthy."""
    _gate(stack, "--whole", instances)


def _gate(stack: Stack, arguments: str, instances: Mapping[str, str]) -> None:
    name = shlex.quote(stack.environment.name)
    # Not cdktf's own `DataResource`: that runs `terraform version` in every synth, for each stack.
    gate = TerraformResource(
        stack,
        "gate",
        terraform_resource_type="terraform_data",
        provisioners=[
            LocalExecProvisioner(
                type="local-exec",
                command=f"{FIND_HOLDFAST} holdfast gate {name} {arguments}",
                working_dir=stack.from_here(REPOSITORY),
            )
        ],
    )
    gate.add_override("triggers_replace", dict(instances))
