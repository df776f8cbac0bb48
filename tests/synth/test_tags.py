"""A team's own tags: on everything, and what a node may do does not follow them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.topology.names import OWN_TAGS, TESTSTACK_TAGS
from tests.synth.test_texts import problems, resources, tags

Stacks = dict[str, dict[str, Any]]

TEAM = {"CostCentre": "4711", "Team": "Größe 日本"}
NETWORK = {"cidr": "10.40.0.0/16"}
"""With names."""


def many(count: int) -> dict[str, str]:
    return {f"tag{number}": "x" for number in range(count)}


def test_everything_that_has_tags_has_the_team_s(synth: Callable[..., Stacks]) -> None:
    stacks = synth(tags=TEAM, network=NETWORK)
    assert list(problems(stacks)) == []
    for address, kind, resource in resources(stacks):
        if kind.startswith("aws_"):
            assert "override_provider" not in resource, address
            assert TEAM.items() <= tags(stacks[address.partition(":")[0]], resource).items(), address


def test_nothing_but_tags_changes_with_them(synth: Callable[..., Stacks]) -> None:
    """Nor a condition of a policy, nor user-data, nor what a deploy runs again."""
    for team in (TEAM, many(35)):
        before, after = synth(network=NETWORK), synth(network=NETWORK, tags=team)
        there = {address: resource for address, _, resource in resources(before)}
        for address, kind, resource in resources(after):
            changed = {key for key in resource if resource[key] != there[address].get(key)}
            assert changed <= ({"tags", "override_provider"} if kind == "aws_s3_object" else set()), address


def test_what_takes_ten_has_the_team_s_where_all_fit(synth: Callable[..., Stacks]) -> None:
    own = {"Project", "Environment", "ManagedBy"}
    for count, given in ((6, set(many(6))), (7, set())):
        stacks = synth(tags=many(count), network=NETWORK)
        (zone,) = stacks["local-names"]["resource"]["aws_route53_zone"].values()
        assert set(tags(stacks["local-names"], zone)) == own | given | {"Name"}
        for thing in stacks["local-identity"]["resource"]["aws_s3_object"].values():
            if given:
                assert given <= set(tags(stacks["local-identity"], thing))
            else:
                assert thing["override_provider"] == {"default_tags": {"tags": {}}}
                assert set(thing["tags"]) == own | {"Name"}
        (key,) = stacks["local-identity"]["resource"]["aws_kms_key"].values()
        assert set(many(count)) <= set(tags(stacks["local-identity"], key))


def test_a_tag_of_ours_is_one_that_a_team_may_not_have(stacks: Stacks) -> None:
    test = {"Owner", "Run", "Expires"}
    given = {tag for address, kind, it in resources(stacks) for tag in tags(stacks[address.partition(":")[0]], it)}
    for _, _, resource in resources(stacks):
        given |= set(resource.get("root_block_device", {}).get("tags", {}))
    # The example that is in a team's network has the team's tags.
    assert (given - {"CostCentre", "Team"}) | test == OWN_TAGS | TESTSTACK_TAGS
