"""Interfaces and their addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from botocore.exceptions import ClientError

from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import Cloud, refused


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


def test_a_public_address_is_free_when_its_interface_is_gone(api: Api) -> None:
    cloud = Cloud(api)
    interface = cloud.interface(cloud.a, "10.40.0.4")
    address = public(cloud)["AllocationId"]
    cloud.ec2.associate_address(AllocationId=address, NetworkInterfaceId=interface)
    assert refused(cloud.ec2.release_address, AllocationId=address) == "InvalidIPAddress.InUse"
    cloud.ec2.delete_network_interface(NetworkInterfaceId=interface)
    (free,) = cloud.ec2.describe_addresses()["Addresses"]
    assert "AssociationId" not in free
    assert not free.get("NetworkInterfaceId")
    cloud.ec2.release_address(AllocationId=address)


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


def public(cloud: Cloud) -> Any:
    """A public address, in a VPC that has an internet gateway."""
    gateway = cloud.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    cloud.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=cloud.vpc)
    return cloud.ec2.allocate_address(Domain="vpc")


def mapped(api: Api, interface: str) -> dict[str, str]:
    """Private → public, of an interface in the twin's view."""
    return {str(one.private): str(one.public) for one in api.view().interfaces[interface].public}


def test_a_public_address_is_of_one_private_address(api: Api) -> None:
    cloud = Cloud(api)
    interface = cloud.interface(cloud.a, "10.40.0.4", "10.40.0.5")
    elastic = public(cloud)
    assert IPv4Address(elastic["PublicIp"]) in IPv4Network("198.18.0.0/15")
    arguments = {"AllocationId": elastic["AllocationId"], "NetworkInterfaceId": interface}
    assert refused(cloud.ec2.associate_address, **arguments, PrivateIpAddress="10.40.0.9") == "InvalidParameterValue"
    first, again = (
        cloud.ec2.associate_address(**arguments, PrivateIpAddress="10.40.0.5")["AssociationId"] for _ in range(2)
    )
    assert first == again
    assert mapped(api, interface) == {"10.40.0.5": elastic["PublicIp"]}
    (told,) = cloud.ec2.describe_addresses()["Addresses"]
    assert (told["PrivateIpAddress"], told["NetworkInterfaceId"]) == ("10.40.0.5", interface)
    cloud.ec2.disassociate_address(AssociationId=first)
    assert mapped(api, interface) == {}
    cloud.ec2.release_address(AllocationId=elastic["AllocationId"])


def test_a_public_address_takes_the_place_of_another_and_moves_with_its_private_one(api: Api) -> None:
    cloud = Cloud(api)
    one, two = cloud.interface(cloud.a, "10.40.0.4", "10.40.0.5"), cloud.interface(cloud.a, "10.40.0.7")
    old, new = public(cloud), cloud.ec2.allocate_address(Domain="vpc")
    for elastic in (old, new):
        cloud.ec2.associate_address(
            AllocationId=elastic["AllocationId"], NetworkInterfaceId=one, PrivateIpAddress="10.40.0.5"
        )
    assert mapped(api, one) == {"10.40.0.5": new["PublicIp"]}
    cloud.ec2.release_address(AllocationId=old["AllocationId"])
    cloud.ec2.assign_private_ip_addresses(
        NetworkInterfaceId=two, PrivateIpAddresses=["10.40.0.5"], AllowReassignment=True
    )
    assert (mapped(api, one), mapped(api, two)) == ({}, {"10.40.0.5": new["PublicIp"]})
    elsewhere = {"AllocationId": new["AllocationId"], "NetworkInterfaceId": one}
    error = refused(cloud.ec2.associate_address, **elsewhere, AllowReassociation=False)
    assert error == "Resource.AlreadyAssociated"
    cloud.ec2.associate_address(**elsewhere)
    assert (mapped(api, one), mapped(api, two)) == ({"10.40.0.4": new["PublicIp"]}, {})
    cloud.ec2.associate_address(AllocationId=new["AllocationId"], NetworkInterfaceId=two, PrivateIpAddress="10.40.0.5")
    cloud.ec2.unassign_private_ip_addresses(NetworkInterfaceId=two, PrivateIpAddresses=["10.40.0.5"])
    assert mapped(api, two) == {}


def test_a_public_address_needs_a_way_to_the_internet(api: Api) -> None:
    cloud = Cloud(api)
    interface = cloud.interface(cloud.a, "10.40.0.4")
    address = cloud.ec2.allocate_address(Domain="vpc")["AllocationId"]
    arguments = {"AllocationId": address, "NetworkInterfaceId": interface}
    assert refused(cloud.ec2.associate_address, **arguments) == "Gateway.NotAttached"
