"""Images that are taken of machines: when, under which names, and what EC2 tells of the machine that was it."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.twin.api import Api, console
from holdfast.twin.view import Image, Mapped
from tests.unit.twin_api.cloud import DEBIAN, IMAGE, Cloud, refused

NAME = "holdfast-debian-12-amd64-20261130-162501-ab12"
BOTH = [
    {"ResourceType": kind, "Tags": [{"Key": "Project", "Value": "holdfast"}, {"Key": "Kind", "Value": kind}]}
    for kind in ("image", "snapshot")
]


@pytest.fixture
def cloud(api: Api) -> Cloud:
    return Cloud(api)


def off(api: Api, cloud: Cloud, **more: Any) -> str:
    """A machine that has powered itself off."""
    instance: str = cloud.run(cloud.interface(cloud.a, "10.40.0.4"), **more)
    api.set_instance_state(instance, "running")
    api.set_instance_state(instance, "stopped")
    return instance


def image(cloud: Cloud, id: str) -> Any:
    return cloud.ec2.describe_images(ImageIds=[id])["Images"][0]


def test_an_image_is_available_once_its_disk_is_copied(api: Api, cloud: Cloud) -> None:
    instance = off(api, cloud)
    id = cloud.ec2.create_image(InstanceId=instance, Name=NAME, Description="a test", TagSpecifications=BOTH)["ImageId"]
    assert api.view().images == {id: Image(id, "pending", instance)}
    made = image(cloud, id)
    assert (made["State"], made["Name"], made["Architecture"], made["OwnerId"]) == (
        "pending",
        NAME,
        "x86_64",
        api.account,
    )
    assert {tag["Key"]: tag["Value"] for tag in made["Tags"]} == {"Project": "holdfast", "Kind": "image"}
    (disk,) = made["BlockDeviceMappings"]
    chosen = {"SnapshotIds": [disk["Ebs"]["SnapshotId"]]}
    (snapshot,) = cloud.ec2.describe_snapshots(**chosen)["Snapshots"]
    assert (snapshot["State"], {tag["Value"] for tag in snapshot["Tags"]}) == ("pending", {"holdfast", "snapshot"})
    run = {"ImageId": id, "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.small", "SubnetId": cloud.a}
    assert refused(cloud.ec2.run_instances, **run) == "InvalidAMIID.Unavailable"
    assert api.set_image_state(id, "available")
    assert cloud.ec2.describe_snapshots(**chosen)["Snapshots"][0]["State"] == "completed"
    assert cloud.ec2.run_instances(**run)["Instances"][0]["ImageId"] == id
    owned = cloud.ec2.describe_images(Owners=["self"], Filters=[{"Name": "tag:Kind", "Values": ["image"]}])
    assert [it["ImageId"] for it in owned["Images"]] == [id]


def test_an_image_that_fails_says_why(api: Api, cloud: Cloud) -> None:
    id = cloud.ec2.create_image(InstanceId=off(api, cloud), Name=NAME)["ImageId"]
    assert api.set_image_state(id, "failed", "no room on the device")
    assert image(cloud, id)["State"] == "failed"
    assert image(cloud, id)["StateReason"] == {
        "Code": "Client.InternalError",
        "Message": "Client.InternalError: no room on the device",
    }
    assert not api.set_image_state(id, "available")


@pytest.mark.parametrize("name", ["a" * 129, "holdfast-5:7.0", "holdfast~1", "größe"])
def test_a_name_that_ec2_does_not_take_is_refused(name: str, api: Api, cloud: Cloud) -> None:
    assert refused(cloud.ec2.create_image, InstanceId=off(api, cloud), Name=name) == "InvalidAMIName.Malformed"
    assert api.view().images == {}


def test_a_name_is_of_one_image_of_an_account(api: Api, cloud: Cloud) -> None:
    instance = off(api, cloud)
    # Another account's image may have it too.
    cloud.ec2.create_image(InstanceId=instance, Name="debian-12-amd64-20251101-1")
    first = cloud.ec2.create_image(InstanceId=instance, Name=NAME)["ImageId"]
    assert refused(cloud.ec2.create_image, InstanceId=instance, Name=NAME) == "InvalidAMIName.Duplicate"
    cloud.ec2.deregister_image(ImageId=first)
    cloud.ec2.create_image(InstanceId=instance, Name=NAME)


def test_no_image_is_taken_of_what_is_on_or_gone(api: Api, cloud: Cloud) -> None:
    instance = cloud.run(cloud.interface(cloud.a, "10.40.0.4"))
    assert refused(cloud.ec2.create_image, InstanceId=instance, Name=NAME) == "UnsupportedOperation"
    cloud.ec2.terminate_instances(InstanceIds=[instance])
    assert refused(cloud.ec2.create_image, InstanceId=instance, Name=NAME) == "IncorrectState"
    api.set_instance_state(instance, "terminated")
    assert refused(cloud.ec2.create_image, InstanceId=instance, Name=NAME) == "IncorrectState"


def test_an_image_goes_before_what_it_consists_of(api: Api, cloud: Cloud) -> None:
    id = cloud.ec2.create_image(InstanceId=off(api, cloud), Name=NAME)["ImageId"]
    snapshot = image(cloud, id)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert refused(cloud.ec2.delete_snapshot, SnapshotId=snapshot) == "InvalidSnapshot.InUse"
    cloud.ec2.deregister_image(ImageId=id)
    assert api.view().images == {}
    cloud.ec2.delete_snapshot(SnapshotId=snapshot)
    assert refused(cloud.ec2.deregister_image, ImageId=id) == "InvalidAMIID.Unavailable"


def test_another_accounts_image_is_not_deregistered(cloud: Cloud) -> None:
    assert image(cloud, IMAGE)["OwnerId"] == DEBIAN
    assert refused(cloud.ec2.deregister_image, ImageId=IMAGE) == "AuthFailure"
    assert image(cloud, IMAGE)["State"] == "available"


def test_it_tells_who_turned_a_machine_off(api: Api, cloud: Cloud) -> None:
    assert cloud.described(off(api, cloud))["StateReason"] == {
        "Code": "Client.InstanceInitiatedShutdown",
        "Message": "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
    }
    asked = cloud.run(cloud.interface(cloud.a, "10.40.0.5"))
    api.set_instance_state(asked, "running")
    cloud.ec2.stop_instances(InstanceIds=[asked])
    api.set_instance_state(asked, "stopped")
    assert cloud.described(asked)["StateReason"]["Code"] == "Client.UserInitiatedShutdown"


def test_a_machine_may_be_one_that_ends_when_it_turns_itself_off(api: Api, cloud: Cloud) -> None:
    instance = off(api, cloud, InstanceInitiatedShutdownBehavior="terminate")
    assert cloud.described(instance)["State"]["Name"] == "shutting-down"
    assert cloud.described(instance)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_the_console_is_the_end_of_what_the_machine_wrote(
    api: Api, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = off(api, cloud)
    written: dict[str, str] = {}
    monkeypatch.setattr(console, "reads", [lambda id: written.get(id, "")])
    assert "Output" not in cloud.ec2.get_console_output(InstanceId=instance)
    written[instance] = "first\n" + "x" * console.KEPT + "\nlast ü\n"
    said = cloud.ec2.get_console_output(InstanceId=instance, Latest=True)["Output"]
    assert said.endswith("\nlast ü\n")
    assert "first" not in said
    old = off(api, Cloud(api), InstanceType="t2.small")
    assert refused(cloud.ec2.get_console_output, InstanceId=old, Latest=True) == "UnsupportedOperation"
    cloud.ec2.get_console_output(InstanceId=old)


def test_a_machine_has_the_public_address_of_its_launch_while_it_is_on(api: Api, cloud: Cloud) -> None:
    interface = {"DeviceIndex": 0, "SubnetId": cloud.a, "AssociatePublicIpAddress": True}
    run = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.small"}
    instance = cloud.ec2.run_instances(**run, NetworkInterfaces=[interface])["Instances"][0]["InstanceId"]
    public = cloud.described(instance)["PublicIpAddress"]

    def mapped() -> list[Mapped]:
        return [one for it in api.view().interfaces.values() for one in it.public]

    assert [str(one.public) for one in mapped()] == [public]
    assert public.startswith(("198.18.", "198.19."))
    api.set_instance_state(instance, "running")
    cloud.ec2.stop_instances(InstanceIds=[instance])
    api.set_instance_state(instance, "stopped")
    assert mapped() == []
