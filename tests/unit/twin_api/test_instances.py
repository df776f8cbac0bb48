"""Instances: states that take time, what outlives them, and what they may be."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from holdfast.topology.instances import BUILT_IN, described
from holdfast.twin.api import Api, instances
from holdfast.twin.view import Attachment
from tests.unit.twin_api.cloud import IMAGE, REGION, Cloud, client, refused


def test_states_take_as_long_as_the_machine(api: Api) -> None:
    cloud = Cloud(api)
    instance = cloud.run(cloud.interface(cloud.a, "10.40.0.4"))
    assert cloud.described(instance)["State"]["Name"] == "pending"
    assert api.set_instance_state(instance, "running")
    assert cloud.described(instance)["State"]["Name"] == "running"
    cloud.ec2.stop_instances(InstanceIds=[instance])
    assert cloud.described(instance)["State"]["Name"] == "stopping"
    assert not api.set_instance_state(instance, "running")
    assert api.set_instance_state(instance, "stopped")
    cloud.ec2.start_instances(InstanceIds=[instance])
    assert api.view().instances[instance].state == "pending"
    cloud.ec2.terminate_instances(InstanceIds=[instance])
    assert api.view().instances[instance].state == "shutting-down"
    assert api.set_instance_state(instance, "terminated")
    assert cloud.described(instance)["State"]["Name"] == "terminated"
    assert not api.set_instance_state(instance, "running")
    assert not api.set_instance_state("i-00000000000000000", "running")


def test_without_machines_states_are_reached_at_once(instant: Api) -> None:
    cloud = Cloud(instant)
    instance = cloud.run(cloud.interface(cloud.a, "10.40.0.4"))
    assert cloud.described(instance)["State"]["Name"] == "running"
    cloud.ec2.stop_instances(InstanceIds=[instance])
    assert cloud.described(instance)["State"]["Name"] == "stopped"
    cloud.ec2.terminate_instances(InstanceIds=[instance])
    assert cloud.described(instance)["State"]["Name"] == "terminated"


def test_a_protected_instance_is_terminated_only_after_its_protection_was_lifted(instant: Api) -> None:
    cloud = Cloud(instant)
    instance = cloud.run(cloud.interface(cloud.a, "10.40.0.4"), DisableApiTermination=True)
    told = cloud.ec2.describe_instance_attribute(InstanceId=instance, Attribute="disableApiTermination")
    assert told["DisableApiTermination"] == {"Value": True}
    assert refused(cloud.ec2.terminate_instances, InstanceIds=[instance]) == "OperationNotPermitted"
    cloud.ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
    cloud.ec2.terminate_instances(InstanceIds=[instance])
    assert cloud.described(instance)["State"]["Name"] == "terminated"


def test_reboots_are_counted(api: Api) -> None:
    cloud = Cloud(api)
    instance = cloud.run(cloud.interface(cloud.a, "10.40.0.4"))
    api.set_instance_state(instance, "running")
    assert api.view().instances[instance].reboots == 0
    cloud.ec2.reboot_instances(InstanceIds=[instance])
    assert api.view().instances[instance].reboots == 1
    assert api.view().instances[instance].state == "running"


def test_a_stopping_instance_cannot_be_started(api: Api) -> None:
    cloud = Cloud(api)
    instance = cloud.run(cloud.interface(cloud.a, "10.40.0.4"))
    cloud.ec2.stop_instances(InstanceIds=[instance])
    assert refused(cloud.ec2.start_instances, InstanceIds=[instance]) == "IncorrectInstanceState"


def test_an_instance_is_in_the_zone_of_its_interface(api: Api) -> None:
    cloud = Cloud(api)
    instance = cloud.run(cloud.interface(cloud.b, "10.40.16.4"))
    assert cloud.described(instance)["Placement"]["AvailabilityZone"] == "eu-central-1b"
    assert api.view().instances[instance].zone == "eu-central-1b"


def test_interface_and_volume_outlive_the_instance(instant: Api) -> None:
    cloud = Cloud(instant)
    interface, volume = cloud.interface(cloud.a, "10.40.0.4", "10.40.0.5"), cloud.volume("a")
    instance = cloud.run(interface)
    cloud.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    assert instant.view().instances[instance].attachments == (Attachment(volume, "/dev/sdf"),)
    cloud.ec2.terminate_instances(InstanceIds=[instance])
    found = cloud.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]
    assert found["Status"] == "available"
    assert "Attachment" not in found
    assert cloud.addresses(interface) == [("10.40.0.4", True), ("10.40.0.5", False)]
    assert cloud.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available"
    assert len(cloud.ec2.describe_volumes()["Volumes"]) == 1, "the root volume is gone"
    assert cloud.run(interface)


def test_the_instance_s_own_interface_goes_with_it(instant: Api) -> None:
    cloud = Cloud(instant)
    made = cloud.ec2.run_instances(
        ImageId=IMAGE,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.small",
        NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": cloud.a, "DeleteOnTermination": True}],
    )["Instances"][0]["InstanceId"]
    assert len(cloud.ec2.describe_network_interfaces()["NetworkInterfaces"]) == 1
    cloud.ec2.terminate_instances(InstanceIds=[made])
    assert cloud.ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_an_instance_without_an_interface_of_its_own_gets_one(instant: Api) -> None:
    cloud = Cloud(instant)
    cloud.interface(cloud.a, "10.40.0.4", "10.40.0.5")
    arguments = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.small", "SubnetId": cloud.a}
    made = cloud.ec2.run_instances(**arguments)["Instances"][0]
    assert made["PrivateIpAddress"] == "10.40.0.6"
    assert refused(cloud.ec2.run_instances, **arguments, PrivateIpAddress="10.40.0.5") == "InvalidIPAddress.InUse"
    asked = cloud.ec2.run_instances(**arguments, PrivateIpAddress="10.40.0.9")["Instances"][0]
    assert asked["PrivateIpAddress"] == "10.40.0.9"
    assert len(cloud.ec2.describe_network_interfaces()["NetworkInterfaces"]) == 3
    cloud.ec2.terminate_instances(InstanceIds=[made["InstanceId"], asked["InstanceId"]])
    assert len(cloud.ec2.describe_network_interfaces()["NetworkInterfaces"]) == 1


def test_type_and_user_data_change_only_while_stopped(instant: Api) -> None:
    cloud = Cloud(instant)
    instance = cloud.run(cloud.interface(cloud.a, "10.40.0.4", "10.40.0.5", "10.40.0.6"), UserData=b"old")
    modify = cloud.ec2.modify_instance_attribute
    bigger: dict[str, Any] = {"InstanceId": instance, "InstanceType": {"Value": "t3.medium"}}
    changed: dict[str, Any] = {"InstanceId": instance, "UserData": {"Value": b"new"}}
    assert refused(modify, **bigger) == "IncorrectInstanceState"
    assert refused(modify, **changed) == "IncorrectInstanceState"
    cloud.ec2.stop_instances(InstanceIds=[instance])
    modify(**bigger)
    modify(**changed)
    assert instant.view().instances[instance].type == "t3.medium"
    assert instant.view().instances[instance].user_data == b"new"
    too_long = {"InstanceId": instance, "UserData": {"Value": b"x" * 16_385}}
    assert refused(modify, **too_long) == "InvalidParameterValue"
    too_small = {"InstanceId": instance, "InstanceType": {"Value": "t3.micro"}}
    assert refused(modify, **too_small) == "PrivateIpAddressLimitExceeded"


def test_an_instance_type_of_another_architecture_than_the_image_is_refused(instant: Api) -> None:
    cloud = Cloud(instant)
    interface = cloud.interface(cloud.a, "10.40.0.4")
    assert refused(cloud.run, interface=interface, InstanceType="t4g.small") == "InvalidParameterValue"
    instance = cloud.run(interface)
    cloud.ec2.stop_instances(InstanceIds=[instance])
    arm = {"InstanceId": instance, "InstanceType": {"Value": "t4g.small"}}
    assert refused(cloud.ec2.modify_instance_attribute, **arm) == "InvalidParameterValue"


def test_instance_types_are_described_and_those_that_are_none_refused(instant: Api) -> None:
    describe = client(instant, "ec2").describe_instance_types
    [answer] = describe(InstanceTypes=["i4i.xlarge"])["InstanceTypes"]
    assert described(answer) == BUILT_IN["i4i.xlarge"]
    assert refused(describe, InstanceTypes=["i4i.xlarge", "i4i.hugh"]) == "InvalidInstanceType"


def test_detailed_monitoring(api: Api) -> None:
    cloud = Cloud(api)
    instance = cloud.run(cloud.interface(cloud.a, "10.40.0.4"))
    for call, state in ((cloud.ec2.monitor_instances, "enabled"), (cloud.ec2.unmonitor_instances, "disabled")):
        assert call(InstanceIds=[instance])["InstanceMonitorings"][0]["Monitoring"]["State"] == state
        assert cloud.described(instance)["Monitoring"]["State"] == state


def test_a_terminated_instance_is_told_of_for_an_hour(instant: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud(instant)
    first = cloud.run(cloud.interface(cloud.a, "10.40.0.4"))
    cloud.ec2.terminate_instances(InstanceIds=[first])
    second = cloud.run(cloud.interface(cloud.a, "10.40.0.5"))
    assert set(instant.view().instances) == {first, second}
    monkeypatch.setattr(instances, "KEPT_FOR", 0)
    third = cloud.run(cloud.interface(cloud.a, "10.40.0.6"))
    assert set(instant.view().instances) == {second, third}


def test_user_data_has_a_limit(api: Api) -> None:
    cloud = Cloud(api)
    interface = cloud.interface(cloud.a, "10.40.0.4")
    assert refused(cloud.run, interface=interface, UserData=b"x" * 16_385) == "InvalidParameterValue"
    instance = cloud.run(interface, UserData=b"\x1f\x8b" + b"\xff" * 16_382)
    assert api.view().instances[instance].user_data == b"\x1f\x8b" + b"\xff" * 16_382


def test_role_and_its_credentials(api: Api) -> None:
    cloud, iam = Cloud(api), client(api, "iam")
    iam.create_role(RoleName="holdfast-local-node", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="nodes")
    iam.add_role_to_instance_profile(InstanceProfileName="nodes", RoleName="holdfast-local-node")
    instance = cloud.run(cloud.interface(cloud.a, "10.40.0.4"), IamInstanceProfile={"Name": "nodes"})
    assert api.view().instances[instance].role == "holdfast-local-node"
    keys = api.credentials_for("holdfast-local-node")
    assert (keys["Code"], keys["Type"]) == ("Success", "AWS-HMAC")
    assert api.credentials_for("holdfast-local-node") == keys
    who = boto3.client(
        "sts",
        endpoint_url=api.url,
        region_name=REGION,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["Token"],
    ).get_caller_identity()
    assert who["Arn"] == "arn:aws:sts::123456789012:assumed-role/holdfast-local-node/holdfast-twin"


def test_a_machine_that_runs_takes_another_role(api: Api) -> None:
    cloud, iam = Cloud(api), client(api, "iam")
    for name in ("shared", "own"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    instance = cloud.run(cloud.interface(cloud.a, "10.40.0.4"), IamInstanceProfile={"Name": "shared"})
    (association,) = cloud.ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    cloud.ec2.replace_iam_instance_profile_association(
        AssociationId=association["AssociationId"], IamInstanceProfile={"Name": "own"}
    )
    assert api.view().instances[instance].role == "own"
    assert cloud.described(instance)["IamInstanceProfile"]["Arn"].endswith(":instance-profile/own")


def test_a_request_that_is_repeated_with_its_token_gets_the_instance_it_made(api: Api) -> None:
    cloud = Cloud(api)
    interface, another = cloud.interface(cloud.a, "10.40.0.4"), cloud.interface(cloud.a, "10.40.0.7")
    made = cloud.run(interface, ClientToken="once")
    assert cloud.run(interface, ClientToken="once") == made
    assert cloud.run(another, ClientToken="another") != made
    with pytest.raises(ClientError, match="InvalidNetworkInterface.InUse"):
        cloud.run(interface, ClientToken="later")
