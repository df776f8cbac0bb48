"""What the tests of the twin's API ask it with: boto3, and a small network to ask about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from holdfast.twin.api import Api

REGION = "eu-central-1"
DEBIAN = "136693071363"
IMAGE = "ami-0000000000000deb1"


@contextmanager
def answering(*, instant: bool) -> Iterator[Api]:
    """The API, with one image; `instant`: nothing waits there for a state that a machine or a test sets."""
    api = Api(port=0, region=REGION, instant=instant)
    api.start()
    api.register_image(IMAGE, "debian-12-amd64-20251101-1", DEBIAN, "x86_64")
    try:
        yield api
    finally:
        api.stop()


def client(api: Api, service: str, url: str | None = None, region: str = REGION) -> Any:
    return boto3.client(
        service,
        endpoint_url=url or api.url,
        region_name=region,
        aws_access_key_id=api.key.id,
        aws_secret_access_key=api.key.secret,
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
