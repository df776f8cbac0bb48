"""The twin's API against boto3: what it answers, what it refuses, and what it remembers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from holdfast.twin.api import Api, instances
from holdfast.twin.view import Attachment, NatGateway, Route, Rule, Volume, Vpc

REGION = "eu-central-1"
DEBIAN = "136693071363"
IMAGE = "ami-0000000000000deb1"


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api(port=0, region=REGION)
    api.start()
    api.register_image(IMAGE, "debian-12-amd64-20251101-1", DEBIAN, "x86_64")
    yield api
    api.stop()


@pytest.fixture
def instant() -> Iterator[Api]:
    api = Api(port=0, region=REGION, instant=True)
    api.start()
    api.register_image(IMAGE, "debian-12-amd64-20251101-1", DEBIAN, "x86_64")
    yield api
    api.stop()


def client(api: Api, service: str, url: str | None = None, region: str = REGION) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url or api.url,
        region_name=region,
        aws_access_key_id="holdfast",
        aws_secret_access_key="holdfast",
        config=Config(retries={"max_attempts": 0}),
    )


class Cloud:
    """A VPC with a subnet in each of two zones."""

    def __init__(self, api: Api) -> None:
        self.ec2 = client(api, "ec2")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
        self.a, self.b = self.subnet("10.40.0.0/20", "a"), self.subnet("10.40.16.0/20", "b")

    def subnet(self, cidr: str, zone: str) -> Any:
        made = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone=f"{REGION}{zone}")
        return made["Subnet"]["SubnetId"]

    def interface(self, subnet: str, *addresses: str, **more: Any) -> Any:
        listed = [{"PrivateIpAddress": address, "Primary": address == addresses[0]} for address in addresses]
        made = self.ec2.create_network_interface(SubnetId=subnet, PrivateIpAddresses=listed, **more)
        return made["NetworkInterface"]["NetworkInterfaceId"]

    def run(self, interface: str, **more: Any) -> Any:
        return self.ec2.run_instances(
            ImageId=IMAGE,
            MinCount=1,
            MaxCount=1,
            InstanceType=more.pop("InstanceType", "t3.small"),
            NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": interface}],
            **more,
        )["Instances"][0]["InstanceId"]

    def volume(self, zone: str) -> Any:
        return self.ec2.create_volume(Size=10, AvailabilityZone=f"{REGION}{zone}", VolumeType="gp3")["VolumeId"]

    def described(self, instance: str) -> Any:
        return self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]

    def addresses(self, interface: str) -> list[tuple[str, bool]]:
        found = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]
        return [(item["PrivateIpAddress"], item["Primary"]) for item in found["PrivateIpAddresses"]]


def refused(call: Any, **arguments: Any) -> str:
    """The error code."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return str(error.value.response["Error"]["Code"])


# ---- the account


def test_the_account_starts_with_nothing(api: Api) -> None:
    view = api.view()
    assert (view.account, view.region) == ("123456789012", "eu-central-1")
    assert (view.vpcs, view.subnets, view.groups, view.instances) == ({}, {}, {}, {})


def test_the_view_is_the_same_until_something_changes(api: Api) -> None:
    cloud = Cloud(api)
    first = api.view()
    cloud.ec2.describe_vpcs()
    assert api.view() is first
    cloud.ec2.create_vpc(CidrBlock="10.50.0.0/16")
    assert api.view() is not first


def test_changes_are_told(api: Api) -> None:
    told: list[int] = []
    listening = Api(port=0, on_change=lambda: told.append(1))
    listening.start()
    ec2 = client(listening, "ec2")
    ec2.describe_vpcs()
    assert told == []
    ec2.create_vpc(CidrBlock="10.50.0.0/16")
    assert told == [1]
    listening.stop()


