"""An image is baked under the policy for it alone; what boots from it is a new machine, and needs no mirror.

Needs root, and the twin without an environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from holdfast.drill.cluster import HOLDFAST
from holdfast.drill.waiting import wait_until
from holdfast.mirror import REPOSITORY
from holdfast.ops.baking import tags, workshop
from holdfast.ops.policies.roles import managed
from holdfast.rendering import user_data
from holdfast.rendering.program import program
from holdfast.topology import Cluster, emulation, load_environment
from holdfast.topology.emulation import Key
from holdfast.twin import client as twin_client
from holdfast.twin import machines, taken
from holdfast.twin.run import CommandFailed
from tests.twin.parts.machine import running

ENDPOINT = "http://127.0.0.1:5599"
ROLE = "holdfast-oven-bake"
FILE = f"""\
name: oven
region: eu-central-1
zones: [a]
network: {{cidr: 10.93.0.0/16, domain: none}}
layout: single
images: baked
machines: {{node: {{type: t3.small, image: debian-12}}}}
redis: {{memory: 256MB}}
tls: off
cloud: {{endpoint: {ENDPOINT}, node_endpoint: http://198.51.100.1:5599, account: "123456789012"}}
"""

NOT_USED = {
    "ec2:DeleteNetworkInterface": "it goes with its machine, if that is quick enough",
    "ec2:DeleteVolume": "it goes with its machine, if that is quick enough",
    "ec2:DisassociateRouteTable": "open: the twin does not find the table of an association, and so asks for nothing",
}
"""Action → why it is allowed all the same."""


@dataclass
class Oven:
    folder: Path
    variables: dict[str, str]

    def holdfast(self, *arguments: str, code: int = 0) -> str:
        """What the command says on both streams."""
        words = [HOLDFAST, *arguments]
        done = subprocess.run(words, env=self.variables, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def pinned(self, file: str) -> Any:
        return json.loads((self.folder / file).read_text())["oven"]["debian-12/baked/amd64"]


def client(service: str) -> Any:
    """With the twin's own key."""
    key = emulation.key()
    assert key is not None
    keys = {"aws_access_key_id": key.id, "aws_secret_access_key": key.secret}
    return boto3.client(service, endpoint_url=ENDPOINT, region_name="eu-central-1", **keys)


@pytest.fixture(scope="module")
def oven(twin: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oven]:
    """Its commands are signed by a role that may bake, and nothing else."""
    folder = tmp_path_factory.mktemp("oven")
    (folder / "oven.yaml").write_text(FILE)
    iam = client("iam")
    made = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
    for name, document in managed(load_environment(folder / "oven.yaml", folder), ["bake"]).items():
        iam.put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=json.dumps(document))
    keys = client("sts").assume_role(RoleArn=made["Role"]["Arn"], RoleSessionName="bake")["Credentials"]
    emulation.write(folder / "key", Key(keys["AccessKeyId"], keys["SecretAccessKey"]))
    variables = {"HOLDFAST_ENVIRONMENTS_DIR": str(folder), emulation.VARIABLE: str(folder / "key")}
    yield Oven(folder, dict(os.environ) | variables)
    for name in iam.list_role_policies(RoleName=ROLE)["PolicyNames"]:
        iam.delete_role_policy(RoleName=ROLE, PolicyName=name)
    iam.delete_role(RoleName=ROLE)


def left() -> list[str]:
    ec2 = client("ec2")
    return [thing.id for kind in workshop.KINDS for thing in kind.find(ec2) if tags.UNTIL in thing.tags]


@pytest.fixture(scope="module")
def image(oven: Oven) -> str:
    said = oven.holdfast("images", "bake", "oven")
    id: str = oven.pinned("images.lock.json")["id"]
    assert f"debian-12/baked/amd64: {id} holdfast-debian-12-amd64-20" in said
    assert left() == []
    return id


def test_a_version_that_no_mirror_has_is_told_and_leaves_nothing(image: str, oven: Oven) -> None:
    lock = oven.folder / "packages.lock.json"
    good = lock.read_text()
    content = json.loads(good)
    content["oven"]["debian-12/amd64"]["versions"]["haproxy"] = "9.9-1"
    lock.write_text(json.dumps(content))
    said = oven.holdfast("images", "bake", "oven", code=1)
    assert "has made no image: the package mirrors lack haproxy 9.9-1 (they have " in said
    assert left() == []
    assert oven.pinned("images.lock.json")["id"] == image
    lock.write_text(good)


def test_what_boots_from_it_is_a_new_machine_with_the_packages(image: str, oven: Oven) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.94.0.0/24")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.94.0.0/24")["Subnet"]["SubnetId"]
    once = "#cloud-config\nruncmd:\n- [sh, -c, 'echo once >> /first']\n"
    run = {"ImageId": image, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1, "SubnetId": subnet}
    instance = ec2.run_instances(**run, UserData=once)["Instances"][0]["InstanceId"]
    try:

        def sh(script: str) -> str:
            return machines.output(instance, ["sh", "-c", script]).strip()

        def booted() -> bool:
            try:
                return sh("cat /first") == "once"
            except (CommandFailed, machines.NotRunning):
                return False

        wait_until(booted, 60, lambda: machines.console(instance)[-1000:])
        assert sh("cat /etc/machine-id") == instance.removeprefix("i-").ljust(32, "0")
        assert sh("cat /var/lib/cloud/data/instance-id") == instance
        versions = oven.pinned("packages.lock.json")["versions"]
        asked = sh(f"dpkg-query --show --showformat='${{Package}} ${{Version}}\\n' {' '.join(versions)}")
        assert dict(line.split() for line in asked.splitlines()) == versions
        # Nothing of the machine that it was taken of, and nothing of the distribution's own services runs.
        assert sh("ls /usr/local/sbin /usr/local/lib/holdfast /etc/ssh/ssh_host* 2>/dev/null || true").split() == [
            "/usr/local/lib/holdfast:",
            "/usr/local/sbin:",
        ]
        assert sh("grep -rl holdfast-bake /var/log /var/lib/cloud || true") == ""
        assert sh("systemctl is-active redis-server redis-sentinel haproxy keepalived || true").split() == (
            ["inactive"] * 4
        )
    finally:
        ec2.terminate_instances(InstanceIds=[instance])
        ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        ec2.delete_subnet(SubnetId=subnet)
        ec2.delete_vpc(VpcId=vpc)


