"""Whether these credentials may deploy, as far as EC2 answers without doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from holdfast.ops import cloud
from holdfast.ops.preflight.check import Check, right, wrong
from holdfast.topology import Environment, names

ALLOWED, REFUSED = "DryRunOperation", "UnauthorizedOperation"


def check(environment: Environment) -> Iterator[Check]:
    """What takes neither a network nor a subnet: EC2 looks for these before it looks at permissions."""
    ec2 = cloud.client(environment, "ec2")
    tags = [{"Key": key, "Value": value} for key, value in names.tags(environment).items()]

    def specified(*kinds: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": tags} for kind in kinds]

    zone = environment.region + environment.zones[0]
    tries: dict[str, Callable[[], Any]] = {
        "CreateVpc": lambda: ec2.create_vpc(
            CidrBlock=str(environment.network.cidr), TagSpecifications=specified("vpc"), DryRun=True
        ),
        "CreateVolume": lambda: ec2.create_volume(
            AvailabilityZone=zone, Size=1, VolumeType="gp3", TagSpecifications=specified("volume"), DryRun=True
        ),
    }
    if environment.elastic_ips:
        tries["AllocateAddress"] = lambda: ec2.allocate_address(
            Domain="vpc", TagSpecifications=specified("elastic-ip"), DryRun=True
        )
    refused = [name for name, attempt in tries.items() if not _may(attempt)]
    if refused:
        said = f"these credentials may not {', '.join(refused)} with the tags of {environment.name}"
        yield wrong("permissions", f"{said}: holdfast policies {environment.name} --role deploy has what it takes")
    else:
        yield right("permissions", f"{', '.join(tries)} by dry run")


def _may(attempt: Callable[[], Any]) -> bool:
    try:
        attempt()
    except ClientError as error:
        if error.response["Error"]["Code"] == REFUSED:
            return False
        if error.response["Error"]["Code"] != ALLOWED:
            raise
    return True
