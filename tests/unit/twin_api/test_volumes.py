"""Volumes."""

from __future__ import annotations

from holdfast.twin.api import Api
from holdfast.twin.view import Volume
from tests.unit.twin_api.cloud import Cloud, refused


def test_a_volume_is_attached_once_in_its_zone_to_a_machine_that_is_there(api: Api) -> None:
    cloud = Cloud(api)
    attach = cloud.ec2.attach_volume
    one = cloud.run(cloud.interface(cloud.a, "10.40.0.4"))
    two = cloud.run(cloud.interface(cloud.a, "10.40.0.7"))
    here, there = cloud.volume("a"), cloud.volume("b")
    assert refused(attach, VolumeId=here, InstanceId=one, Device="/dev/sdf") == "IncorrectState"
    api.set_instance_state(one, "running")
    api.set_instance_state(two, "running")
    assert refused(attach, VolumeId=there, InstanceId=one, Device="/dev/sdf") == "InvalidVolume.ZoneMismatch"
    attach(VolumeId=here, InstanceId=one, Device="/dev/sdf")
    assert refused(attach, VolumeId=here, InstanceId=two, Device="/dev/sdf") == "VolumeInUse"
    another = cloud.volume("a")
    assert refused(attach, VolumeId=another, InstanceId=one, Device="/dev/sdf") == "InvalidParameterValue"
    assert refused(cloud.ec2.delete_volume, VolumeId=here) == "VolumeInUse"


def test_a_volume_comes_off_a_running_machine(instant: Api) -> None:
    cloud = Cloud(instant)
    instance, volume = cloud.run(cloud.interface(cloud.a, "10.40.0.4")), cloud.volume("a")
    cloud.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    cloud.ec2.detach_volume(VolumeId=volume)
    assert instant.view().instances[instance].attachments == ()
    assert refused(cloud.ec2.detach_volume, VolumeId=volume) == "IncorrectState"


def test_a_volume_only_grows(api: Api) -> None:
    cloud = Cloud(api)
    volume = cloud.volume("a")
    assert api.view().volumes[volume] == Volume(volume, "eu-central-1a", 10)
    assert refused(cloud.ec2.modify_volume, VolumeId=volume, Size=9) == "InvalidParameterValue"
    cloud.ec2.modify_volume(VolumeId=volume, Size=12)
    assert api.view().volumes[volume] == Volume(volume, "eu-central-1a", 12)


def test_a_gp3_volume_has_its_throughput(api: Api) -> None:
    cloud = Cloud(api)
    found = cloud.ec2.describe_volumes(VolumeIds=[cloud.volume("a")])["Volumes"][0]
    assert (found["Iops"], found["Throughput"]) == (3000, 125)


def test_the_root_volume_is_the_image_s_unless_said_otherwise(instant: Api) -> None:
    cloud = Cloud(instant)
    ebs = {"VolumeType": "gp3", "Encrypted": True, "Iops": 4000, "Throughput": 250}
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": ebs}]
    plain = cloud.run(cloud.interface(cloud.a, "10.40.0.4"))
    changed = cloud.run(cloud.interface(cloud.a, "10.40.0.5"), BlockDeviceMappings=mapping)
    found = {volume["Attachments"][0]["InstanceId"]: volume for volume in cloud.ec2.describe_volumes()["Volumes"]}
    assert [found[plain][key] for key in ("Size", "Iops", "Throughput", "Encrypted")] == [8, 3000, 125, False]
    assert [found[changed][key] for key in ("Size", "Iops", "Throughput", "Encrypted")] == [8, 4000, 250, True]
    cloud.ec2.terminate_instances(InstanceIds=[plain, changed])
    assert cloud.ec2.describe_volumes()["Volumes"] == []
