"""Tags of a team, and placement, with the real provider: what a change of them does to what is there.

One environment, up to its first zone, which two nodes share, goes through its life in the order of these tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.drill.emulated import Terraform, driven, reporting, written
from holdfast.ops import cloud
from holdfast.topology import Environment, names
from holdfast.twin.api import Api

pytestmark = pytest.mark.long

TEXT = """\
name: team
region: eu-central-1
zones: [a, b, c]
network: {{cidr: 10.79.0.0/16, nat: one}}
layout: {{kind: compact, nodes: 5}}
images: baked
machines: {{node: {{type: t3.small}}}}
redis: {{memory: 256MB}}
cloud: {{endpoint: "{endpoint}", node_endpoint: "{endpoint}"}}
tags: {tags}
protected: false
"""
BEFORE, AFTER = {"CostCentre": "4711"}, {"CostCentre": "4712", "Team": "shop"}
ROWS = [["network", "identity"], ["zone-a", "names"]]
STACKS = [stack for row in ROWS for stack in row]
MANY = {f"tag{number}": "x" for number in range(35)}


@pytest.fixture(scope="module")
def environment(own_api: Api, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    text = TEXT.format(endpoint=own_api.url, tags=json.dumps(BEFORE))
    return written(tmp_path_factory.mktemp("team"), "team", text)


@pytest.fixture(scope="module")
def terraform(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    folder = next(tmp_path_factory.getbasetemp().glob("team*"))
    with reporting(environment):
        yield driven(folder, "team")


def edit(terraform: Terraform, own_api: Api, tags: dict[str, str]) -> None:
    (terraform.folder / "team.yaml").write_text(TEXT.format(endpoint=own_api.url, tags=json.dumps(tags)))
    terraform.synth()


def without_group(terraform: Terraform) -> None:
    """As a zone was synthesised before there were placement groups."""
    file = terraform.stack("zone-a") / "cdk.tf.json"
    content = json.loads(file.read_text())
    del content["resource"]["aws_placement_group"]
    for instance in content["resource"]["aws_instance"].values():
        del instance["placement_group"]
    file.write_text(json.dumps(content))


def test_machines_of_before_are_placed_apart_by_being_replaced(terraform: Terraform, environment: Environment) -> None:
    without_group(terraform)
    terraform.each(terraform.apply, ROWS)
    terraform.synth()
    again = ["delete", "create"]
    assert terraform.plan("zone-a") == {
        "aws_placement_group.spread": ["create"],
        "aws_instance.team-a1": again,
        "aws_instance.team-a2": again,
        "aws_cloudwatch_metric_alarm.team-a1-status": ["update"],
        "aws_cloudwatch_metric_alarm.team-a2-status": ["update"],
        "terraform_data.gate": again,
    }
    terraform.apply("zone-a")
    there = {it["InstanceId"]: it["Placement"]["GroupName"] for it in running(environment)}
    assert list(there.values()) == ["holdfast-team-spread.a"] * 2


def running(environment: Environment) -> list[dict[str, Any]]:
    wanted = [{"Name": "instance-state-name", "Values": ["running"]}]
    found = cloud.client(environment, "ec2").describe_instances(Filters=wanted)["Reservations"]
    return [instance for reservation in found for instance in reservation["Instances"]]


def tagged(environment: Environment) -> dict[str, dict[str, str]]:
    """Of things that are not all in one service, their tags."""
    ec2, iam = cloud.client(environment, "ec2"), cloud.client(environment, "iam")
    s3, secrets = cloud.client(environment, "s3"), cloud.client(environment, "secretsmanager")
    route53, kms = cloud.client(environment, "route53"), cloud.client(environment, "kms")
    here = [{"Name": "tag:Environment", "Values": ["team"]}]
    bucket = names.bucket(environment)
    (zone,) = route53.list_hosted_zones()["HostedZones"]
    zone_id = zone["Id"].removeprefix("/hostedzone/")
    found: dict[str, list[Any]] = {
        "group": ec2.describe_placement_groups(Filters=here)["PlacementGroups"][0]["Tags"],
        "role": iam.list_role_tags(RoleName="holdfast-team.a1")["Tags"],
        "profile": iam.get_instance_profile(InstanceProfileName="holdfast-team.a1")["InstanceProfile"]["Tags"],
        "bucket": s3.get_bucket_tagging(Bucket=bucket)["TagSet"],
        "object": s3.get_object_tagging(Bucket=bucket, Key=names.MEMBERS_KEY)["TagSet"],
        "secret": secrets.describe_secret(SecretId=names.secret(environment, "app"))["Tags"],
        "zone": route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone_id)["ResourceTagSet"]["Tags"],
    }
    for volume in ec2.describe_volumes(Filters=here)["Volumes"]:
        found[f"volume {volume['VolumeId']}"] = volume["Tags"]
    for interface in ec2.describe_network_interfaces(Filters=here)["NetworkInterfaces"]:
        found[f"interface {interface['NetworkInterfaceId']}"] = interface["TagSet"]
    for instance in running(environment):
        found[f"instance {instance['InstanceId']}"] = instance["Tags"]
    (key,) = [it["TargetKeyId"] for it in kms.list_aliases()["Aliases"] if it["AliasName"] == "alias/holdfast-team-key"]
    given = {what: {tag["Key"]: tag["Value"] for tag in tags} for what, tags in found.items()}
    return given | {"key": {it["TagKey"]: it["TagValue"] for it in kms.list_resource_tags(KeyId=key)["Tags"]}}


def test_the_team_s_tags_are_on_everything(terraform: Terraform, environment: Environment) -> None:
    given = tagged(environment)
    # Two machines, each with two volumes and an interface.
    assert len(given) == 8 + 2 * 4
    assert [what for what, tags in given.items() if not BEFORE.items() <= tags.items()] == []


def test_a_change_of_tags_replaces_nothing(terraform: Terraform, environment: Environment, own_api: Api) -> None:
    edit(terraform, own_api, AFTER)
    planned = terraform.plans(STACKS)
    assert all(planned.values())
    assert {tuple(actions) for changes in planned.values() for actions in changes.values()} == {("update",)}
    assert not [it for changes in planned.values() for it in changes if "policy" in it or "terraform_data" in it]
    terraform.each(terraform.apply, ROWS)
    left = {what: tags for what, tags in tagged(environment).items() if not AFTER.items() <= tags.items()}
    # Root volumes: the provider gives them the default tags when it makes them, and does not change these.
    assert [what.split()[0] for what in left] == ["volume"] * 2
    assert not any("Volume" in tags for tags in left.values())


def test_what_takes_ten_tags_has_the_team_s_no_more(
    terraform: Terraform, environment: Environment, own_api: Api
) -> None:
    edit(terraform, own_api, MANY)
    terraform.each(terraform.apply, [["identity", "names"]])
    given = tagged(environment)
    assert MANY.items() <= given["bucket"].items()
    assert set(given["object"]) == set(given["zone"]) == {"Project", "Environment", "ManagedBy", "Name"}
    assert terraform.plan("identity") == {}
