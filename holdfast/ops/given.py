"""A VPC that was there already, as the file has it and as it is: whether the environment can be in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops import cloud
from holdfast.topology import Cluster, Environment, InvalidEnvironment, Problem, Zone, names
from holdfast.topology.spec import SubnetSpec, VpcSpec

PATH = "network.vpc"


def require(environment: Environment, file: Path) -> None:
    """Look at the VPC, where the file names one.

    Raises:
        CloudError: the cloud does not tell.
        InvalidEnvironment: with everything that is not as the file has it, or in the way.
    """
    vpc = environment.network.vpc
    if vpc is None:
        return
    try:
        problems = list(_problems(environment, vpc, cloud.client(environment, "ec2")))
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, f"looking at {vpc.id}", error) from None
    if problems:
        raise InvalidEnvironment(str(file), problems)


def _problems(environment: Environment, vpc: VpcSpec, ec2: Any) -> Iterator[Problem]:
    found = _one(ec2.describe_vpcs, "Vpcs", "vpc-id", vpc.id)
    if found is None:
        yield _missing(f"{PATH}.id", vpc.id, "a VPC", environment)
        return
    ranges = [IPv4Network(it["CidrBlock"]) for it in found["CidrBlockAssociationSet"]]
    if environment.network.cidr not in ranges:
        yield Problem("network.cidr", str(environment.network.cidr), f"of {vpc.id}: {', '.join(map(str, ranges))}")
    if (pair := environment.floating) is not None:
        for cidr in ranges:
            if cidr.overlaps(pair):
                yield Problem("network.floating", f"{pair}, which overlaps {cidr} of {vpc.id}", "addresses elsewhere")
    yield from _names(environment, vpc, ec2)
    for zone in Cluster.of(environment).zones:
        yield from _subnet(environment, vpc, zone, ec2)
    for index, table in enumerate(vpc.route_tables):
        yield from _route_table(environment, vpc, f"{PATH}.route_tables[{index}]", table, ec2)


def _names(environment: Environment, vpc: VpcSpec, ec2: Any) -> Iterator[Problem]:
    """Names of the cloud's APIs are looked up by every node, and those of a private zone by clients."""
    wanted = ["enableDnsSupport", *(["enableDnsHostnames"] if environment.domain is not None else [])]
    for attribute in wanted:
        answer = ec2.describe_vpc_attribute(VpcId=vpc.id, Attribute=attribute)
        if not answer[attribute[0].upper() + attribute[1:]]["Value"]:
            accepted = "one with it" if attribute == "enableDnsSupport" else "one with it, or network.domain: none"
            yield Problem(f"{PATH}.id", f"{vpc.id}, without {attribute}", accepted)


def _subnet(environment: Environment, vpc: VpcSpec, zone: Zone, ec2: Any) -> Iterator[Problem]:
    subnet, path = vpc.subnets[zone.letter], f"{PATH}.subnets.{zone.letter}"
    found = _one(ec2.describe_subnets, "Subnets", "subnet-id", subnet.id)
    if found is None:
        yield _missing(f"{path}.id", subnet.id, "a subnet", environment)
        return
    for what, given, wanted in (
        ("id", found["VpcId"], vpc.id),
        ("id", found["AvailabilityZone"], zone.name),
        ("cidr", found["CidrBlock"], str(subnet.cidr)),
    ):
        if given != wanted:
            yield Problem(f"{path}.{what}", f"{subnet.id}, which has {given}", f"one that has {wanted}")
    yield from _reservations(environment, zone, subnet, f"{path}.block", ec2)
    yield from _interfaces(environment, subnet, f"{path}.block", ec2)


def _reservations(environment: Environment, zone: Zone, subnet: SubnetSpec, path: str, ec2: Any) -> Iterator[Problem]:
    for there in ec2.get_subnet_cidr_reservations(SubnetId=subnet.id)["SubnetIpv4CidrReservations"]:
        ours = there.get("Description") == names.reservation(environment, zone)
        if not ours and IPv4Network(there["Cidr"]).overlaps(subnet.block):
            found = f"{subnet.block}, which overlaps {there['Cidr']}, reserved as {there['SubnetCidrReservationId']}"
            yield Problem(path, found, "a block that nobody has reserved")


def _interfaces(environment: Environment, subnet: SubnetSpec, path: str, ec2: Any) -> Iterator[Problem]:
    """Others are in the block, as it was not reserved yet, or as they asked for that very address."""
    here = [{"Name": "subnet-id", "Values": [subnet.id]}]
    for page in ec2.get_paginator("describe_network_interfaces").paginate(Filters=here):
        for interface in page["NetworkInterfaces"]:
            if names.tags(environment).items() <= _tags(interface.get("TagSet", ())).items():
                continue
            addresses = [it["PrivateIpAddress"] for it in interface["PrivateIpAddresses"]]
            if taken := [it for it in addresses if IPv4Address(it) in subnet.block]:
                found = f"{subnet.block}, of which {interface['NetworkInterfaceId']} has {', '.join(taken)}"
                yield Problem(path, found, "a block of which nothing has an address")


def _route_table(environment: Environment, vpc: VpcSpec, path: str, table: str, ec2: Any) -> Iterator[Problem]:
    found = _one(ec2.describe_route_tables, "RouteTables", "route-table-id", table)
    if found is None:
        yield _missing(path, table, "a route table", environment)
        return
    if found["VpcId"] != vpc.id:
        yield Problem(path, f"{table}, which is of {found['VpcId']}", f"one of {vpc.id}")
    wanted, given = names.tags(environment), _tags(found["Tags"])
    if lacking := [f"{key}={value}" for key, value in wanted.items() if given.get(key) != value]:
        found_ = f"{table}, without the tags {', '.join(lacking)}"
        yield Problem(path, found_, "one that has them: by these tags gateways may move its routes, and find it")


def _one(describe: Any, key: str, filter_: str, id: str) -> Any | None:
    """By a filter, which finds nothing, where the id alone is an error."""
    found = describe(Filters=[{"Name": filter_, "Values": [id]}])[key]
    return found[0] if found else None


def _tags(listed: Any) -> Mapping[str, str]:
    return {tag["Key"]: tag["Value"] for tag in listed}


def _missing(path: str, id: str, what: str, environment: Environment) -> Problem:
    found = f"{id}, which is not there"
    return Problem(path, found, f"{what} in {environment.region}, of the account that the credentials are of")
