"""Whether the pinned images and packages, and the instance types, are to be had."""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from holdfast.ops import cloud, mirrors
from holdfast.ops import images as images_of
from holdfast.ops.preflight.check import Check, Verdict, right, wrong
from holdfast.topology import Environment, pins


def images(environment: Environment) -> Iterator[Check]:
    ec2, update = cloud.client(environment, "ec2"), f"holdfast images update {pins.owner(environment)}"
    for key, machine in {pins.key(environment, it): it for it in environment.machines.values()}.items():
        what = f"image {key}"
        try:
            id = pins.image_id(environment, machine)
            [image] = ec2.describe_images(ImageIds=[id])["Images"]
        except pins.UnpinnedImage:
            yield wrong(what, f"none is pinned: {update}")
            continue
        except (ClientError, ValueError) as error:
            if isinstance(error, ClientError) and not error.response["Error"]["Code"].startswith("InvalidAMIID"):
                raise
            yield wrong(what, f"{id} is not there, or not for this account: {update}")
            continue
        architecture = pins.EC2_ARCHITECTURES[machine.instance.arch]
        if image["State"] != "available":
            yield wrong(what, f"{id} is {image['State']}: {update}")
        elif image["Architecture"] != architecture:
            yield wrong(what, f"{id} is of {image['Architecture']}, and {machine.type} takes {architecture}: {update}")
        else:
            yield right(what, f"{id} ({image['Name']}) is available, for {architecture}")


def packages(environment: Environment) -> Iterator[Check]:
    update = f"holdfast images update {pins.owner(environment)}"
    for key, machine in environment.installing.items():
        what = f"packages {key}"
        if machine.packages is None:
            yield wrong(what, f"none is pinned, so first boot installs the newest: {update}")
            continue
        pinned = machine.packages.versions
        try:
            offered = mirrors.offered(machine.image, machine.instance.arch, pinned)
        except mirrors.MirrorError as error:
            yield Check(what, Verdict.UNKNOWN, str(error))
            continue
        gone = [f"{name} {version}" for name, version in pinned.items() if version not in offered[name]]
        if gone:
            yield wrong(what, f"the mirrors have no {', '.join(gone)} any more, so no machine could boot: {update}")
        else:
            yield right(what, f"the mirrors have {', '.join(f'{name} {version}' for name, version in pinned.items())}")


def types(environment: Environment) -> Iterator[Check]:
    wanted = sorted({machine.type for machine in environment.machines.values()})
    zones = [environment.region + letter for letter in environment.zones]
    pages = cloud.client(environment, "ec2").get_paginator("describe_instance_type_offerings")
    filters = [{"Name": "instance-type", "Values": wanted}, {"Name": "location", "Values": zones}]
    offered = {
        (offer["InstanceType"], offer["Location"])
        for page in pages.paginate(LocationType="availability-zone", Filters=filters)
        for offer in page["InstanceTypeOfferings"]
    }
    anywhere = {type for type, _ in offered}
    said = images_of.facts(environment, anywhere) if anywhere else {}
    known = {machine.type: machine.instance for machine in environment.machines.values()}
    for type in wanted:
        missing = [zone for zone in zones if (type, zone) not in offered]
        if missing:
            yield wrong(f"type {type}", f"not offered in {', '.join(missing)}: another type, or other zones")
        elif said[type] != known[type]:
            yield wrong(
                f"type {type}",
                f"EC2 says {said[type].says}, and here it is known as {known[type].says}: "
                f"holdfast images update {pins.owner(environment)}",
            )
        else:
            yield right(f"type {type}", f"offered in {', '.join(zones)}: {known[type].says}")
