"""A machine attaches its own data volume, and takes it from nobody."""

from __future__ import annotations

import dataclasses

import pytest
from holdfast_node import aws
from holdfast_node.cloud import Cloud as NodeCloud
from holdfast_node.identity import Identity

from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import Cloud


class Machines:
    """This node's machine and the one before it, in one zone; the program that runs is this one's."""

    def __init__(self, api: Api, identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", api.key.id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", api.key.secret)
        self._cloud = Cloud(api)
        self.ec2 = self._cloud.ec2
        self.before = self._cloud.run(self._cloud.interface(self._cloud.a, "10.40.0.7"))
        self.mine = self._cloud.run(self._cloud.interface(self._cloud.a, "10.40.0.4"))
        monkeypatch.setattr(aws, "instance_id", lambda: self.mine)
        self.program = NodeCloud(dataclasses.replace(identity, api_endpoint=api.url))

    def data_volume(self, node: str) -> str:
        volume: str = self._cloud.volume("a")
        tags = {"Environment": "local", "Node": node, "Volume": "data"}
        self.ec2.create_tags(Resources=[volume], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
        return volume

    def holders(self, volume: str) -> list[tuple[str, str]]:
        found = self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"]
        return [(attachment["InstanceId"], attachment["Device"]) for attachment in found]


@pytest.fixture
def machines(instant: Api, identity: Identity, monkeypatch: pytest.MonkeyPatch) -> Machines:
    return Machines(instant, identity, monkeypatch)


def test_a_machine_attaches_its_own_volume_once_nobody_else_has_it(machines: Machines) -> None:
    volume, other = machines.data_volume("local-a1"), machines.data_volume("local-b1")
    machines.ec2.attach_volume(VolumeId=volume, InstanceId=machines.before, Device="/dev/sdf")
    assert machines.program.attach_data_volume() == f"waits for {volume}, which {machines.before} still has"
    machines.ec2.terminate_instances(InstanceIds=[machines.before])
    assert machines.program.attach_data_volume() == f"attaches {volume}"
    assert machines.program.attach_data_volume() == f"{volume} is being attached"
    assert machines.holders(volume) == [(machines.mine, "/dev/sdf")]
    assert machines.holders(other) == []


def test_without_a_volume_that_is_clearly_its_own_it_attaches_none(machines: Machines) -> None:
    with pytest.raises(LookupError, match="'Node': 'local-a1', 'Volume': 'data'}: none; accepted: exactly one"):
        machines.program.attach_data_volume()
    both = [machines.data_volume("local-a1") for _ in range(2)]
    with pytest.raises(LookupError, match="vol-[0-9a-f]+, vol-[0-9a-f]+; accepted: exactly one"):
        machines.program.attach_data_volume()
    assert [machines.holders(volume) for volume in both] == [[], []]
