"""Moving an environment's pinned images forward: the only way in which a new image release reaches a node."""

from __future__ import annotations

from datetime import date

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud
from holdfast.topology import Environment, pins
from holdfast.topology.pins import Pin
from holdfast.topology.spec import MachineSpec


class NoImage(HoldfastError):
    """The publisher has no image of that name in the environment's region."""


def pinned(environment: Environment) -> dict[str, Pin]:
    """The environment's pins by image key (`debian-12/stock/amd64`)."""
    return pins.read().get(pins.owner(environment), {})


def newest(environment: Environment) -> dict[str, Pin]:
    """The newest release of every image that the environment's machines use.

    Raises:
        NoImage: there is none.
        CloudError: the API did not answer.
    """
    machines = {pins.key(environment, machine): machine for machine in environment.machines.values()}
    return {key: _newest(environment, machine) for key, machine in machines.items()}


def _newest(environment: Environment, machine: MachineSpec) -> Pin:
    query = pins.query(environment, machine)
    filters = [{"Name": name, "Values": [value]} for name, value in query.filters]
    try:
        found = cloud.client(environment, "ec2").describe_images(Owners=list(query.owners), Filters=filters)["Images"]
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, "looking for images", error) from None
    if not found:
        raise NoImage(
            f"{environment.name}: {environment.region} has no image of owner {query.owners[0]} named "
            f"{dict(query.filters)['name']}; another image for the machines of type {machine.type}, or another region"
        )
    image = max(found, key=lambda image: image["CreationDate"])
    source = f"EC2 DescribeImages in {environment.region}, {date.today().isoformat()}"
    return Pin(id=image["ImageId"], name=image["Name"], source=source)


def update(environment: Environment) -> dict[str, Pin]:
    """Pin the newest releases; the pins that changed."""
    before, after = pinned(environment), newest(environment)
    changed = {key: pin for key, pin in after.items() if key not in before or before[key].id != pin.id}
    if changed:
        pins.write(environment, changed)
    return changed
