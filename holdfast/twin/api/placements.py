"""Placement groups, of which moto knows nothing: those of the strategy `spread`, with EC2's rules.

EC2 user guide, "Placement strategies for your placement groups"; API reference, "Error codes". The user guide says that
an eighth instance does not start, and not with which error: that is the twin's own.
"""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.instances import Instance
from moto.ec2.responses import EC2Response
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, EC2_RESOURCE_TO_PREFIX, random_id

from holdfast.twin.api.patching import Method, around, refuse

MOST = 7
"""Running instances of a group in one zone."""

KIND, PREFIX = "placement-group", "pg"
EC2_RESOURCE_TO_PREFIX[KIND], EC2_PREFIX_TO_RESOURCE[PREFIX] = PREFIX, KIND


class PlacementGroup(TaggedEC2Resource):
    def __init__(self, backend: Any, name: str) -> None:
        self.ec2_backend, self.group_name, self.id = backend, name, random_id(prefix=PREFIX)

    @property
    def instances(self) -> list[Any]:
        """Those that are in it, and are not gone."""
        there = self.ec2_backend.all_instances()
        return [it for it in there if it.placement.group_name == self.group_name and it.state != "terminated"]

    def described(self) -> dict[str, Any]:
        backend = self.ec2_backend
        return {
            "GroupName": self.group_name,
            "State": "available",
            "Strategy": "spread",
            "SpreadLevel": "rack",
            "GroupId": self.id,
            "GroupArn": f"arn:aws:ec2:{backend.region_name}:{backend.account_id}:placement-group/{self.group_name}",
            "Tags": [{"Key": tag["key"], "Value": tag["value"]} for tag in self.get_tags()],
        }

    def check_room(self, zone: str) -> None:
        """For one more that runs in the zone."""
        running = [it for it in self.instances if it.placement.zone == zone and it.state in ("pending", "running")]
        if len(running) >= MOST:
            raise refuse(
                "InvalidParameterValue",
                f"The placement group '{self.group_name}' has {MOST} running instances in {zone}, and takes no more.",
            )


def _groups(ec2: Any) -> dict[str, PlacementGroup]:
    """By name; kept with the backend's state."""
    if not hasattr(ec2, "placement_groups"):
        ec2.placement_groups = {}
    groups: dict[str, PlacementGroup] = ec2.placement_groups
    return groups


def _group(ec2: Any, name: str) -> PlacementGroup:
    group = _groups(ec2).get(name)
    if group is None:
        raise refuse("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    return group


def _create(self: Any) -> ActionResult:
    groups, name, strategy = _groups(self.ec2_backend), self._get_param("GroupName"), self._get_param("Strategy")
    if name in groups:
        raise refuse("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")
    if strategy != "spread":
        raise refuse("InvalidParameterValue", f"Strategy {strategy}: the twin has spread alone.")
    groups[name] = group = PlacementGroup(self.ec2_backend, name)
    group.add_tags(self._parse_tag_specification().get(KIND, {}))
    return ActionResult({"PlacementGroup": group.described()})


def _describe(self: Any) -> ActionResult:
    ec2, names, ids = self.ec2_backend, self._get_param("GroupNames", []), self._get_param("GroupIds", [])
    found = [_group(ec2, name) for name in names] or list(_groups(ec2).values())
    chosen = [group for group in found if not ids or group.id in ids]
    for name, values in self._filters_from_querystring().items():
        chosen = [group for group in chosen if group.get_filter_value(name, "DescribePlacementGroups") in values]
    return ActionResult({"PlacementGroups": [group.described() for group in chosen]})


def _delete(self: Any) -> EmptyResult:
    group = _group(self.ec2_backend, self._get_param("GroupName"))
    if group.instances:
        said = f"The placement group '{group.group_name}' is in use and may not be deleted."
        raise refuse("InvalidPlacementGroup.InUse", said)
    del _groups(self.ec2_backend)[group.group_name]
    return EmptyResult()


response: Any = EC2Response
response.create_placement_group = _create
response.describe_placement_groups = _describe
response.delete_placement_group = _delete


@around(InstanceResponse, "run_instances")
def _run(original: Method, self: Any) -> Any:
    name = self._get_param("Placement.GroupName")
    if not name:
        return original(self)
    group = _group(self.ec2_backend, name)
    before = {instance.id for instance in self.ec2_backend.all_instances()}
    token = self._get_param("ClientToken")
    if not any(it.client_token == token for it in group.instances):
        group.check_room(_zone(self))
    answer = original(self)
    for instance in answer.result.instances:
        if instance.id not in before:
            instance.placement.group_name = name
    return answer


def _zone(self: Any) -> str:
    """Where an instance is asked for."""
    ec2, interfaces = self.ec2_backend, self._get_param("NetworkInterfaces", [])
    subnet = self._get_param("SubnetId")
    if interfaces and "NetworkInterfaceId" in interfaces[0]:
        return str(ec2.get_network_interface(interfaces[0]["NetworkInterfaceId"]).subnet.availability_zone)
    if subnet:
        return str(ec2.get_subnet(subnet).availability_zone)
    return str(self._get_param("Placement.AvailabilityZone"))


@around(Instance, "start")
def _start(original: Method, self: Any) -> Any:
    if self.state == "stopped" and self.placement.group_name:
        _group(self.ec2_backend, self.placement.group_name).check_room(self.placement.zone)
    return original(self)
