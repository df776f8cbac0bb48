"""Baking: what is made and pinned, and that nothing else is left, whatever goes wrong and whenever it does."""

from __future__ import annotations

import base64
import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from holdfast import cli
from holdfast.errors import HoldfastError
from holdfast.ops import cloud
from holdfast.ops.baking import bake, shelf, tags, workshop
from holdfast.ops.baking.bake import NotBaked
from holdfast.rendering import render_files
from holdfast.topology import Cluster, load_environment, pinned_packages, pins
from holdfast.topology.pinned_packages import Packages
from tests.unit.baking.conftest import BASE, VERSIONS, Machine, Oven

MADE_IN_ORDER = (
    "CreateVpc",
    "CreateInternetGateway",
    "AttachInternetGateway",
    "CreateSubnet",
    "CreateRouteTable",
    "CreateRoute",
    "AssociateRouteTable",
    "CreateSecurityGroup",
    "RunInstances",
    "GetConsoleOutput",
    "CreateImage",
    "DeleteTags",
)


def pinned(oven: Oven) -> pins.Pin | None:
    return pins.read(oven.folder)["oven"].get("debian-12/baked/amd64")


def test_the_image_is_pinned_with_what_is_in_it_and_nothing_else_is_left(oven: Oven) -> None:
    baked = oven.bake()
    image = oven.ec2.describe_images(ImageIds=[baked.pin.id])["Images"][0]
    labels = tags.read(image)
    (snapshot,) = bake.snapshots(image)
    assert oven.left() == sorted([image["ImageId"], snapshot])
    assert pinned(oven) == baked.pin
    assert baked.pin.built == datetime.now(UTC).date()
    assert tags.packages(labels) == VERSIONS
    assert (labels["Project"], labels[tags.BASE], labels["CostCenter"]) == ("holdfast", BASE, "4711")
    # It is of no environment: others may take it.
    assert labels.keys() & {"Environment", tags.UNTIL} == set()
    cluster = Cluster.of(load_environment(oven.folder / "oven.yaml", oven.folder))
    files = render_files(cluster, cluster.nodes[0])
    assert json.loads(files["/etc/holdfast/packages.json"]) == {}
    assert json.loads(files["/etc/holdfast/baked.json"]) == VERSIONS


def test_the_machine_has_no_role_no_way_in_and_the_pinned_packages(oven: Oven, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    take = bake._take

    def look(client: Any, instance: str, *args: Any) -> str:
        seen["instance"] = oven.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        group = seen["instance"]["NetworkInterfaces"][0]["Groups"][0]["GroupId"]
        seen["group"] = oven.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
        told = oven.ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")["UserData"]["Value"]
        seen["config"] = yaml.safe_load(gzip.decompress(base64.b64decode(told)))
        return take(client, instance, *args)

    monkeypatch.setattr(bake, "_take", look)
    oven.bake()
    instance, config = seen["instance"], seen["config"]
    assert (instance["ImageId"], instance["InstanceType"]) == (BASE, "t3.small")
    assert "IamInstanceProfile" not in instance
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert seen["group"]["IpPermissions"] == []
    files = {entry["path"]: entry["content"] for entry in config["write_files"]}
    assert json.loads(files["/usr/local/lib/holdfast/bake.json"])["packages"] == VERSIONS
    assert files["/usr/local/lib/holdfast/packages.py"].startswith('"""Packages of the distribution')
    assert 'APT::Periodic::Enable "0"' in files["/etc/apt/apt.conf.d/zz-holdfast"]


def test_a_given_subnet_is_used_and_left_as_it_was(oven: Oven) -> None:
    vpc = oven.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = oven.ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    before = oven.ec2.describe_security_groups()["SecurityGroups"]
    oven.bake(subnet=subnet)
    assert [it["VpcId"] for it in oven.ec2.describe_vpcs()["Vpcs"]] == [vpc]
    assert oven.ec2.describe_security_groups()["SecurityGroups"] == before
    assert oven.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"] == 251


def fails(says: str) -> Machine:
    return Machine(says=lambda bake_id: f"bake: asks the package mirrors\n[1.0] holdfast-bake {bake_id} failed: {says}")


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (fails("the package mirrors lack haproxy 2.6-1"), "has made no image: the package mirrors lack haproxy 2.6-1."),
        (Machine(says=lambda _: "Kernel panic", ends=None), "is running after 0.5 s, and not done: does its subnet"),
        (Machine(says=lambda _: "off by hand"), "powered itself off, and said nothing.* ends with:\n  off by hand"),
        (Machine(says=lambda _: ""), "said nothing of its work. EC2 has nothing of its console"),
        # Another machine's words are not this one's.
        (Machine(says=lambda _: "holdfast-bake 20200101-000000-aaaa done"), "said nothing of its work"),
        (Machine(image=("failed", "no room")), "the image ami-.* is failed: Client.InternalError: no room"),
        (Machine(image=None), "the image ami-.* is pending after 0.5 s"),
    ],
)
def test_what_fails_is_told_and_leaves_nothing(
    machine: Machine, words: str, oven: Oven, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bake, "POSTED_WITHIN", 0.2)
    monkeypatch.setattr(bake, "IMAGE_WITHIN", 0.5)
    oven.machine = machine
    with pytest.raises(NotBaked, match=f"(?s){words}"):
        oven.bake(timeout=0.5)
    assert oven.left() == []
    assert oven.ec2.describe_vpcs()["Vpcs"] == []
    assert pinned(oven) is None