def test_a_node_boots_from_it_without_a_mirror(image: str, oven: Oven, tmp_path: Path) -> None:
    cluster = Cluster.of(load_environment(oven.folder / "oven.yaml", oven.folder))
    (tmp_path / "user-data").write_bytes(user_data(cluster, cluster.nodes[0]))
    (tmp_path / "node.pyz").write_bytes(program().content)
    bucket = [sys.executable, str(Path(__file__).with_name("small_bucket.py")), str(tmp_path / "report")]
    with running("15", taken.root_of(image), tmp_path / "user-data", *bucket, str(tmp_path / "node.pyz")) as machine:

        def first_boot() -> str:
            try:
                return machine.sh("systemctl is-enabled holdfast.target || true").strip()
            except CommandFailed as error:
                return str(error)

        wait_until(lambda: first_boot() == "enabled", 60, lambda: machines.console(machine.id)[-1000:])
        assert json.loads(machine.sh("cat /etc/holdfast/packages.json")) == {}
        assert json.loads(machine.sh("cat /etc/holdfast/baked.json")) == oven.pinned("packages.lock.json")["versions"]


def test_it_is_removed_when_nobody_pins_it_and_every_permission_was_used(image: str, oven: Oven) -> None:
    assert "is pinned by oven: its next machine is made from it" in oven.holdfast(
        "images", "remove", "oven", image, "--yes", code=2
    ).replace("\n", " ")
    assert "pinned by oven" in oven.holdfast("images", "list", "oven", "--baked").replace("\n", " ")
    (oven.folder / "images.lock.json").unlink()
    assert f"removed {image} and snap-" in oven.holdfast("images", "remove", "oven", image, "--yes")
    wait_until(lambda: not (taken.TAKEN / image).exists(), 30, lambda: f"{taken.TAKEN / image} is there")
    unused = twin_client.request("unused_permissions")[ROLE]
    assert [it for it in unused if it[1] not in NOT_USED] == []
