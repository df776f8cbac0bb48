"""A test stack, made with the real provider, half broken by hand, and reaped to nothing beside a neighbour.

One test stack goes through its life in the order of these tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from holdfast.drill.emulated import TIMEOUT, environment_of, reporting, written
from holdfast.mirror import REPOSITORY
from holdfast.ops.teststacks.clouds import ACCOUNTS, Cloud
from holdfast.ops.teststacks.inventory import Inventory, look
from holdfast.ops.teststacks.judge import Fate, expired_at
from holdfast.ops.teststacks.removal import Removal
from holdfast.topology import Environment, load_environment, names
from holdfast.topology.spec import CloudSpec
from holdfast.topology.users import OWN
from holdfast.twin.api import Api
from tests.unit.teststacks.makers import EXPIRED, MAKERS, REGION, Maker

BASIS = """\
name: basis
region: eu-central-1
zones: [a]
layout: single
network: {{cidr: 10.78.0.0/16, domain: none}}
images: baked
machines: {{node: {{type: t3.small}}}}
redis: {{memory: 256MB}}
cloud: {{endpoint: "{endpoint}", node_endpoint: "{endpoint}"}}
protected: false
"""

PATIENCE = 120
"""Seconds for Terraform to destroy a stack: it waits for twenty minutes for a subnet with a stray interface in it."""


@dataclass
class Place:
    """A checkout's files, and the account."""

    folder: Path
    state: Path
    cloud: Cloud
    variables: dict[str, str]
    neighbours: dict[str, set[str]] = field(default_factory=dict)
    incomplete: set[str] = field(default_factory=set)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [str(Path(sys.executable).with_name("holdfast")), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=REPOSITORY, env=self.variables, text=True, stdout=pipe, stderr=pipe)

    def run(self, *arguments: str, expect: int = 0) -> Any:
        return end(self.start(*arguments, "--json"), expect)

    def look(self) -> Inventory:
        return look(self.cloud, expired_at(datetime.now(UTC)), [])

    @property
    def file(self) -> Path:
        return self.folder / "teststacks" / "test-proof.yaml"

    @property
    def environment(self) -> Environment:
        return load_environment(self.file)


def end(running: subprocess.Popen[str], expect: int = 0) -> Any:
    """Its JSON."""
    said, complained = running.communicate(timeout=TIMEOUT)
    told = json.loads(said) if said else {}
    left = [it.get("survivors") for it in told.get("clouds", ())]
    assert running.returncode == expect, f"{complained[-4000:]}\nsurvivors: {left}"
    return told


