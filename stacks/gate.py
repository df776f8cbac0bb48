"""The health gate that ends a stack: a deploy goes on only once the nodes are back in sync."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from cdktf import TerraformResource

from stacks.base import Stack, holdfast


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
        provisioners=[holdfast(stack, f"gate {name} {arguments}")],
    )
    gate.add_override("triggers_replace", dict(instances))
