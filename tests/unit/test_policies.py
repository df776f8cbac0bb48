"""The policies of `holdfast policies`: what each type of resource takes, their sizes, and what cannot be made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast import cli
from holdfast.ops.policies import limits, resources, roles, size
from holdfast.ops.policies.roles import ROLES, managed
from holdfast.topology import Environment, environment_files, load_environment

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
TYPES = Path(__file__).parents[2] / "stacks" / "bindings" / "resources.txt"
BOUNDARY = "arn:aws:iam::123456789012:policy/holdfast-prod-boundary"
FILES = [*environment_files(ENVIRONMENTS), *environment_files(ENVIRONMENTS / "examples")]


def bounded(environment: Environment) -> Environment:
    cloud = environment.cloud.model_copy(update={"permissions_boundary": BOUNDARY})
    return environment.model_copy(update={"cloud": cloud})


def test_every_type_of_resource_that_the_stacks_make_is_known_and_no_other() -> None:
    listed = [line.split() for line in TYPES.read_text().splitlines() if not line.startswith("#")]
    assert set(resources.RESOURCES) == {name for kind, name in listed if kind == "resource"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_policy_is_one_that_iam_takes(file: Path) -> None:
    made = managed(bounded(load_environment(file)), sorted(ROLES))
    assert {name: size.length(it) for name, it in made.items() if size.length(it) > size.LIMIT} == {}
    of_deploy = [name for name in made if "-deploy" in name]
    assert len(of_deploy) <= 3
    for document in made.values():
        sids = [statement["Sid"] for statement in document["Statement"]]
        assert len(sids) == len(set(sids))
        assert all(sid.isalnum() for sid in sids)
    # One boundary is all that a role has.
    assert [name for name in made if "-boundary" in name] == [f"holdfast-{file.stem}-boundary"]


def test_the_longest_name_fits_too() -> None:
    prod = load_environment(ENVIRONMENTS / "prod.yaml")
    longest = bounded(prod.model_copy(update={"name": "a-name-of-20-letters", "region": "ap-southeast-2"}))
    assert all(size.length(it) <= size.LIMIT for it in managed(longest, sorted(ROLES)).values())


def test_no_statement_lets_something_be_made_in_what_is_anybodys() -> None:
    """A request's tags count for all that it is about: `vpc/*` beside CreateSubnet would open every network."""
    for limit in limits._makers():
        made = {kind for action in limit.actions for kind in limits.MAKES[action]}
        for action in limit.actions:
            assert not made & set(limits.WITHIN.get(action, ())), (limit.sid, action)


def test_no_limit_is_of_what_nobody_is_allowed() -> None:
    known = {action for limit in limits.LIMITS for action in limit.actions} | set(limits.UNLIMITED)
    assert known - (resources.to_deploy() | roles.LOOKS | roles.RUNS) == set()


def test_an_action_that_nobody_limited_is_told() -> None:
    place = limits.Place.of(bounded(load_environment(ENVIRONMENTS / "prod.yaml")))
    with pytest.raises(KeyError, match="ec2:CreateEverything"):
        limits.statements(place, {"ec2:CreateVpc", "ec2:CreateEverything"})


def test_a_statement_that_is_too_long_is_told() -> None:
    statement = {"Sid": "Long", "Effect": "Allow", "Action": ["ec2:A" * 2000], "Resource": ["*"]}
    with pytest.raises(size.HoldfastError, match="the statement Long has 10,"):
        size.pack([statement])


def test_without_a_boundary_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policies", "prod"]) == 2
    assert "prod: found no cloud.permissions_boundary; write into its file the ARN" in " ".join(
        capsys.readouterr().err.split()
    )


def test_they_are_written_as_files_that_iam_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "prod.yaml"
    bound = f'cloud: {{account: "123456789012", permissions_boundary: "{BOUNDARY}"}}\n'
    file.write_text((ENVIRONMENTS / "prod.yaml").read_text() + bound)
    assert cli.main(["policies", str(file), "--role", "boundary", "--output", str(tmp_path / "made")]) == 0
    written = tmp_path / "made" / "holdfast-prod-boundary.json"
    assert json.loads(written.read_text())["Version"] == "2012-10-17"
    assert capsys.readouterr().out.startswith(f"{written}: ")
    assert cli.main(["policies", str(file), "--role", "renew"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["holdfast-prod-renew"]
