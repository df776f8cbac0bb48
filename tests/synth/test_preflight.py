"""What `holdfast preflight` counts is what the stacks have."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from holdfast.ops.preflight.quotas import _secrets, rules
from holdfast.topology import environment_files, load_environment
from holdfast.topology.load import ENVIRONMENTS

Stacks = dict[str, dict[str, Any]]
FILES = [*environment_files(ENVIRONMENTS), *environment_files(ENVIRONMENTS / "examples")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_rules_and_secrets_are_counted(file: Path, stacks: Stacks) -> None:
    environment = load_environment(file)
    made = stacks[f"{environment.name}-network"]["resource"]["aws_vpc_security_group_ingress_rule"].values()
    assert rules(environment) == max(Counter(rule["security_group_id"] for rule in made).values())
    assert _secrets(environment) == len(stacks[f"{environment.name}-identity"]["resource"]["aws_secretsmanager_secret"])
