"""Where an image is made: a machine in a network of its own, found by its tags and taken down whatever happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud
from holdfast.ops.baking import tags
from holdfast.ops.teststacks.kinds.groups import GROUP
from holdfast.ops.teststacks.kinds.kind import OURS, Client, Kind, NotRemoved, Stage, Thing, pages
from holdfast.ops.teststacks.kinds.machines import INSTANCE, SNAPSHOT, VOLUME
from holdfast.ops.teststacks.kinds.network import INTERFACE, INTERNET_GATEWAY, NETWORK, ROUTE_TABLE, SUBNET
from holdfast.topology import Environment

CIDR = "10.255.255.240/28"
"""The smallest that EC2 takes. No other network meets it."""

TYPES = {"amd64": "t3.small", "arm64": "t4g.small"}
"""The machine for it, by architecture."""

LOOK = 3.0
"""Seconds between two looks."""
TAKEN_DOWN_WITHIN = 300.0
"""Seconds: EC2 needs a minute to end a machine, and lets its network go only then."""

Say = Callable[[str], None]
Tags = Mapping[str, str]


class NotTakenDown(HoldfastError):
    """Something that was made for an image is still there."""


@dataclass(frozen=True)
class Plan:
    """What is to be made. `subnet`: one that is there already; None: a network of its own."""

    image: str
    type: str
    user_data: bytes
    subnet: str | None
    zone: str


KNOWN_WITHIN = 60.0
"""Seconds after which EC2 knows everywhere what it has made."""


def soon(call: Callable[..., Any], **arguments: Any) -> Any:
    """The answer of a call about what was made just now, which EC2 may not know yet.

    Raises:
        ClientError, BotoCoreError: as boto3 does.
    """
    deadline = time.monotonic() + KNOWN_WITHIN
    while True:
        try:
            return call(**arguments)
        except ClientError as error:
            if ".NotFound" not in error.response["Error"]["Code"] or time.monotonic() > deadline:
                raise
        time.sleep(LOOK)


def set_up(client: Client, plan: Plan, labels: Tags) -> str:
    """Make all of it; the id of the machine.

    Raises:
        ClientError, BotoCoreError: as boto3 does. What was made until then is found by its tags.
    """
    if plan.subnet is None:
        network, subnet = _network(client, plan.zone, labels)
    else:
        (given,) = client.describe_subnets(SubnetIds=[plan.subnet])["Subnets"]
        network, subnet = given["VpcId"], plan.subnet
    group = soon(
        client.create_security_group,
        VpcId=network,
        GroupName=labels["Name"],
        Description="A machine of which an image is taken: nobody reaches it",
        TagSpecifications=tags.specified(labels, "security-group"),
    )["GroupId"]
    interface: dict[str, Any] = {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group], "DeleteOnTermination": True}
    if plan.subnet is None:
        interface["AssociatePublicIpAddress"] = True
    made = soon(
        client.run_instances,
        ImageId=plan.image,
        InstanceType=plan.type,
        MinCount=1,
        MaxCount=1,
        ClientToken=labels["Name"],
        UserData=plan.user_data,
        NetworkInterfaces=[interface],
        InstanceInitiatedShutdownBehavior="stop",
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        TagSpecifications=tags.specified(labels, "instance", "volume", "network-interface"),
    )
    return str(made["Instances"][0]["InstanceId"])


def _network(client: Client, zone: str, labels: Tags) -> tuple[str, str]:
    """A network with a way out and none in, and its subnet."""
    network = client.create_vpc(CidrBlock=CIDR, TagSpecifications=tags.specified(labels, "vpc"))["Vpc"]["VpcId"]
    client.get_waiter("vpc_available").wait(VpcIds=[network], WaiterConfig={"Delay": 2, "MaxAttempts": 30})
    gateway = client.create_internet_gateway(TagSpecifications=tags.specified(labels, "internet-gateway"))
    gateway = gateway["InternetGateway"]["InternetGatewayId"]
    soon(client.attach_internet_gateway, InternetGatewayId=gateway, VpcId=network)
    subnet = soon(
        client.create_subnet,
        VpcId=network,
        CidrBlock=CIDR,
        AvailabilityZone=zone,
        TagSpecifications=tags.specified(labels, "subnet"),
    )["Subnet"]["SubnetId"]
    table = soon(client.create_route_table, VpcId=network, TagSpecifications=tags.specified(labels, "route-table"))
    table = table["RouteTable"]["RouteTableId"]
    soon(client.create_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    soon(client.associate_route_table, RouteTableId=table, SubnetId=subnet)
    return network, subnet


def take_down(environment: Environment, bake: str, say: Say) -> None:
    """Remove all that this bake made and that is not to stay.

    Raises:
        NotTakenDown: naming what is left, and why.
        CloudError: the API did not answer.
    """
    try:
        _remove_all(environment, lambda labels: labels.get(tags.BAKE) == bake, say)
    except KeyboardInterrupt:
        say(f"interrupted while it took down; what is left has the tag {tags.BAKE}, and goes with a later bake")
        raise


def sweep(environment: Environment, say: Say) -> None:
    """The same of earlier ones that were cut off, once nobody can be using it any more."""
    now = datetime.now(UTC)

    def left_over(labels: Tags) -> bool:
        return tags.over(labels, now)

    _remove_all(environment, left_over, say, news="left over by an earlier run: ")


def instances_of(reservations: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """As EC2 describes them."""
    return [instance for reservation in reservations for instance in reservation["Instances"]]


def _images(client: Client) -> Iterator[Thing]:
    for image in pages(client, "describe_images", "Images", Owners=["self"], Filters=OURS):
        yield Thing(image["ImageId"], tags.read(image))


IMAGE = Kind("image", "ec2", _images, lambda client, thing: client.deregister_image(ImageId=thing.id))

KINDS = (INSTANCE, IMAGE, SNAPSHOT, VOLUME, INTERFACE, GROUP, ROUTE_TABLE, INTERNET_GATEWAY, SUBNET, NETWORK)
"""From the inside outwards. EC2 refuses what another one still needs: that goes next time."""


def _remove_all(environment: Environment, goes: Callable[[Tags], bool], say: Say, news: str = "") -> None:
    client = cloud.client(environment, "ec2")
    deadline = time.monotonic() + TAKEN_DOWN_WITHIN
    told: set[str] = set()
    while True:
        try:
            left = list(_things(client, goes))
        except (BotoCoreError, ClientError) as error:
            raise cloud.explain(environment, "looking for what a bake left", error) from None
        refused = {thing.id: why for kind, thing in left if (why := _try(client, kind, thing))}
        for kind, thing in left:
            if thing.id not in told | refused.keys() and thing.stage is Stage.THERE:
                told.add(thing.id)
                say(f"{news}removed {kind.name} {thing.id}")
        if not left:
            return
        if time.monotonic() > deadline:
            names = "; ".join(f"{kind.name} {thing.id} ({refused.get(thing.id, 'on its way')})" for kind, thing in left)
            raise NotTakenDown(
                f"{environment.name}: still there after {TAKEN_DOWN_WITHIN:g} s: {names}. It has the tag {tags.UNTIL}: "
                "the next `holdfast images bake` removes it after that time"
            )
        time.sleep(LOOK)


def _try(client: Client, kind: Kind, thing: Thing) -> str | None:
    """Why it cannot go yet."""
    if thing.stage is Stage.GOING:
        return None
    try:
        kind.remove(client, thing)
    except NotRemoved as error:
        return str(error)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return None if "NotFound" in code or code == "InvalidAMIID.Unavailable" else code
    return None


def _things(client: Client, goes: Callable[[Tags], bool]) -> Iterator[tuple[Kind, Thing]]:
    """What is to go."""
    for kind in KINDS:
        for thing in kind.find(client):
            if tags.UNTIL in thing.tags and goes(thing.tags) and not thing.rides:
                yield kind, thing
