"""What an account may have of each thing, before AWS grants it more."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from holdfast import cli
from holdfast.errors import HoldfastError
from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import Cloud, client, refused


def test_a_region_has_five_elastic_ips_until_more_are_granted(api: Api, tmp_path: Path) -> None:
    ec2 = client(api, "ec2")
    for _ in range(5):
        ec2.allocate_address(Domain="vpc")
    with pytest.raises(ClientError) as error:
        ec2.allocate_address(Domain="vpc")
    assert error.value.response["Error"] == {
        "Code": "AddressLimitExceeded",
        "Message": "The maximum number of addresses has been reached.",
    }
    api.grant({"elastic-ips": 6})
    api.save(tmp_path / "state")
    api.load(tmp_path / "state")
    ec2.allocate_address(Domain="vpc")
    assert refused(ec2.allocate_address, Domain="vpc") == "AddressLimitExceeded"


def test_a_region_has_five_networks_and_five_internet_gateways(api: Api) -> None:
    ec2 = client(api, "ec2")
    for number in range(5):
        ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
        ec2.create_internet_gateway()
    assert refused(ec2.create_vpc, CidrBlock="10.9.0.0/16") == "VpcLimitExceeded"
    assert refused(ec2.create_internet_gateway) == "InternetGatewayLimitExceeded"
    elsewhere = client(api, "ec2", region="us-west-2")
    elsewhere.create_internet_gateway()


def test_a_zone_has_five_nat_gateways(api: Api) -> None:
    api.grant({"elastic-ips": 7})
    cloud = Cloud(api)
    gateway = cloud.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    cloud.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=cloud.vpc)
    addresses = [cloud.ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(7)]
    made = [
        cloud.ec2.create_nat_gateway(SubnetId=cloud.a, AllocationId=address)["NatGateway"]["NatGatewayId"]
        for address in addresses[:5]
    ]
    one_more = {"SubnetId": cloud.a, "AllocationId": addresses[5]}
    assert refused(cloud.ec2.create_nat_gateway, **one_more) == "NatGatewayLimitExceeded"
    cloud.ec2.create_nat_gateway(SubnetId=cloud.b, AllocationId=addresses[6])
    cloud.ec2.delete_nat_gateway(NatGatewayId=made[0])
    cloud.ec2.create_nat_gateway(**one_more)


def test_an_interface_has_five_groups_and_a_group_sixty_rules(api: Api) -> None:
    cloud = Cloud(api)
    groups = [
        cloud.ec2.create_security_group(GroupName=f"g{number}", Description="Nodes", VpcId=cloud.vpc)["GroupId"]
        for number in range(6)
    ]
    assert refused(cloud.interface, subnet=cloud.a, Groups=groups) == "SecurityGroupsPerInterfaceLimitExceeded"
    interface = cloud.interface(cloud.a, "10.40.0.4", Groups=groups[:5])
    changed = {"NetworkInterfaceId": interface, "Groups": groups}
    assert refused(cloud.ec2.modify_network_interface_attribute, **changed) == "SecurityGroupsPerInterfaceLimitExceeded"
    permission = {
        "IpProtocol": "tcp",
        "FromPort": 1,
        "ToPort": 1,
        "IpRanges": [{"CidrIp": f"10.0.{number}.0/24"} for number in range(60)],
    }
    cloud.ec2.authorize_security_group_ingress(GroupId=groups[0], IpPermissions=[permission])
    permission["IpRanges"] = [{"CidrIp": "10.1.0.0/24"}]
    one_more = {"GroupId": groups[0], "IpPermissions": [permission]}
    assert refused(cloud.ec2.authorize_security_group_ingress, **one_more) == "RulesPerSecurityGroupLimitExceeded"


def test_a_table_has_fifty_routes(api: Api) -> None:
    cloud = Cloud(api)
    table = cloud.ec2.create_route_table(VpcId=cloud.vpc)["RouteTable"]["RouteTableId"]
    target = cloud.interface(cloud.a, "10.40.0.4")
    for number in range(50):
        cloud.ec2.create_route(
            RouteTableId=table, DestinationCidrBlock=f"10.200.{number}.0/24", NetworkInterfaceId=target
        )
    one_more = {"RouteTableId": table, "DestinationCidrBlock": "10.201.0.0/24", "NetworkInterfaceId": target}
    assert refused(cloud.ec2.create_route, **one_more) == "RouteLimitExceeded"


def test_a_quota_that_there_is_not_is_refused(api: Api) -> None:
    with pytest.raises(HoldfastError, match="no quota eips; known: elastic-ips, vpcs"):
        api.grant({"eips": 6})


def test_a_quota_that_cannot_be_read_starts_no_twin(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["twin", "up", "--quota", "elastic-ips"]) == 1
    assert "--quota elastic-ips: accepted is NAME=NUMBER, such as elastic-ips=20" in capsys.readouterr().err