def test_a_node_report_is_no_change(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    before = api.generation
    s3.put_object(Bucket="kept", Key="reports/local-a1.json", Body=b"{}")
    assert api.generation == before
    assert api.get_object("kept", "reports/local-a1.json") == b"{}"
    assert api.list_objects("kept", "reports/") == ["reports/local-a1.json"]
    s3.put_object(Bucket="kept", Key="bootstrap/leader.json", Body=b"{}")
    assert api.generation == before + 1


def test_only_the_newest_report_is_kept(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket="kept", Key="reports/local-a1.json", Body=body)
        s3.put_object(Bucket="kept", Key="bootstrap/leader.json", Body=body)
    kept = [version["Key"] for version in s3.list_object_versions(Bucket="kept")["Versions"]]
    assert kept == ["bootstrap/leader.json", "bootstrap/leader.json", "reports/local-a1.json"]
    assert api.get_object("kept", "reports/local-a1.json") == b"2"


def test_an_absent_object_or_bucket_is_none(api: Api) -> None:
    client(api, "s3").create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert api.get_object("kept", "absent") is None
    assert api.get_object("absent", "absent") is None
    assert api.list_objects("absent") == []


def test_parameters(api: Api) -> None:
    api.put_parameter("/holdfast/local/forwards", "one")
    api.put_parameter("/holdfast/local/forwards", "two")
    found = client(api, "ssm").get_parameter(Name="/holdfast/local/forwards")
    assert found["Parameter"]["Value"] == "two"


def test_images_are_found_as_the_distribution_publishes_them(api: Api) -> None:
    found = client(api, "ec2").describe_images(
        Owners=[DEBIAN],
        Filters=[
            {"Name": "name", "Values": ["debian-12-amd64-*"]},
            {"Name": "architecture", "Values": ["x86_64"]},
            {"Name": "state", "Values": ["available"]},
        ],
    )["Images"]
    assert [(image["ImageId"], image["RootDeviceName"]) for image in found] == [(IMAGE, "/dev/xvda")]
    assert found[0]["CreationDate"]


def test_images_are_in_every_region(api: Api) -> None:
    elsewhere = client(api, "ec2", region="us-west-2").describe_images(ImageIds=[IMAGE])["Images"]
    assert [image["Name"] for image in elsewhere] == ["debian-12-amd64-20251101-1"]


def test_an_unknown_call_is_refused(api: Api) -> None:
    placement = client(api, "ec2").create_placement_group
    assert refused(placement, GroupName="nodes", Strategy="spread") == "InvalidAction"
    assert refused(client(api, "ssm").list_nodes) == "InvalidAction"


def test_an_unknown_image_is_refused(api: Api) -> None:
    cloud = Cloud(api)
    arguments = {"ImageId": "ami-0123456789abcdef0", "MinCount": 1, "MaxCount": 1, "SubnetId": cloud.a}
    assert refused(cloud.ec2.run_instances, **arguments) == "InvalidAMIID.NotFound"


# ---- sockets


def test_another_socket_answers_whom_it_may() -> None:
    api = Api(port=0)
    api.start()
    asked: list[tuple[str, str]] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def may(address: str, service: str) -> bool:
            asked.append((address, service))
            return service == "s3"

        server = api.serve_on(listening, authorize=may)
        assert client(api, "s3", url).list_buckets()["Buckets"] == []
        with pytest.raises(ConnectionClosedError):
            client(api, "ec2", url).describe_vpcs()
        assert asked == [("127.0.0.1", "s3"), ("127.0.0.1", "ec2")]
        server.stop()
    api.stop()


# ---- instances


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


# ---- interfaces


def test_the_first_address_is_the_primary_one(api: Api) -> None:
    cloud = Cloud(api)
    interface = cloud.interface(cloud.a, "10.40.0.9", "10.40.0.5", "10.40.0.7")
    assert cloud.addresses(interface) == [("10.40.0.9", True), ("10.40.0.5", False), ("10.40.0.7", False)]
    assert api.view().interfaces[interface].addresses == (
        IPv4Address("10.40.0.9"),
        IPv4Address("10.40.0.5"),
        IPv4Address("10.40.0.7"),
    )


def test_without_a_wish_the_lowest_free_address(api: Api) -> None:
    cloud = Cloud(api)
    first = cloud.ec2.create_network_interface(SubnetId=cloud.a)["NetworkInterface"]["PrivateIpAddress"]
    second = cloud.ec2.create_network_interface(SubnetId=cloud.a)["NetworkInterface"]["PrivateIpAddress"]
    assert (first, second) == ("10.40.0.4", "10.40.0.5")


@pytest.mark.parametrize("address", ["10.40.16.4", "10.40.0.1", "10.40.15.255"])
def test_an_address_must_be_one_of_its_subnet(api: Api, address: str) -> None:
    cloud = Cloud(api)
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        cloud.interface(cloud.a, address)
    interface = cloud.interface(cloud.a, "10.40.0.4")
    arguments = {"NetworkInterfaceId": interface, "PrivateIpAddresses": [address]}
    assert refused(cloud.ec2.assign_private_ip_addresses, **arguments) == "InvalidParameterValue"


def test_an_address_is_given_once(api: Api) -> None:
    cloud = Cloud(api)
    cloud.interface(cloud.a, "10.40.0.4", "10.40.0.5")
    for taken in ("10.40.0.4", "10.40.0.5"):
        with pytest.raises(ClientError, match=r"InvalidIPAddress\.InUse"):
            cloud.interface(cloud.a, taken)


def test_a_secondary_address_moves_when_asked(api: Api) -> None:
    cloud = Cloud(api)
    old, new = cloud.interface(cloud.a, "10.40.0.4", "10.40.0.5"), cloud.interface(cloud.a, "10.40.0.7")
    wanted = {"NetworkInterfaceId": new, "PrivateIpAddresses": ["10.40.0.5"]}
    assert refused(cloud.ec2.assign_private_ip_addresses, **wanted) == "InvalidParameterValue"
    assert refused(cloud.ec2.assign_private_ip_addresses, **wanted, AllowReassignment=False) == "InvalidParameterValue"
    cloud.ec2.assign_private_ip_addresses(**wanted, AllowReassignment=True)
    assert cloud.addresses(old) == [("10.40.0.4", True)]
    assert cloud.addresses(new) == [("10.40.0.7", True), ("10.40.0.5", False)]


def test_a_primary_address_never_moves(api: Api) -> None:
    cloud = Cloud(api)
    old, new = cloud.interface(cloud.a, "10.40.0.4"), cloud.interface(cloud.a, "10.40.0.7")
    assign, unassign = cloud.ec2.assign_private_ip_addresses, cloud.ec2.unassign_private_ip_addresses
    arguments = {"NetworkInterfaceId": new, "PrivateIpAddresses": ["10.40.0.4"], "AllowReassignment": True}
    assert refused(assign, **arguments) == "InvalidParameterValue"
    arguments = {"NetworkInterfaceId": old, "PrivateIpAddresses": ["10.40.0.4"]}
    assert refused(unassign, **arguments) == "InvalidParameterValue"


@pytest.mark.parametrize("address", ["10.40.0.4", "10.40.0.5"])
def test_interfaces_are_found_by_any_of_their_addresses(api: Api, address: str) -> None:
    cloud = Cloud(api)
    interface = cloud.interface(cloud.a, "10.40.0.4", "10.40.0.5")
    cloud.interface(cloud.a, "10.40.0.7")
    wanted = [{"Name": "addresses.private-ip-address", "Values": [address]}]
    found = cloud.ec2.describe_network_interfaces(Filters=wanted)["NetworkInterfaces"]
    assert [item["NetworkInterfaceId"] for item in found] == [interface]


def test_an_interface_in_use_is_neither_given_nor_deleted(api: Api) -> None:
    cloud = Cloud(api)
    interface = cloud.interface(cloud.a, "10.40.0.4")
    cloud.run(interface)
    assert refused(cloud.run, interface=interface) == "InvalidNetworkInterface.InUse"
    arguments = {"NetworkInterfaceId": interface}
    assert refused(cloud.ec2.delete_network_interface, **arguments) == "InvalidParameterValue"
    found = cloud.ec2.describe_network_interfaces()["NetworkInterfaces"][0]["Attachment"]["AttachmentId"]
    assert refused(cloud.ec2.detach_network_interface, AttachmentId=found) == "OperationNotPermitted"


def test_a_refused_launch_leaves_nothing(api: Api) -> None:
    cloud = Cloud(api)
    interface = cloud.interface(cloud.a, "10.40.0.4")
    cloud.run(interface)
    another = cloud.interface(cloud.a, "10.40.0.5")
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "VolumeType": "gp2", "KmsKeyId": "none"}}]
    assert refused(cloud.run, interface=interface) == "InvalidNetworkInterface.InUse"
    assert refused(cloud.run, interface=another, BlockDeviceMappings=mapping) == "InvalidParameterDependency"
    assert len(cloud.ec2.describe_instances()["Reservations"]) == 1
    assert api.view().interfaces[another].instance_id is None
    assert cloud.run(another)


