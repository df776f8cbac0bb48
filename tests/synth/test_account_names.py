"""Names that are the whole account's, or the world's: no two things share one, and each is as long as AWS takes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from holdfast.topology import find_environment, load_environment, names

Stacks = dict[str, dict[str, Any]]

NAMED = {
    "aws_cloudwatch_log_group": ("name", 512),
    "aws_cloudwatch_metric_alarm": ("alarm_name", 255),
    "aws_iam_instance_profile": ("name", 128),
    "aws_iam_role": ("name", 64),
    "aws_kms_alias": ("name", 256),
    "aws_placement_group": ("name", 255),
    "aws_route53_zone": ("name", 255),
    "aws_s3_bucket": ("bucket", 63 - len("-state")),
    "aws_secretsmanager_secret": ("name", 512),
    "aws_sns_topic": ("name", 256),
}
"""Kind → where its name is, and how long AWS takes it."""

NAMED_WITHIN = {
    "aws_iam_role_policy": "its role",
    "aws_route53_record": "its zone",
    "aws_s3_object": "its bucket",
    "aws_security_group": "its network",
}
"""Kinds whose names need to differ only within something else."""

MACHINE = {"type": "t3.small"}
LAYOUTS: dict[str, dict[str, Any]] = {
    "compact": {"layout": "compact", "machines": {"node": MACHINE}},
    "tiered": {"layout": "tiered", "machines": {"data": MACHINE, "gateway": MACHINE, "sentinel": MACHINE}},
}


LOCAL = load_environment(find_environment("local"))
FULL: dict[str, Any] = {
    "network": LOCAL.network.model_dump(mode="json") | {"domain": None},
    "tls": {"mode": "required"},
}
"""Besides, so that there is one of every kind."""


def account_wide(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for stack, content in stacks.items():
        yield "stack", stack
        for kind, resources in content.get("resource", {}).items():
            for resource in resources.values():
                if kind in NAMED:
                    yield kind, resource[NAMED[kind][0]]
                elif kind not in NAMED_WITHIN:
                    assert not {"name", "bucket", "alarm_name"} & resource.keys() or "bucket" in kind, kind


@pytest.mark.parametrize(
    "longer", ["data", "gateway", "sentinel", "zone", "network", "alarms", "flows", "key", "state"]
)
def test_no_two_environments_share_a_name(synth: Callable[..., Stacks], longer: str) -> None:
    owners = defaultdict(set)
    for environment, layout in (("prod", "tiered"), (f"prod-{longer}", "compact"), (f"prod-{longer}-a1", "tiered")):
        found = list(account_wide(synth(name=environment, **FULL, **LAYOUTS[layout])))
        assert len(found) == len(set(found)), "two things of one environment"
        for name in found:
            owners[name].add(environment)
    assert [name for name, of in owners.items() if len(of) > 1] == []
    assert {kind for kind, _ in owners} == {"stack", *NAMED}


def test_no_two_buckets_share_a_name() -> None:
    prod = load_environment(find_environment("prod"))
    parts = ["prod", "eu", "west", "a1", "eu-west-1", "state"]
    environments = [
        prod.model_copy(
            update={"name": name, "region": region, "cloud": prod.cloud.model_copy(update={"suffix": suffix})}
        )
        for name in {"-".join(some) for length in (1, 2, 3) for some in product(parts, repeat=length)}
        for region in ("eu-west-1", "eu-central-1", "us-west-1", "us-east-1")
        for suffix in ("state", "1", "s1")
    ]
    found = [names.bucket(it) for it in environments] + [names.state_bucket(it) for it in environments]
    assert [name for name, times in Counter(found).items() if times > 1] == []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["abc", "a" * 20])
def test_the_longest_name_of_an_environment_fits_everywhere(
    synth: Callable[..., Stacks], layout: str, name: str
) -> None:
    cloud = LOCAL.cloud.model_dump(mode="json") | {"suffix": "s" * 12}
    changes = FULL | {"region": "ap-southeast-2", "cloud": cloud, "applications": {"u" * 31: {}}}
    for kind, found in account_wide(synth(name=name, **changes, **LAYOUTS[layout])):
        if kind != "stack":
            assert len(found) <= NAMED[kind][1], found
