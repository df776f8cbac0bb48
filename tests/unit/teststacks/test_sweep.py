"""What has expired goes, of every kind and however it hangs together; what has not all the tags is never touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.ops.teststacks.clouds import Cloud
from holdfast.ops.teststacks.inventory import Inventory
from holdfast.ops.teststacks.judge import expired_at
from holdfast.ops.teststacks.kinds import KINDS
from holdfast.ops.teststacks.kinds.kind import Kind
from holdfast.ops.teststacks.removal import Removal, Survivor
from holdfast.ops.teststacks.sweep import Pace
from tests.unit.teststacks.makers import EXPIRED, LATER, MAKERS, Maker, listed

NOW = datetime(2026, 1, 1, 14, tzinfo=UTC)
AT_ONCE = Pace(sleep=lambda seconds: None)


def reap(cloud: Cloud, pace: Pace = AT_ONCE) -> tuple[Inventory, list[Survivor]]:
    removal = Removal(cloud, expired_at(NOW), list, lambda sentence: None, pace=pace)
    return removal.carry_out(removal.look())


def ids(cloud: Cloud, kind: Kind) -> set[str]:
    """What there is of the kind, without what only waits to be gone."""
    return {thing.id for thing in kind.find(cloud.client(kind.service)) if thing.stage != "waiting"}


def test_a_whole_network_goes_with_all_that_hangs_together_in_it(cloud: Cloud) -> None:
    make = Maker(cloud, EXPIRED, "one")
    ec2, network = make.ec2, make.network()
    subnet = make.subnet(network)
    make.instance(subnet)
    gateway = make.internet_gateway()
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network)
    held = make.interface(subnet)
    address = make.address()
    ec2.associate_address(AllocationId=address, NetworkInterfaceId=held)
    ec2.create_nat_gateway(SubnetId=subnet, AllocationId=make.address(), TagSpecifications=make.specified("natgateway"))
    table = ec2.create_route_table(VpcId=network, TagSpecifications=make.specified("route-table"))
    table_id = table["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table_id, SubnetId=subnet)
    ec2.create_route(RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    one, two = make.group(network, "one"), make.group(network, "two")
    default = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [network]}])["SecurityGroups"]
    closed = next(group["GroupId"] for group in default if group["GroupName"] == "default")
    ec2.create_tags(Resources=[closed], Tags=listed(EXPIRED))
    for group, other in ((one, two), (two, one), (closed, one)):
        rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": other}]}
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
    for kind in ("Gateway", "Interface"):
        service = "s3" if kind == "Gateway" else "ec2"
        ec2.create_vpc_endpoint(
            VpcId=network,
            ServiceName=f"com.amazonaws.eu-central-1.{service}",
            VpcEndpointType=kind,
            **({"SubnetIds": [subnet]} if kind == "Interface" else {}),
            TagSpecifications=make.specified("vpc-endpoint"),
        )
    seen, left = reap(cloud)
    assert left == []
    assert seen.found == ()
    assert ec2.describe_vpcs()["Vpcs"] == []


def test_a_volume_on_its_own_machine_goes_after_it(cloud: Cloud) -> None:
    make = Maker(cloud, EXPIRED, "one")
    instance, volume = make.instance(), make.volume()
    make.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    assert reap(cloud)[1] == []
    assert make.ec2.describe_volumes()["Volumes"] == []


def test_what_a_machine_that_stays_uses_stays(cloud: Cloud) -> None:
    stays, goes = Maker(cloud, LATER, "stays"), Maker(cloud, EXPIRED, "goes")
    subnet = stays.bare_subnet()
    instance = stays.instance(subnet)
    volume, interface, address = goes.volume(), goes.interface(subnet), goes.address()
    goes.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    goes.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=instance, DeviceIndex=1)
    held = stays.interface(subnet)
    (network,) = stays.ec2.describe_vpcs()["Vpcs"]
    stays.ec2.attach_internet_gateway(InternetGatewayId=stays.internet_gateway(), VpcId=network["VpcId"])
    goes.ec2.associate_address(AllocationId=address, NetworkInterfaceId=held)
    left = reap(cloud)[1]
    assert {(it.kind, it.id): it.reason for it in left} == {
        ("volume", volume): f"in use by {instance}, which stays; held by {instance}",
        ("interface", interface): f"in use by {instance}, which stays; held by {instance}",
        ("address", address): f"in use by {held}, which stays; held by {held}",
    }
    attached = goes.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"]
    assert [it["InstanceId"] for it in attached] == [instance]


def test_a_gateway_of_a_network_that_stays_is_not_detached(cloud: Cloud) -> None:
    make = Maker(cloud, EXPIRED, "one")
    gateway, network = make.internet_gateway(), make.bare_network()
    make.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network)
    (left,) = reap(cloud)[1]
    assert left.reason == f"in use by {network}, which stays; held by {network}"


def test_a_stray_without_tags_is_left_and_named_as_what_keeps_the_rest(cloud: Cloud) -> None:
    make = Maker(cloud, EXPIRED, "one")
    network = make.network()
    subnet = make.subnet(network)
    group = make.group(network)
    stray = make.ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"]["NetworkInterfaceId"]
    pauses: list[float] = []
    left = reap(cloud, Pace(pauses=(1, 2), sleep=pauses.append))[1]
    assert {it.kind for it in left} == {"security group", "subnet", "network"}
    for it in left:
        assert it.reason.startswith("DependencyViolation: ")
    assert {it.kind: it.reason.rpartition("; held by ")[2] for it in left} == {
        "security group": stray,
        "subnet": stray,
        "network": f"{subnet}, {group}",
    }
    assert pauses == [1, 2] * 3 * 2  # each of the three, in each of two rounds: bounded


def test_rules_of_a_group_that_stays_are_not_ours_to_revoke(cloud: Cloud) -> None:
    make = Maker(cloud, EXPIRED, "one")
    network = make.bare_network()
    goes, stays = make.group(network, "goes"), Maker(cloud, LATER, "two").group(network, "stays")
    rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": goes}]}
    make.ec2.authorize_security_group_ingress(GroupId=stays, IpPermissions=[rule])
    (left,) = reap(cloud)[1]
    assert left.id == goes
    assert left.reason.endswith(f"; held by {stays}")
    rules = make.ec2.describe_security_groups(GroupIds=[stays])["SecurityGroups"][0]["IpPermissions"]
    assert [pair["GroupId"] for pair in rules[0]["UserIdGroupPairs"]] == [goes]


def test_every_version_marker_and_unfinished_upload_of_a_bucket_goes(cloud: Cloud) -> None:
    make = Maker(cloud, EXPIRED, "one")
    bucket, s3 = make.bucket(), cloud.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="twice", Body=body)
    s3.delete_object(Bucket=bucket, Key="twice")
    s3.create_multipart_upload(Bucket=bucket, Key="never finished")
    assert reap(cloud)[1] == []
    assert s3.list_buckets()["Buckets"] == []


def test_an_object_that_may_not_be_deleted_keeps_its_bucket(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, s3 = Maker(cloud, EXPIRED, "one").bucket(), cloud.client("s3")
    s3.put_object(Bucket=bucket, Key="held", Body=b"1")
    error = {"Key": "held", "Code": "AccessDenied", "Message": "it is locked"}
    monkeypatch.setattr(s3, "delete_objects", lambda **asked: {"Errors": [error]})
    (left,) = reap(cloud)[1]
    assert (left.id, left.reason) == (bucket, "AccessDenied: it is locked (held)")


def test_a_secret_that_waits_for_its_deletion_goes_at_once(cloud: Cloud) -> None:
    make = Maker(cloud, EXPIRED, "one")
    secrets = cloud.client("secretsmanager")
    secrets.delete_secret(SecretId=make.secret(), RecoveryWindowInDays=30)
    assert reap(cloud)[1] == []
    assert secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"] == []


def test_a_key_waits_its_shortest_time_without_its_alias_and_is_no_survivor(cloud: Cloud) -> None:
    key, kms = Maker(cloud, EXPIRED, "one").key(), cloud.client("kms")
    seen, left = reap(cloud)
    assert left == []
    (waiting,) = seen.waiting
    described = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert waiting.thing.note == f"to be deleted on {described['DeletionDate']:%Y-%m-%d}"
    assert (described["DeletionDate"] - datetime.now(described["DeletionDate"].tzinfo)).days in (6, 7)
    assert [it for it in kms.list_aliases()["Aliases"] if it["AliasName"] == "alias/one"] == []


def test_a_machine_that_somebody_protects_stays_with_the_reason(cloud: Cloud) -> None:
    make = Maker(cloud, EXPIRED, "one")
    instance = make.instance()
    make.ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": True})
    (left,) = reap(cloud)[1]
    assert left.id == instance
    assert left.reason.startswith("OperationNotPermitted: ")


@pytest.mark.parametrize(("kind", "call"), [("flow log", "delete_flow_logs"), ("endpoint", "delete_vpc_endpoints")])
def test_what_ec2_says_it_did_not_do_is_no_success(
    cloud: Cloud, kind: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = MAKERS[kind](Maker(cloud, EXPIRED, "one"))
    error = {"ResourceId": id, "Error": {"Code": "Busy", "Message": "later"}}
    monkeypatch.setattr(cloud.client("ec2"), call, lambda **asked: {"Unsuccessful": [error]})
    (left,) = reap(cloud)[1]
    assert (left.id, left.reason) == (id, "Busy: later")


def test_what_is_in_use_for_a_moment_is_tried_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker(cloud, EXPIRED, "one")
    subnet = make.subnet(make.network())
    stray = make.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    paused: list[float] = []

    def frees_it(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 2:
            make.ec2.delete_network_interface(NetworkInterfaceId=stray)

    assert reap(cloud, Pace(sleep=frees_it))[1] == []
    assert paused == [2, 5]


def test_the_sweep_waits_for_a_machine_to_terminate_and_not_for_ever(cloud: Cloud) -> None:
    make = Maker(cloud, EXPIRED, "one")
    instance = make.instance()
    answers = iter([make.ec2.describe_instances(InstanceIds=[instance])] * 2)
    shutting = next(answers)
    shutting["Reservations"][0]["Instances"][0]["State"]["Name"] = "shutting-down"
    ec2: Any = cloud.client("ec2")
    before = ec2.can_paginate
    ec2.can_paginate = lambda operation: operation != "describe_instances" and before(operation)
    ec2.describe_instances = lambda **asked: shutting
    clock = iter(range(0, 100_000, 100))
    polled: list[float] = []
    pace = Pace(pauses=(), sleep=polled.append, clock=lambda: float(next(clock)))
    (left,) = reap(cloud, pace)[1]
    assert (left.id, left.reason) == (instance, "it is still there")
    assert set(polled) == {2}
    assert len(polled) == 2 * 6  # ten minutes of this clock, in each of two rounds


def test_tags_that_change_after_the_look_are_seen(cloud: Cloud) -> None:
    make = Maker(cloud, EXPIRED, "one")
    volume = make.volume()
    removal = Removal(cloud, expired_at(NOW), list, lambda sentence: None, pace=AT_ONCE)
    before = removal.look()
    assert [it.thing.id for it in before.going] == [volume]
    make.ec2.create_tags(Resources=[volume], Tags=[{"Key": "Expires", "Value": "2099-01-01T00:00:00Z"}])
    assert removal.carry_out(before)[1] == []
    assert ids(cloud, next(kind for kind in KINDS if kind.name == "volume")) == {volume}


def test_what_is_said_comes_before_what_is_done(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    volume = Maker(cloud, EXPIRED, "one").volume()
    ec2: Any = cloud.client("ec2")
    delete: Callable[..., Any] = ec2.delete_volume
    monkeypatch.setattr(ec2, "delete_volume", lambda **asked: (order.append("done"), delete(**asked)))
    removal = Removal(cloud, expired_at(NOW), list, order.append, pace=AT_ONCE)
    removal.carry_out(removal.look())
    assert order == [f"test-one: removing volume {volume}", "done"]