def test_a_type_of_instance_holds_so_many_addresses(api: Api) -> None:
    cloud = Cloud(api)
    interface = cloud.interface(cloud.a, "10.40.0.4", "10.40.0.5", "10.40.0.6")
    assert refused(cloud.run, interface=interface, InstanceType="t3.micro") == "PrivateIpAddressLimitExceeded"
    cloud.run(interface, InstanceType="t3.small")
    assign = cloud.ec2.assign_private_ip_addresses
    assign(NetworkInterfaceId=interface, PrivateIpAddresses=["10.40.0.7"])
    arguments = {"NetworkInterfaceId": interface, "PrivateIpAddresses": ["10.40.0.8"]}
    assert refused(assign, **arguments) == "PrivateIpAddressLimitExceeded"


def test_an_interface_wants_groups_that_exist(api: Api) -> None:
    cloud = Cloud(api)
    with pytest.raises(ClientError, match=r"InvalidGroup\.NotFound"):
        cloud.interface(cloud.a, "10.40.0.4", Groups=["sg-00000000000000000"])
    other = cloud.ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
    group = cloud.ec2.create_security_group(GroupName="other", Description="Other", VpcId=other)["GroupId"]
    with pytest.raises(ClientError, match="different networks"):
        cloud.interface(cloud.a, "10.40.0.4", Groups=[group])
    interface = cloud.interface(cloud.a, "10.40.0.4")
    modify = cloud.ec2.modify_network_interface_attribute
    assert refused(modify, NetworkInterfaceId=interface, Groups=[group]) == "InvalidGroup.NotFound"


