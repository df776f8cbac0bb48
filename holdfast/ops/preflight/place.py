"""Whose credentials these are, and whether region and zones are open to them."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.ops import cloud
from holdfast.ops.preflight.check import Check, right, wrong
from holdfast.topology import Environment


def account(environment: Environment) -> Iterator[Check]:
    """`cloud.client` has refused another account than `cloud.account` before."""
    found = cloud.client(environment, "sts").get_caller_identity()
    said = f"{found['Account']}, by the credentials of {found['Arn']}"
    if environment.cloud.account is None:
        said += f'; with cloud.account: "{found["Account"]}" in the file, those of another account would be refused'
    yield right("account", said)


def zones(environment: Environment) -> Iterator[Check]:
    answer = cloud.client(environment, "ec2").describe_availability_zones(AllAvailabilityZones=False)
    found = {zone["ZoneName"]: zone["State"] for zone in answer["AvailabilityZones"]}
    wanted = [environment.region + letter for letter in environment.zones]
    closed = [f"{name} is {found.get(name, 'not there')}" for name in wanted if found.get(name) != "available"]
    if closed:
        there = ", ".join(sorted(name for name, state in found.items() if state == "available"))
        yield wrong("zones", f"{'; '.join(closed)}; available to this account: {there}")
    else:
        yield right("zones", f"{', '.join(wanted)}: open to this account")
