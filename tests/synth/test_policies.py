"""Policies are as long as AWS takes them, whatever the environment file has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from holdfast.topology import Cluster, Environment, Problem, find_environment, load_environment
from stacks.access import LIMIT, SPARE, check_policies, length

Stacks = dict[str, dict[str, Any]]

LIMITS = {
    ("aws_iam_role", "assume_role_policy"): 2_048,
    ("aws_iam_role_policy", "policy"): LIMIT - SPARE,
    ("aws_kms_key", "policy"): 32_768,
    ("aws_s3_bucket_policy", "policy"): 20_480,
    ("aws_vpc_endpoint", "policy"): 20_480,
}
"""Characters; of a bucket's and an endpoint's, bytes."""


def _longest(reference: re.Match[str]) -> str:
    """Stands for what is known only when a policy is applied."""
    account = "0" * 12
    return account if "account_id" in reference[0] else f"arn:aws:kms:ap-southeast-2:{account}:key/{'0' * 36}"


def policies(stacks: Stacks) -> Iterator[tuple[str, tuple[str, str], int]]:
    for stack, content in stacks.items():
        for kind, resources in content.get("resource", {}).items():
            for name, resource in resources.items():
                for attribute in {"policy", "assume_role_policy"} & resource.keys():
                    document = json.loads(re.sub(r"\$\{[^}]+\}", _longest, resource[attribute]))
                    yield f"{stack}/{name}", (kind, attribute), length(document)


def test_every_policy_of_every_environment_and_example_fits(stacks: Stacks) -> None:
    found = list(policies(stacks))
    assert [(where, size) for where, kind, size in found if size > LIMITS[kind]] == []
    assert {kind for _, kind, _ in found} == LIMITS.keys()


MACHINE = {"type": "t3.medium"}


def largest(applications: int, **more: Any) -> dict[str, Any]:
    """The longest names, all of it switched on."""
    local = load_environment(find_environment("local"))
    return {
        "name": "e" * 20,
        "region": "ap-southeast-2",
        "network": local.network.model_dump(mode="json") | {"domain": None},
        "cloud": local.cloud.model_dump(mode="json") | {"suffix": "s" * 12},
        "layout": {"kind": "tiered", "data": 5, "gateways": 5, "sentinels": 5},
        "machines": {"data+gateway+sentinel": MACHINE},
        "applications": {f"{number:03}".rjust(31, "u"): {} for number in range(applications)},
        "tls": {"mode": "required", "mutual": True},
        **more,
    }


def cluster(**changes: Any) -> Cluster:
    local = load_environment(find_environment("local")).model_dump(mode="json")
    return Cluster.of(Environment.model_validate(local | {"redis": {"memory": "256MB"}} | changes))


def test_the_largest_environment_fits_and_one_application_more_is_refused_before_aws_does(
    synth: Callable[..., Stacks],
) -> None:
    most = next(number for number in range(1, 500) if check_policies(cluster(**largest(number + 1))))
    assert most >= 37
    found = list(policies(synth(**largest(most))))
    assert [(where, size) for where, kind, size in found if size > LIMITS[kind]] == []
    (problem,) = check_policies(cluster(**largest(most + 1)))
    assert problem.path == "applications"
    assert problem.found.startswith(f"{most + 1}, with which the policy of {'e' * 20}-data-a1 has 9,")
    assert "9,728 characters fit" in problem.accepted


@pytest.mark.parametrize("layout", ["compact", "single"])
def test_with_few_applications_there_is_no_problem(layout: str) -> None:
    changes = largest(10, layout=layout, machines={"node": MACHINE})
    problems: list[Problem] = check_policies(cluster(**changes))
    assert problems == []