# ---- volumes


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


# ---- groups and networks


def test_rules_keep_their_descriptions_and_are_seen(api: Api) -> None:
    cloud = Cloud(api)
    group = cloud.ec2.create_security_group(GroupName="nodes", Description="Nodes", VpcId=cloud.vpc)["GroupId"]
    made = cloud.ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 6380,
                "ToPort": 6380,
                "UserIdGroupPairs": [{"GroupId": group, "Description": "redis between nodes"}],
            },
            {
                "IpProtocol": "tcp",
                "FromPort": 6379,
                "ToPort": 6379,
                "IpRanges": [{"CidrIp": "10.40.0.0/16", "Description": "Clients"}],
            },
        ],
    )
    assert made["Return"]
    rules = cloud.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    described = {rule["FromPort"]: rule["Description"] for rule in rules["SecurityGroupRules"] if not rule["IsEgress"]}
    assert described == {6380: "redis between nodes", 6379: "Clients"}
    assert api.view().groups[group].ingress == (
        Rule("tcp", 6380, 6380, groups=(group,)),
        Rule("tcp", 6379, 6379, cidrs=(IPv4Network("10.40.0.0/16"),)),
    )
    assert api.view().groups[group].egress == (Rule("-1", None, None, cidrs=(IPv4Network("0.0.0.0/0"),)),)


