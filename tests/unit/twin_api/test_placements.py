"""Placement groups: seven machines of a group run in a zone, and one in use stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import IMAGE, Cloud, refused

APART = {"GroupName": "apart", "Strategy": "spread"}


def machine(cloud: Cloud, interface: str, **more: Any) -> dict[str, Any]:
    attached = [{"DeviceIndex": 0, "NetworkInterfaceId": interface}]
    wanted = {"ImageId": IMAGE, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}
    return {**wanted, "NetworkInterfaces": attached, "Placement": {"GroupName": "apart"}, **more}


def run(cloud: Cloud, subnet: str, **more: Any) -> str:
    made = cloud.ec2.run_instances(**machine(cloud, cloud.interface(subnet), **more))
    return str(made["Instances"][0]["InstanceId"])


def test_a_machine_says_its_group_and_a_group_its_tags(instant: Api) -> None:
    cloud = Cloud(instant)
    tags = [{"Key": "Team", "Value": "shop"}]
    made = cloud.ec2.create_placement_group(
        **APART, TagSpecifications=[{"ResourceType": "placement-group", "Tags": tags}]
    )["PlacementGroup"]
    assert cloud.described(run(cloud, cloud.a))["Placement"]["GroupName"] == "apart"
    (found,) = cloud.ec2.describe_placement_groups(GroupNames=["apart"])["PlacementGroups"]
    assert found == made
    assert (found["Strategy"], found["State"], found["Tags"]) == ("spread", "available", tags)
    cloud.ec2.create_tags(Resources=[found["GroupId"]], Tags=[{"Key": "Cost", "Value": "1"}])
    (found,) = cloud.ec2.describe_placement_groups(GroupIds=[found["GroupId"]])["PlacementGroups"]
    assert {"Key": "Cost", "Value": "1"} in found["Tags"]
    filters = [{"Name": "tag:Team", "Values": ["other"]}]
    assert cloud.ec2.describe_placement_groups(Filters=filters)["PlacementGroups"] == []


def test_what_is_not_there_or_there_already_is_refused(instant: Api) -> None:
    cloud = Cloud(instant)
    interface = cloud.interface(cloud.a)
    assert refused(cloud.ec2.run_instances, **machine(cloud, interface)) == "InvalidPlacementGroup.Unknown"
    assert refused(cloud.ec2.delete_placement_group, GroupName="apart") == "InvalidPlacementGroup.Unknown"
    assert refused(cloud.ec2.describe_placement_groups, GroupNames=["apart"]) == "InvalidPlacementGroup.Unknown"
    cloud.ec2.create_placement_group(**APART)
    assert refused(cloud.ec2.create_placement_group, **APART) == "InvalidPlacementGroup.Duplicate"


def test_an_eighth_machine_of_a_group_does_not_run_in_a_zone(instant: Api) -> None:
    cloud = Cloud(instant)
    cloud.ec2.create_placement_group(**APART)
    first, *_, seventh = [run(cloud, cloud.a, ClientToken=f"token{number}") for number in range(7)]
    interface = cloud.interface(cloud.a)
    assert refused(cloud.ec2.run_instances, **machine(cloud, interface)) == "InvalidParameterValue"
    again = machine(cloud, interface, ClientToken="token6")
    assert cloud.ec2.run_instances(**again)["Instances"][0]["InstanceId"] == seventh, "asked twice, and made once"
    run(cloud, cloud.b)
    cloud.ec2.stop_instances(InstanceIds=[first])
    eighth = run(cloud, cloud.a)
    assert refused(cloud.ec2.start_instances, InstanceIds=[first]) == "InvalidParameterValue"
    cloud.ec2.terminate_instances(InstanceIds=[eighth])
    cloud.ec2.start_instances(InstanceIds=[first])


def test_a_group_in_use_stays_and_outlives_the_daemon(instant: Api, tmp_path: Path) -> None:
    cloud = Cloud(instant)
    cloud.ec2.create_placement_group(**APART)
    instance = run(cloud, cloud.a)
    instant.save(tmp_path / "state")
    instant.load(tmp_path / "state")
    assert refused(cloud.ec2.delete_placement_group, GroupName="apart") == "InvalidPlacementGroup.InUse"
    cloud.ec2.terminate_instances(InstanceIds=[instance])
    cloud.ec2.delete_placement_group(GroupName="apart")
    assert cloud.ec2.describe_placement_groups()["PlacementGroups"] == []
