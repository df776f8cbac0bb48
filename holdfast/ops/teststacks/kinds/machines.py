"""Instances, where they are placed, and what they write to: volumes and snapshots."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.ops.teststacks.kinds.kind import OURS, Client, Kind, Stage, Thing, pages, tags_of


def _instances(client: Client) -> Iterator[Thing]:
    for reservation in pages(client, "describe_instances", "Reservations", Filters=OURS):
        for instance in reservation["Instances"]:
            state = instance["State"]["Name"]
            # EC2 tells of one for an hour after it is gone.
            if state != "terminated":
                stage = Stage.GOING if state == "shutting-down" else Stage.THERE
                yield Thing(instance["InstanceId"], tags_of(instance["Tags"]), stage, state)


def _placement_groups(client: Client) -> Iterator[Thing]:
    for group in pages(client, "describe_placement_groups", "PlacementGroups", Filters=OURS):
        stage = Stage.GOING if group["State"] == "deleting" else Stage.THERE
        yield Thing(group["GroupId"], tags_of(group["Tags"]), stage, note=group["GroupName"])


def _volumes(client: Client) -> Iterator[Thing]:
    for volume in pages(client, "describe_volumes", "Volumes", Filters=OURS):
        stage = Stage.GOING if volume["State"] == "deleting" else Stage.THERE
        holders = tuple(attachment["InstanceId"] for attachment in volume["Attachments"])
        yield Thing(volume["VolumeId"], tags_of(volume["Tags"]), stage, volume["State"], holders)


def _snapshots(client: Client) -> Iterator[Thing]:
    for snapshot in pages(client, "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=OURS):
        yield Thing(snapshot["SnapshotId"], tags_of(snapshot["Tags"]), note=f"of {snapshot['VolumeId']}")


INSTANCE = Kind(
    "instance",
    "ec2",
    _instances,
    # One that somebody protects from termination refuses: that was meant.
    lambda client, thing: client.terminate_instances(InstanceIds=[thing.id]),
)
PLACEMENT_GROUP = Kind(
    "placement group",
    "ec2",
    _placement_groups,
    lambda client, thing: client.delete_placement_group(GroupName=thing.note),
)
VOLUME = Kind("volume", "ec2", _volumes, lambda client, thing: client.delete_volume(VolumeId=thing.id))
SNAPSHOT = Kind("snapshot", "ec2", _snapshots, lambda client, thing: client.delete_snapshot(SnapshotId=thing.id))