def test_a_rule_s_description_changes(api: Api) -> None:
    cloud = Cloud(api)
    group = cloud.ec2.create_security_group(GroupName="nodes", Description="Nodes", VpcId=cloud.vpc)["GroupId"]
    pair = {"GroupId": group, "Description": "before"}
    permission = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [pair]}
    rule = cloud.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    rule_id = rule["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    wanted = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 3, "ReferencedGroupId": group, "Description": "after"}
    cloud.ec2.modify_security_group_rules(
        GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": wanted}]
    )
    found = cloud.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"][0]
    assert (found["ToPort"], found["Description"]) == (3, "after")
    assert found["ReferencedGroupInfo"]["GroupId"] == group


def test_what_is_in_use_stays(api: Api) -> None:
    cloud = Cloud(api)
    group = cloud.ec2.create_security_group(GroupName="nodes", Description="Nodes", VpcId=cloud.vpc)["GroupId"]
    interface = cloud.interface(cloud.a, "10.40.0.4", Groups=[group])
    assert refused(cloud.ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    assert refused(cloud.ec2.delete_subnet, SubnetId=cloud.a) == "DependencyViolation"
    assert refused(cloud.ec2.delete_vpc, VpcId=cloud.vpc) == "DependencyViolation"
    cloud.ec2.delete_network_interface(NetworkInterfaceId=interface)
    cloud.ec2.delete_subnet(SubnetId=cloud.a)
    cloud.ec2.delete_subnet(SubnetId=cloud.b)
    assert refused(cloud.ec2.delete_vpc, VpcId=cloud.vpc) == "DependencyViolation"
    cloud.ec2.delete_security_group(GroupId=group)
    cloud.ec2.delete_vpc(VpcId=cloud.vpc)
    assert api.view().vpcs == {}


def test_a_nat_gateway_takes_its_interface_along(api: Api) -> None:
    cloud = Cloud(api)
    gateway = cloud.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    cloud.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=cloud.vpc)
    address = cloud.ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = cloud.ec2.create_nat_gateway(SubnetId=cloud.a, AllocationId=address)["NatGateway"]["NatGatewayId"]
    assert refused(cloud.ec2.delete_subnet, SubnetId=cloud.a) == "DependencyViolation"
    assert refused(cloud.ec2.release_address, AllocationId=address) == "InvalidIPAddress.InUse"
    detach = {"InternetGatewayId": gateway, "VpcId": cloud.vpc}
    assert refused(cloud.ec2.detach_internet_gateway, **detach) == "DependencyViolation"
    cloud.ec2.delete_nat_gateway(NatGatewayId=nat)
    assert api.view().interfaces == {}
    cloud.ec2.detach_internet_gateway(**detach)
    cloud.ec2.release_address(AllocationId=address)
    cloud.ec2.delete_subnet(SubnetId=cloud.a)
    assert cloud.ec2.describe_addresses()["Addresses"] == []


def test_a_vpc_has_one_internet_gateway(api: Api) -> None:
    cloud = Cloud(api)
    one, two = (cloud.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"] for _ in range(2))
    cloud.ec2.attach_internet_gateway(InternetGatewayId=one, VpcId=cloud.vpc)
    arguments = {"InternetGatewayId": two, "VpcId": cloud.vpc}
    assert refused(cloud.ec2.attach_internet_gateway, **arguments) == "InvalidParameterValue"


def test_routes_are_those_of_the_subnet_s_table_or_the_main_one(api: Api) -> None:
    cloud = Cloud(api)
    gateway = cloud.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    cloud.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=cloud.vpc)
    table = cloud.ec2.create_route_table(VpcId=cloud.vpc)["RouteTable"]["RouteTableId"]
    cloud.ec2.associate_route_table(RouteTableId=table, SubnetId=cloud.b)
    address = cloud.ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = cloud.ec2.create_nat_gateway(SubnetId=cloud.a, AllocationId=address)["NatGateway"]["NatGatewayId"]
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    endpoint = cloud.ec2.create_vpc_endpoint(
        VpcId=cloud.vpc, ServiceName=f"com.amazonaws.{REGION}.s3", VpcEndpointType="Gateway", RouteTableIds=[table]
    )["VpcEndpoint"]["VpcEndpointId"]
    view = api.view()
    local = Route(IPv4Network("10.40.0.0/16"), "local")
    assert view.vpcs == {cloud.vpc: Vpc(cloud.vpc, IPv4Network("10.40.0.0/16"))}
    assert view.subnets[cloud.a].routes == (local,)
    assert view.subnets[cloud.b].routes == (local, Route(IPv4Network("0.0.0.0/0"), nat))
    assert view.nat_gateways == {nat: NatGateway(nat, cloud.a)}
    assert (view.endpoints[endpoint].service, view.endpoints[endpoint].interface) == ("s3", False)
    assert view.endpoints[endpoint].subnets == {cloud.b}
    [interface] = view.interfaces.values()
    assert interface.addresses[0] in IPv4Network("10.40.0.0/20"), "a NAT gateway's address is of its subnet"


def test_a_route_table_has_a_destination_once_and_none_inside_the_network(api: Api) -> None:
    cloud = Cloud(api)
    gateway = cloud.interface(cloud.a, "10.40.0.4")
    table = cloud.ec2.create_route_table(VpcId=cloud.vpc)["RouteTable"]["RouteTableId"]
    cloud.ec2.associate_route_table(RouteTableId=table, SubnetId=cloud.a)
    overlay = {"RouteTableId": table, "DestinationCidrBlock": "10.200.0.1/32", "NetworkInterfaceId": gateway}
    cloud.ec2.create_route(**overlay)
    assert api.view().subnets[cloud.a].routes[-1] == Route(IPv4Network("10.200.0.1/32"), gateway)
    assert refused(cloud.ec2.create_route, **overlay) == "RouteAlreadyExists"
    cloud.ec2.replace_route(**{**overlay, "NetworkInterfaceId": cloud.interface(cloud.b, "10.40.16.4")})
    inside = {**overlay, "DestinationCidrBlock": "10.40.200.1/32"}
    assert refused(cloud.ec2.create_route, **inside) == "InvalidParameterValue"
    nowhere = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-00000000000000000"}
    assert refused(cloud.ec2.create_route, **nowhere) == "InvalidNatGatewayID.NotFound"
    another = cloud.ec2.create_route_table(VpcId=cloud.vpc)["RouteTable"]["RouteTableId"]
    arguments = {"RouteTableId": another, "SubnetId": cloud.a}
    assert refused(cloud.ec2.associate_route_table, **arguments) == "Resource.AlreadyAssociated"


def test_interface_endpoints(api: Api) -> None:
    cloud = Cloud(api)
    group = cloud.ec2.create_security_group(GroupName="apis", Description="APIs", VpcId=cloud.vpc)["GroupId"]
    made = cloud.ec2.create_vpc_endpoint(
        VpcId=cloud.vpc,
        ServiceName=f"com.amazonaws.{REGION}.secretsmanager",
        VpcEndpointType="Interface",
        SubnetIds=[cloud.a],
        SecurityGroupIds=[group],
    )["VpcEndpoint"]["VpcEndpointId"]
    endpoint = api.view().endpoints[made]
    assert (endpoint.service, endpoint.interface, endpoint.subnets) == ("secretsmanager", True, {cloud.a})
    assert endpoint.groups == (group,)


# ---- Route 53


def test_a_zone_made_with_a_vpc_is_private(api: Api) -> None:
    cloud, route53 = Cloud(api), client(api, "route53")
    vpc = {"VPCRegion": REGION, "VPCId": cloud.vpc}
    made = route53.create_hosted_zone(Name="local.holdfast", CallerReference="one", VPC=vpc)["HostedZone"]["Id"]
    found = route53.get_hosted_zone(Id=made)
    assert (found["HostedZone"]["Config"]["PrivateZone"], found["VPCs"]) == (True, [vpc])
    assert "DelegationSet" not in found
    public = route53.create_hosted_zone(Name="holdfast.example", CallerReference="two")["HostedZone"]["Id"]
    assert not route53.get_hosted_zone(Id=public)["HostedZone"]["Config"]["PrivateZone"]
    nowhere = {"VPCRegion": REGION, "VPCId": "vpc-00000000000000000"}
    arguments = {"Name": "other.holdfast", "CallerReference": "three", "VPC": nowhere}
    assert refused(route53.create_hosted_zone, **arguments) == "InvalidVPCId"


# ---- S3


def test_a_bucket_that_wants_tls_is_reached(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::kept", "arn:aws:s3:::kept/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket="kept", Policy=json.dumps(policy))
    s3.put_object(Bucket="kept", Key="one", Body=b"1")
    assert s3.get_object(Bucket="kept", Key="one")["Body"].read() == b"1"
    assert json.loads(s3.get_bucket_policy(Bucket="kept")["Policy"]) == policy
    del statement["Condition"]
    s3.put_bucket_policy(Bucket="kept", Policy=json.dumps(policy))
    assert refused(s3.put_object, Bucket="kept", Key="one", Body=b"2") == "403"


def test_only_the_first_conditional_write_wins(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="kept", Key="bootstrap/leader.json", Body=b"1", IfNoneMatch="*")
    arguments = {"Bucket": "kept", "Key": "bootstrap/leader.json", "Body": b"2", "IfNoneMatch": "*"}
    assert refused(s3.put_object, **arguments) == "PreconditionFailed"
    assert api.get_object("kept", "bootstrap/leader.json") == b"1"


def test_a_versioned_bucket_with_delete_markers_is_emptied(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="kept", Key="one", Body=b"1")
    s3.delete_object(Bucket="kept", Key="one")
    assert api.get_object("kept", "one") is None
    assert api.list_objects("kept") == []
    found = s3.list_object_versions(Bucket="kept")
    listed = [*found["Versions"], *found["DeleteMarkers"]]
    for item in listed:
        one = [{"Key": item["Key"], "VersionId": item["VersionId"]}]
        assert "Errors" not in s3.delete_objects(Bucket="kept", Delete={"Objects": one})
    s3.delete_bucket(Bucket="kept")
    assert s3.list_buckets()["Buckets"] == []


# ---- the file


def test_everything_is_kept_in_a_file(api: Api, tmp_path: Path) -> None:
    cloud, s3 = Cloud(api), client(api, "s3")
    instance = cloud.run(cloud.interface(cloud.a, "10.40.0.4", "10.40.0.5"), UserData=b"hello")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"0", b"1"):
        s3.put_object(Bucket="kept", Key="one", Body=body)
    s3.put_object(Bucket="kept", Key="two", Body=b"2")
    s3.delete_object(Bucket="kept", Key="two")
    client(api, "secretsmanager").create_secret(Name="holdfast/local/app", SecretString="hush")
    client(api, "route53").create_hosted_zone(Name="holdfast.example", CallerReference="one")
    before = api.view()
    file = tmp_path / "state"
    api.save(file)
    assert file.stat().st_mode & 0o777 == 0o600
    api.stop()

    again = Api(port=0, region=REGION)
    again.load(file)
    again.start()
    assert again.view() == before
    assert again.get_object("kept", "one") == b"1"
    listed = client(again, "s3").list_object_versions(Bucket="kept")
    assert [version["Key"] for version in listed["Versions"]] == ["one", "one", "two"]
    assert [marker["Key"] for marker in listed["DeleteMarkers"]] == ["two"]
    found = client(again, "secretsmanager").get_secret_value(SecretId="holdfast/local/app")
    assert found["SecretString"] == "hush"
    assert [zone["Name"] for zone in client(again, "route53").list_hosted_zones()["HostedZones"]] == [
        "holdfast.example."
    ]
    assert again.set_instance_state(instance, "running")
    assert client(again, "ec2").describe_instances()["Reservations"][0]["Instances"][0]["State"]["Name"] == "running"
    again.stop()
