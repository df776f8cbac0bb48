"""Moving forward what is pinned for an environment: the only way in which a new image release reaches a node.

Images and facts of instance types, which EC2 is asked for, and versions of packages, which the distributions' mirrors
are asked for: here, and read from files everywhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from debian.debian_support import Version

from holdfast.errors import HoldfastError
from holdfast.ops import cloud, mirrors
from holdfast.ops.baking import tags
from holdfast.ops.mirrors import MirrorError
from holdfast.rendering.files import PACKAGES
from holdfast.topology import Environment, pinned_packages, pinned_types, pins
from holdfast.topology.instances import InstanceType, described
from holdfast.topology.load import ENVIRONMENTS, load_draft, load_environment
from holdfast.topology.pinned_packages import Packages
from holdfast.topology.pinned_types import PinnedType
from holdfast.topology.pins import Pin
from holdfast.topology.spec import Images, MachineSpec


class NoImage(HoldfastError):
    """The publisher has no image of that name in the environment's region."""


class NoType(HoldfastError):
    """EC2 has no instance type of that name in the environment's region, or none that a distribution runs on."""


def pinned(environment: Environment) -> dict[str, Pin]:
    """The environment's pins by image key (`debian-12/stock/amd64`)."""
    return pins.read(ENVIRONMENTS).get(pins.owner(environment), {})


def newest(environment: Environment) -> dict[str, Pin]:
    """The newest release of every image that the environment's machines use.

    Raises:
        NoImage: there is none.
        CloudError: the API did not answer.
    """
    return {key: _pin(environment, image) for key, image in _newest(environment).items()}


def _newest(environment: Environment) -> dict[str, Mapping[str, Any]]:
    """As EC2 describes them."""
    machines = {pins.key(environment, machine): machine for machine in environment.machines.values()}
    return {key: _newest_of(environment, machine) for key, machine in machines.items()}


def _newest_of(environment: Environment, machine: MachineSpec) -> Mapping[str, Any]:
    query = pins.query(environment, machine)
    filters = [{"Name": name, "Values": [value]} for name, value in query.filters]
    try:
        found = cloud.client(environment, "ec2").describe_images(Owners=list(query.owners), Filters=filters)["Images"]
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, "looking for images", error) from None
    # One that is just being baked may turn out to be unfit.
    finished = [image for image in found if tags.UNTIL not in tags.read(image)]
    if not finished:
        baked = environment.images is Images.BAKED
        remedy = "make one: holdfast images bake ENV" if baked else "another region"
        raise NoImage(
            f"{environment.name}: {environment.region} has no image of owner {query.owners[0]} named "
            f"{dict(query.filters)['name']}; another image for the machines of type {machine.type}, or {remedy}"
        )
    newest: Mapping[str, Any] = max(finished, key=lambda image: image["CreationDate"])
    return newest


def _pin(environment: Environment, image: Mapping[str, Any]) -> Pin:
    return Pin(id=image["ImageId"], name=image["Name"], source=_source(environment, "DescribeImages"))


def _source(environment: Environment, call: str) -> str:
    return f"EC2 {call} in {environment.region}, {date.today().isoformat()}"


def update(environment: Environment) -> dict[str, Pin]:
    """Pin the newest releases; the pins that changed."""
    before, found = pinned(environment), _newest(environment)
    after = {key: _pin(environment, image) for key, image in found.items()}
    changed = {key: pin for key, pin in after.items() if key not in before or before[key].id != pin.id}
    if changed and environment.images is Images.BAKED:
        # What is in them, for their first boot to compare. Of an image from elsewhere nobody knows.
        inside = {key: Packages(tags.packages(tags.read(found[key])), pin.name) for key, pin in changed.items()}
        pinned_packages.write(pins.owner(environment), inside, ENVIRONMENTS)
    if changed:
        pins.write(environment, changed, ENVIRONMENTS)
    return changed


def pinned_facts(environment: Environment) -> dict[str, PinnedType]:
    """What is pinned of the environment's instance types."""
    return pinned_types.read(ENVIRONMENTS).get(pins.owner(environment), {})


def facts(environment: Environment, types: Collection[str]) -> dict[str, InstanceType]:
    """What EC2 says now of these instance types.

    Raises:
        NoType: one is of no use to a node.
        ClientError, BotoCoreError: as boto3 does; `InvalidInstanceType` where the region has not all of them.
    """
    answers = cloud.client(environment, "ec2").describe_instance_types(InstanceTypes=sorted(types))["InstanceTypes"]
    return {answer["InstanceType"]: _facts(environment, answer) for answer in answers}


def _facts(environment: Environment, answer: Mapping[str, Any]) -> InstanceType:
    try:
        return described(answer)
    except ValueError as error:
        raise NoType(f"{environment.name}: {answer['InstanceType']} cannot be a machine's type: {error}") from None


def update_facts(environment: Environment) -> dict[str, PinnedType]:
    """Pin what EC2 says of the instance types; those of which that changed. It may be a draft, with unknown types.

    Raises:
        NoType: the region has none of that name, or one that is of no use.
        CloudError: the API did not answer.
    """
    named = {machine.type for machine in environment.machines.values()}
    try:
        said = facts(environment, named)
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] == "InvalidInstanceType":
            raise NoType(
                f"{environment.name}: {environment.region} has not all of the types that machines name "
                f"({', '.join(sorted(named))}). EC2 says: {error.response['Error']['Message']}. "
                "Another machines.KEY.type, or another region"
            ) from None
        raise cloud.explain(environment, "asking for instance types", error) from None
    before, source = pinned_facts(environment), _source(environment, "DescribeInstanceTypes")
    changed = {
        type: PinnedType.of(now, source)
        for type, now in said.items()
        if type not in before or before[type].facts != now
    }
    if changed:
        pinned_types.write(pins.owner(environment), changed, ENVIRONMENTS)
    return changed


def pinned_packages_of(environment: Environment) -> dict[str, Packages]:
    """What is pinned of the packages that the environment's machines install; by `debian-12/amd64`."""
    return {key: machine.packages for key, machine in environment.installing.items() if machine.packages}


def update_packages(environment: Environment) -> dict[str, Packages]:
    """Pin the versions that the mirrors have now; those that changed.

    Raises:
        MirrorError: a mirror does not answer, or has a version older than the pinned one alone.
    """
    changed = {}
    for key, machine in environment.installing.items():
        now = mirrors.newest(machine.image, machine.instance.arch, PACKAGES)
        before = machine.packages.versions if machine.packages else {}
        for name in now.keys() & before.keys():
            if Version(now[name]) < Version(before[name]):
                raise MirrorError(
                    f"{environment.name}: the mirrors of {machine.image} have {name} {now[name]}, which is older than "
                    f"the pinned {before[name]}: try again later. If it was withdrawn, take {key} out of "
                    f"{ENVIRONMENTS / pinned_packages.FILE}"
                )
        if now != before:
            changed[key] = Packages(now, f"the mirrors of {machine.image}, {date.today().isoformat()}")
    if changed:
        pinned_packages.write(pins.owner(environment), changed, ENVIRONMENTS)
    return changed


def update_all(file: Path) -> dict[str, Pin | PinnedType | Packages]:
    """Pin what the environment in the file uses, as it is now: what changed, by type, image or distribution.

    Raises:
        InvalidEnvironment: the file is wrong, maybe by what its types turned out to be.
    """
    types = update_facts(load_draft(file))
    environment = load_environment(file)
    return {**types, **update(environment), **update_packages(environment)}