def wait(condition: Any, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def place(own_api: Api, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("teststacks")
    basis = written(folder, "basis", BASIS.format(endpoint=own_api.url))
    (folder / ACCOUNTS).write_text(own_api.account)
    state = folder / "state"
    state.mkdir()
    variables = {**os.environ, "HOLDFAST_ENVIRONMENTS_DIR": str(folder), "HOLDFAST_STATE_DIR": str(state)}
    return Place(folder, state, Cloud({REGION: basis}), variables)


def test_everything_that_up_makes_bears_all_the_tags(place: Place) -> None:
    running = place.start("teststack", "up", "proof", "--from", "basis", "--ttl", "1m", "--owner", "alice", "--json")
    wait(lambda: place.file.exists() or running.poll() is not None, 60, "the test stack's file")
    with reporting(place.environment):
        told = end(running)
    assert told["name"] == "test-proof"
    assert told["tags"] == names.tags(place.environment)
    assert told["tags"]["Owner"] == "alice"
    expires = datetime.fromisoformat(told["tags"]["Expires"])
    wait(lambda: datetime.now(UTC) > expires, 61, "its expiry")
    found = place.look()
    assert {it.judgement.fate for it in found.found} == {Fate.GOES}
    assert {name: it.thing.tags[name] for it in found.found for name in told["tags"]} == told["tags"]
    assert Counter(it.kind.name for it in found.found) == {
        "address": 1,
        "alarm": 1,
        "bucket": 1,
        "endpoint": 1,
        "flow log": 1,
        "instance": 1,
        "instance profile": 1,
        "interface": 1,
        "internet gateway": 1,
        "key": 1,
        "log group": 1,
        "NAT gateway": 1,
        "network": 1,
        "role": 2,
        "route table": 2,
        "secret": 1 + len(OWN),
        "security group": 2,
        "subnet": 2,
        "topic": 1,
        "volume": 2,  # the data, and the instance's root
    }


def test_broken_by_hand_it_is_left_over_and_a_dry_run_changes_nothing(place: Place, own_api: Api) -> None:
    environment = place.environment
    tags = names.tags(environment)
    _make_neighbours(place, tags)
    _break(place, Maker(place.cloud, tags, "stray"), environment)
    shown = place.run("leftovers", expect=1)["clouds"][0]
    survivors = Counter(it["kind"] for it in shown["survivors"] if it["environment"] == "test-proof")
    assert survivors["state"] == 3  # that of identity is lost
    assert survivors["file"] == 1
    before = own_api.generation
    dry = place.run("reap")["clouds"][0]
    assert own_api.generation == before
    assert dry["goes"]["environments"] == ["test-proof"]
    assert dry["goes"]["states"] == ["test-proof-watch", "test-proof-zone-a", "test-proof-network"]
    assert dry["removed"] == []


def test_it_is_reaped_to_nothing_and_no_neighbour_is_touched(place: Place) -> None:
    told = place.run("reap", "--yes", "--timeout", str(PATIENCE))["clouds"][0]
    assert told["survivors"] == []
    assert [it["kind"] for it in told["waiting"]] == ["key"]
    assert list(place.state.iterdir()) == []
    assert not place.file.exists()
    found = place.look()
    there: dict[str, set[str]] = {}
    for it in found.found:
        if it.thing.stage != "waiting":
            there.setdefault(it.kind.name, set()).add(it.thing.id)
    assert there == place.neighbours


def test_reaping_again_is_harmless_and_only_what_is_refused_is_left_over(place: Place) -> None:
    assert place.run("reap", "--yes")["clouds"][0]["goes"]["environments"] == []
    left = place.run("leftovers", expect=1)["clouds"][0]["survivors"]
    assert {it["id"] for it in left} == place.incomplete
    assert {it["reason"].partition(";")[0] for it in left} == {"it has no tag Run"}
    assert [row["name"] for row in place.run("teststack", "ls")["clouds"][0]["teststacks"]] == ["test-proof"]


def test_what_a_bucket_records_is_destroyed_where_there_is_no_file(
    place: Place, own_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on AWS, whose endpoints the process's environment leads to the emulation."""
    for name, value in environment_of(own_api).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    basis = place.cloud.regions[REGION]
    aws = Cloud({REGION: basis.model_copy(update={"cloud": CloudSpec()})})
    make = Maker(aws, EXPIRED, "place")
    volume, bucket = make.volume(), make.bucket(f"holdfast-test-one-{REGION}-0123-state")
    instance = {"schema_version": 0, "attributes": {"id": volume, "tags_all": EXPIRED}}
    resource = {
        "mode": "managed",
        "type": "aws_ebs_volume",
        "name": "data",
        "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
        "instances": [instance],
    }
    state = {"version": 4, "terraform_version": "1.11.0", "serial": 1, "lineage": "x", "resources": [resource]}
    aws.client("s3").put_object(Bucket=bucket, Key="test-one-zone-a.tfstate", Body=json.dumps(state))
    said: list[str] = []
    removal = Removal(aws, expired_at(datetime.now(UTC)), list, said.append, patience=120, lock=False)
    assert removal.carry_out(removal.look())[1] == []
    assert said == [
        "test-one: terraform destroy of test-one-zone-a (1 recorded)",
        f"test-one: removing bucket {bucket}",
    ]
    assert "test-one" not in {it.environment for it in removal.look().found}


def _make_neighbours(place: Place, tags: dict[str, str]) -> None:
    """One of each kind that goes later, and one of each kind that has all of the tags but one."""
    later = Maker(place.cloud, tags | {"Expires": "2099-01-01T00:00:00Z"}, "later")
    incomplete = Maker(place.cloud, {key: value for key, value in tags.items() if key != "Run"}, "incomplete")
    for kind, make in MAKERS.items():
        id = make(incomplete)
        place.incomplete.add(id)
        place.neighbours[kind] = {make(later), id}


def _break(place: Place, make: Maker, environment: Environment) -> None:
    ec2, s3 = make.ec2, place.cloud.client("s3")
    own = [{"Name": f"tag:{key}", "Values": [value]} for key, value in make.tags.items()]
    instance = ec2.describe_instances(Filters=own)["Reservations"][0]["Instances"][0]
    # A volume, attached and detached; a snapshot of the data.
    volume = make.volume()
    ec2.attach_volume(VolumeId=volume, InstanceId=instance["InstanceId"], Device="/dev/sdz")
    ec2.detach_volume(VolumeId=volume)
    ec2.create_snapshot(VolumeId=volume, TagSpecifications=make.specified("snapshot"))
    # A stray interface among the nodes, with an address of its own.
    interface = make.interface(instance["SubnetId"])
    ec2.associate_address(AllocationId=make.address(), NetworkInterfaceId=interface)
    # Two groups that name each other, one of which Terraform knows.
    nodes, stray = instance["NetworkInterfaces"][0]["Groups"][0]["GroupId"], make.group(instance["VpcId"], "stray")
    for group, other in ((nodes, stray), (stray, nodes)):
        rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": other}]}
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
    # Versions of an object, and a marker over them.
    bucket = names.bucket(environment)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="twice", Body=body)
    s3.delete_object(Bucket=bucket, Key="twice")
    # A secret that would wait for thirty days; a policy by hand on the role.
    place.cloud.client("secretsmanager").delete_secret(
        SecretId=names.secret(environment, "app"), RecoveryWindowInDays=30
    )
    iam = place.cloud.client("iam")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    managed = iam.create_policy(PolicyName="by-hand", PolicyDocument=policy)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=names.resource(environment, "flows"), PolicyArn=managed)
    # A parameter and a zone with a record, which no stack knows.
    make.parameter()
    make.zone()
    # The state of one stack is lost, with key, bucket, secrets and role.
    (place.state / "test-proof-identity.tfstate").unlink()