def test_a_machine_that_ec2_ends_is_told_in_ec2s_words(oven: Oven) -> None:
    """As where a key of the account's default encryption cannot be used."""
    oven.machine = Machine(says=lambda _: "", ends="killed")
    with pytest.raises(NotBaked, match="did not power itself off: Client.UserInitiatedShutdown: User initiated"):
        oven.bake()
    assert oven.left() == []


@pytest.mark.parametrize("call", MADE_IN_ORDER)
def test_interrupted_at_any_call_it_leaves_nothing(call: str, oven: Oven, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the answer has arrived: nobody knows the id of what was made."""
    original, interrupted = cloud.client, []

    def interrupt(**_: Any) -> None:
        if not interrupted:
            interrupted.append(call)
            raise KeyboardInterrupt

    def client(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        made.meta.events.register(f"after-call.ec2.{call}", interrupt)
        return made

    monkeypatch.setattr(cloud, "client", client)
    with pytest.raises(KeyboardInterrupt):
        oven.bake()
    assert interrupted == [call]
    # The last call is what makes an image one that stays.
    assert len(oven.left()) == (2 if call == "DeleteTags" else 0)
    assert oven.ec2.describe_vpcs()["Vpcs"] == []
    assert pinned(oven) is None


@pytest.mark.parametrize("call", MADE_IN_ORDER)
def test_what_is_refused_is_told_and_leaves_nothing(call: str, oven: Oven, monkeypatch: pytest.MonkeyPatch) -> None:
    original = cloud.client

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "You are not authorized"}}, call)

    def client(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        made.meta.events.register(f"before-call.ec2.{call}", refuse)
        return made

    monkeypatch.setattr(cloud, "client", client)
    with pytest.raises(cloud.CloudError, match="You are not authorized; .*`holdfast policies ENV --role bake`"):
        oven.bake()
    assert oven.left() == []


def test_what_ec2_does_not_know_yet_is_asked_for_again(oven: Oven, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other parts of EC2 than the one that made it may need some seconds."""
    original, asked = cloud.client, dict.fromkeys(MADE_IN_ORDER, 0) | {"DescribeInstances": 0, "DescribeImages": 0}
    # They are about nothing that was made just now.
    del asked["CreateVpc"], asked["CreateInternetGateway"], asked["CreateImage"], asked["DeleteTags"]
    seen: set[str] = set()

    def unknown(call: str, **_: Any) -> None:
        asked[call] += 1
        if call in seen or (call.startswith("Describe") and "RunInstances" not in seen):
            return
        seen.add(call)
        raise ClientError({"Error": {"Code": "InvalidThing.NotFound", "Message": "It does not exist"}}, call)

    def client(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        for call in asked:
            made.meta.events.register(f"before-call.ec2.{call}", partial(unknown, call))
        return made

    monkeypatch.setattr(cloud, "client", client)
    oven.bake()
    assert seen == asked.keys()


def test_of_two_errors_both_are_told(oven: Oven, monkeypatch: pytest.MonkeyPatch) -> None:
    original = cloud.client
    oven.machine = fails("no room")

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "No"}}, "DeleteVpc")

    def client(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        made.meta.events.register("before-call.ec2.DeleteVpc", refuse)
        return made

    monkeypatch.setattr(cloud, "client", client)
    monkeypatch.setattr(workshop, "TAKEN_DOWN_WITHIN", 1.0)
    with pytest.raises(
        NotBaked, match=r"(?s)no room.*still there after 1 s: network vpc-\w+ \(UnauthorizedOperation\)"
    ):
        oven.bake()


def test_a_full_account_is_told_what_helps(oven: Oven) -> None:
    for number in range(5):
        oven.ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
    with pytest.raises(cloud.CloudError, match="VpcLimitExceeded.*; --subnet takes a subnet that is there already"):
        oven.bake()
    assert oven.left() == []


def test_what_a_crash_left_goes_with_the_next_run_once_its_time_is_over(
    oven: Oven, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is under way beside it keeps its own."""
    oven.machine = Machine(ends=None)
    plan = workshop.Plan(BASE, "t3.small", b"", None, "eu-central-1a")
    now = datetime.now(UTC)
    for bake_id, until in (("crashed", now - timedelta(seconds=1)), ("beside", now + timedelta(hours=1))):
        workshop.set_up(oven.ec2, plan, tags.temporary(oven.environment, bake_id, until))
    oven.ec2.create_vpc(CidrBlock="10.7.0.0/16")
    oven.machine = Machine()
    oven.bake()
    left = oven.ec2.describe_vpcs()["Vpcs"]
    assert [tags.read(it).get(tags.BAKE) for it in left] == ["beside", None]
    assert any(line.startswith("left over by an earlier run: removed instance i-") for line in oven.said)


def test_two_at_once_do_not_touch_each_other(oven: Oven, monkeypatch: pytest.MonkeyPatch) -> None:
    # SIGTERM is the main thread's alone.
    monkeypatch.setattr(bake.signal, "signal", lambda *_: None)
    with ThreadPoolExecutor(2) as pool:
        both = [it.result().pin for it in [pool.submit(oven.bake) for _ in range(2)]]
    assert both[0].id != both[1].id
    assert {it.id for it in shelf.images(oven.environment)} == {it.id for it in both}
    assert pinned(oven) in both


def test_a_machine_of_another_architecture_is_refused_before_anything_is_made(oven: Oven) -> None:
    with pytest.raises(NotBaked, match="t4g.small is for arm64, and the image .* is for x86_64; accepted: --type"):
        oven.bake(type="t4g.small")
    assert oven.left() == []


def test_a_base_image_that_is_gone_is_told(oven: Oven) -> None:
    pins.write(oven.environment, {"debian-12/stock/amd64": pins.Pin("ami-00000000", "gone", "a test")}, oven.folder)
    with pytest.raises(HoldfastError, match="ami-00000000.*bake ENV --newest"):
        oven.bake()


def test_what_is_not_pinned_yet_is_pinned_first_and_what_is_stays(oven: Oven, monkeypatch: pytest.MonkeyPatch) -> None:
    older = dict.fromkeys(VERSIONS, "5:0.9-1")
    pinned_packages.write("oven", {"debian-12/amd64": Packages(older, "a test")}, oven.folder)
    environment = load_environment(oven.folder / "oven.yaml", oven.folder)
    assert bake.orders(environment, newest=False)[0].packages.versions == older
    assert bake.orders(environment, newest=True)[0].packages.versions == VERSIONS
    for file in (pins.FILE, pinned_packages.FILE):
        (oven.folder / file).unlink()
    fresh = load_environment(oven.folder / "oven.yaml", oven.folder)
    (order,) = bake.orders(fresh, newest=False)
    assert (order.base.id, order.packages.versions) == (BASE, VERSIONS)


def test_pins_that_cannot_be_written_keep_the_image_and_say_how_to_pin_it(
    oven: Oven, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = bake._take

    def edited(*args: Any) -> str:
        (oven.folder / pins.FILE).write_text("<<<<<<< HEAD\n")
        return take(*args)

    monkeypatch.setattr(bake, "_take", edited)
    with pytest.raises(HoldfastError, match="(?s)found no valid image pins.*is there and stays.*images update ENV"):
        oven.bake()
    assert (oven.folder / pins.FILE).read_text() == "<<<<<<< HEAD\n"
    (oven.folder / pins.FILE).unlink()
    assert len(shelf.images(oven.environment)) == 1


def test_an_update_pins_the_newest_baked_image_and_what_is_in_it(oven: Oven) -> None:
    first = oven.bake()
    (oven.folder / pins.FILE).unlink()
    pinned_packages.write("oven", {"debian-12/baked/amd64": Packages({}, "a test")}, oven.folder)
    # One that is not finished is no image yet.
    labels = tags.temporary(oven.environment, "beside", datetime.now(UTC) + timedelta(hours=1))
    oven.ec2.create_tags(Resources=[first.pin.id], Tags=tags.listed({tags.UNTIL: labels[tags.UNTIL]}))
    with pytest.raises(HoldfastError, match="has no image of owner self.*make one: holdfast images bake ENV"):
        bake.images.update(oven.environment)
    oven.ec2.delete_tags(Resources=[first.pin.id], Tags=[{"Key": tags.UNTIL}])
    bake.images.update(oven.environment)
    assert pinned(oven).id == first.pin.id  # type: ignore[union-attr]
    assert pinned_packages.read(oven.folder)["oven"]["debian-12/baked/amd64"].versions == VERSIONS


def test_the_commands_bake_list_and_remove(oven: Oven, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(oven.folder / "oven.yaml")
    assert cli.main(["images", "bake", file]) == 0
    first = pinned(oven)
    assert first is not None
    assert f"debian-12/baked/amd64: {first.id} {first.name} (baked from {BASE}" in " ".join(
        capsys.readouterr().out.split()
    )
    assert cli.main(["images", "remove", file, first.id, "--yes"]) == 2
    assert f"{first.id} ({first.name}) is pinned by oven" in " ".join(capsys.readouterr().err.split())
    assert cli.main(["images", "bake", file]) == 0
    capsys.readouterr()
    assert cli.main(["images", "list", file, "--baked"]) == 0
    listed = " ".join(capsys.readouterr().out.split())
    assert f"{first.id} {first.name}: 0 d old, from {BASE}, Redis {VERSIONS['redis-server']}; used by nobody" in listed
    assert "pinned by oven" in listed
    run = {"MinCount": 1, "MaxCount": 1, "InstanceType": "t3.small"}
    vpc = oven.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = oven.ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    machine = oven.ec2.run_instances(ImageId=first.id, SubnetId=subnet, **run)["Instances"][0]["InstanceId"]
    assert cli.main(["images", "remove", file, first.id, "--yes"]) == 2
    assert f"has machines: {machine}" in " ".join(capsys.readouterr().err.split())
    oven.ec2.terminate_instances(InstanceIds=[machine])
    (snapshot,) = bake.snapshots(oven.ec2.describe_images(ImageIds=[first.id])["Images"][0])
    assert cli.main(["images", "remove", file, first.id]) == 0
    assert f"would remove {first.id} and {snapshot}" in " ".join(capsys.readouterr().out.split())
    assert first.id in oven.left()
    assert cli.main(["images", "remove", file, first.id, "--yes"]) == 0
    assert {first.id, snapshot} & set(oven.left()) == set()
    assert len(oven.left()) == 2
    assert cli.main(["images", "remove", file, BASE, "--yes"]) == 2
    assert f"{BASE} was not made by `holdfast images bake`" in " ".join(capsys.readouterr().err.split())


def test_a_removal_that_was_cut_off_is_finished_by_the_next_run(oven: Oven, monkeypatch: pytest.MonkeyPatch) -> None:
    first = oven.bake()
    second = oven.bake()
    found = shelf.removable(oven.environment, first.pin.id)
    original = cloud.client

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "RequestLimitExceeded", "Message": "slow down"}}, "DeleteSnapshot")

    def client(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        made.meta.events.register("before-call.ec2.DeleteSnapshot", refuse)
        return made

    with monkeypatch.context() as patched:
        patched.setattr(cloud, "client", client)
        with pytest.raises(cloud.CloudError, match="slow down"):
            shelf.remove(oven.environment, found)
    assert set(found.snapshots) <= set(oven.left())
    third = oven.bake()
    assert {it.id for it in shelf.images(oven.environment)} == {second.pin.id, third.pin.id}
    assert set(found.snapshots) & set(oven.left()) == set()


def test_the_names_and_texts_are_ones_that_aws_takes(oven: Oven) -> None:
    """The twin refuses others: so this fails with any that it does not take, and this is the longest of them."""
    longest = "a" * 60
    order = bake.orders(oven.environment, newest=False)[0]
    name, labels = bake._named(oven.environment, order, bake.How(), datetime.now(UTC))
    assert len(name.replace("debian-12", "ubuntu-24.04")) <= 128
    assert all(len(value) <= 256 for value in tags.of_image(BASE, {**VERSIONS, "x": longest}, "1.0").values())
    assert len(labels) + len(tags.of_image(BASE, VERSIONS, "1.0")) <= 20


def test_versions_survive_being_tags() -> None:
    versions = {"redis-server": "5:7.0.15-1~deb12u10", "haproxy": "2.6.12-1+deb12u4", "keepalived": "1:2.2.7-1+b2"}
    written = tags.of_image(BASE, versions, "1.0")
    assert written["holdfast:package:redis-server"] == "5:7.0.15-1_deb12u10"
    assert tags.packages(written) == versions


def test_two_commands_that_pin_at_once_lose_nothing(tmp_path: Path) -> None:
    def pin(number: int) -> None:
        pinned_packages.write("oven", {f"debian-12/{number}": Packages({}, "a test")}, tmp_path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pin, range(40)))
    assert len(pinned_packages.read(tmp_path)["oven"]) == 40
