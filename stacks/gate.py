"""The health gate that ends a stack: a deploy goes on only once the nodes are back in sync."""

from __future__ import annotations

from collections.abc import Mapping

from cdktf import TerraformResource

from stacks.base import Stack, run_holdfast


def zone_gate(stack: Stack, instances: Mapping[str, str]) -> None:
    """Hold until each node (name → instance id) is ready as that very instance."""
    expected = " ".join(f"--expect {name}={instance}" for name, instance in instances.items())
    run_holdfast(stack, "gate", "gate", instances, options=expected)


def whole_gate(stack: Stack, instances: Mapping[str, str]) -> TerraformResource:
    """Hold until the whole cluster is healthy."""
    return run_holdfast(stack, "gate", "gate", instances, options="--whole")
