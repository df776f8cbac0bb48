"""The permissions boundary: on every role that the stacks make, and wide enough for what these allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.ops.policies.roles import managed
from holdfast.topology import Cluster, environment_files, load_environment
from holdfast.topology.load import ENVIRONMENTS
from holdfast.twin.api.policies import Need, grant
from stacks.access import Scope, node_policy

Stacks = dict[str, dict[str, Any]]
ACCOUNT = "123456789012"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/holdfast-local-boundary"
SECRETS = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret"
FILES = [*environment_files(ENVIRONMENTS), *environment_files(ENVIRONMENTS / "examples")]


def roles(stacks: Stacks) -> Iterator[tuple[str, dict[str, Any]]]:
    for stack in stacks.values():
        yield from stack.get("resource", {}).get("aws_iam_role", {}).items()


def test_every_role_is_bounded_where_the_file_says_so(synth: Callable[..., Stacks], stacks: Stacks) -> None:
    cloud = {"endpoint": "http://127.0.0.1:5599", "node_endpoint": "http://198.51.100.1:5599"}
    bounded = dict(roles(synth(cloud=cloud | {"permissions_boundary": BOUNDARY})))
    assert sorted(bounded) == ["flows-role", "local-a1-role", "local-b1-role", "local-c1-role"]
    assert {name: role["permissions_boundary"] for name, role in bounded.items()} == dict.fromkeys(bounded, BOUNDARY)
    assert not [name for name, role in roles(stacks) if "permissions_boundary" in role]


def flattened(condition: dict[str, dict[str, Any]]) -> Iterator[dict[str, str]]:
    """Contexts in which it holds: one for each of the values that a key may have."""
    contexts: list[dict[str, str]] = [{}]
    for operator, keys in condition.items():
        for key, value in keys.items():
            # `Null` of what is there.
            values = ["*"] if operator == "Null" else value if isinstance(value, list) else [value]
            contexts = [{**context, key: one} for context in contexts for one in values]
    yield from contexts


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_whatever_a_node_is_allowed_is_within_the_boundary(file: Path) -> None:
    environment = load_environment(file)
    cloud = environment.cloud.model_copy(update={"permissions_boundary": BOUNDARY})
    environment = environment.model_copy(update={"cloud": cloud})
    [boundary] = managed(environment, ["boundary"]).values()
    cluster, key = Cluster.of(environment), f"arn:aws:kms:{environment.region}:{ACCOUNT}:key/{'0' * 36}"
    backups_key = None if environment.backup is None else key
    for node in cluster.nodes:
        for statement in node_policy(Scope(cluster, node, key, ACCOUNT, backups_key))["Statement"]:
            for action in as_list(statement["Action"]):
                for resource in as_list(statement["Resource"]):
                    for context in flattened(statement.get("Condition", {})):
                        need = Need(action, resource, context)
                        assert grant([boundary], need), f"{node.name}: {need}"


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/holdfast-prod.a1"),
        (
            "secretsmanager:GetSecretValue",
            f"{SECRETS}:holdfast/staging/app-abcdef",
        ),
        ("s3:DeleteObject", "arn:aws:s3:::holdfast-prod-eu-central-1-9ad88c67/reports/prod-a1.json"),
        ("ec2:TerminateInstances", f"arn:aws:ec2:eu-central-1:{ACCOUNT}:instance/i-0"),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
    ],
)
def test_the_boundary_allows_nothing_else(action: str, resource: str) -> None:
    prod = load_environment(ENVIRONMENTS / "prod.yaml")
    cloud = prod.cloud.model_copy(update={"permissions_boundary": BOUNDARY})
    [boundary] = managed(prod.model_copy(update={"cloud": cloud}), ["boundary"]).values()
    tags = {
        "aws:ResourceTag/Project": "holdfast",
        "aws:ResourceTag/Environment": "prod",
        "aws:ResourceAccount": ACCOUNT,
    }
    assert grant([boundary], Need(action, resource, tags)) is None


def as_list(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]
