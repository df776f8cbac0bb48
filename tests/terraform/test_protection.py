"""A protected environment with the real provider and the real cdktf: refused, rolled out all the same, and retired.

One environment, `shielded`, goes through its life in the order of these tests.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from holdfast.drill.emulated import TIMEOUT, Terraform, driven, emulated, reporting, written
from holdfast.mirror import REPOSITORY, require_provider
from holdfast.ops import cloud
from holdfast.topology import Environment, load_environment, names
from holdfast.topology.users import OWN
from holdfast.twin.api import Api

ENVIRONMENT = """\
name: shielded
region: eu-central-1
zones: [a]
network: {{cidr: 10.88.0.0/16, domain: none}}
layout: single
images: baked
machines:
  node: {{type: t3.small, image: debian-12}}
redis: {{memory: {memory}}}
cloud: {{endpoint: "{endpoint}", node_endpoint: "{endpoint}"}}
"""

ORDER = [["network", "identity"], ["zone-a"], ["watch"]]


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """Its own: others look whether theirs is empty."""
    require_provider()
    with emulated() as api:
        yield api


@pytest.fixture(scope="module")
def shielded(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    folder = tmp_path_factory.mktemp("shielded")
    environment = written(folder, "shielded", ENVIRONMENT.format(endpoint=api.url, memory="256MB"))
    terraform = driven(folder, "shielded")
    with reporting(environment):
        terraform.each(terraform.apply, ORDER)
        yield terraform


@pytest.fixture
def environment(shielded: Terraform) -> Environment:
    return load_environment(shielded.folder / "shielded.yaml")


def run(shielded: Terraform, *command: str) -> subprocess.CompletedProcess[str]:
    """A command as a person runs it at the root of the repository."""
    paths = [REPOSITORY / ".venv" / "bin", REPOSITORY / "node_modules" / ".bin"]
    variables = shielded.variables | {
        "PATH": os.pathsep.join([*map(str, paths), os.environ["PATH"]]),
        "HOLDFAST_ENVIRONMENTS": "shielded",
        "CI": "true",
    }
    return subprocess.run(
        command, cwd=REPOSITORY, env=variables, text=True, capture_output=True, timeout=TIMEOUT, check=False
    )


def machine(api: Api) -> Any:
    (found,) = [it for it in api.view().instances.values() if it.name == "shielded-a1" and it.state == "running"]
    return found


def recorded(shielded: Terraform) -> dict[str, Any]:
    """Stack → the resources of its state, each with its id."""
    return {
        file.stem: {
            f"{resource['type']}.{resource['name']}": [it["attributes"]["id"] for it in resource["instances"]]
            for resource in json.loads(file.read_text())["resources"]
            if resource["mode"] == "managed"
        }
        for file in (shielded.folder / "state").glob("*.tfstate")
    }


def test_cdktf_destroy_fails_with_a_sentence_that_says_what_to_do_and_destroys_nothing(
    shielded: Terraform, api: Api
) -> None:
    before, view = recorded(shielded), api.view()
    output = os.path.relpath(shielded.folder / "out", REPOSITORY)
    done = run(shielded, "cdktf", "destroy", "shielded-*", "--auto-approve", "--output", output)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert (
        "shielded is protected, and nothing was destroyed. To destroy it with its data: holdfast retire shielded"
    ) in said
    assert recorded(shielded) == before
    assert api.view().instances == view.instances
    assert shielded.plan("watch") == {}


def test_terraform_itself_refuses_where_there_is_something_that_lasts(shielded: Terraform) -> None:
    folder = shielded.stack("zone-a")
    command = ["terraform", f"-chdir={folder}", "plan", "-destroy", "-input=false", "-no-color"]
    done = run(shielded, *command)
    assert done.returncode != 0
    assert "Instance cannot be destroyed" in done.stderr


def test_a_machine_cannot_be_terminated_from_outside_and_a_deploy_replaces_it_all_the_same(
    shielded: Terraform, environment: Environment, api: Api
) -> None:
    before = machine(api)
    with pytest.raises(ClientError, match="OperationNotPermitted"):
        cloud.client(environment, "ec2").terminate_instances(InstanceIds=[before.id])
    file = shielded.folder / "shielded.yaml"
    file.write_text(ENVIRONMENT.format(endpoint=api.url, memory="300MB"))
    shielded.synth()
    shielded.apply("zone-a")
    after = machine(api)
    assert after.id != before.id
    assert after.interfaces == before.interfaces
    with pytest.raises(ClientError, match="OperationNotPermitted"):
        cloud.client(environment, "ec2").terminate_instances(InstanceIds=[after.id])


def test_retire_does_nothing_without_the_environments_name(shielded: Terraform) -> None:
    before = recorded(shielded)
    unasked = run(shielded, "holdfast", "retire", "shielded")
    assert unasked.returncode == 1
    assert "shielded-zone-a    11 resources, with the data of shielded-a1 (4 GiB)" in unasked.stderr
    assert "nothing was done. Say: --yes-really shielded" in unasked.stderr
    other = run(shielded, "holdfast", "retire", "shielded", "--yes-really", "planned")
    assert other.returncode == 2
    assert recorded(shielded) == before


def test_retire_destroys_all_and_says_what_is_left(shielded: Terraform, environment: Environment, api: Api) -> None:
    file = (shielded.folder / "shielded.yaml").read_text()
    s3, bucket = cloud.client(environment, "s3"), names.bucket(environment)
    s3.put_object(Bucket=bucket, Key="reports/shielded-a1.json", Body=b"{}")
    s3.delete_object(Bucket=bucket, Key="reports/shielded-a1.json")
    done = run(shielded, "holdfast", "retire", "shielded", "--yes-really", "shielded", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [stack["name"] for stack in report["stacks"]] == [
        "shielded-watch",
        "shielded-zone-a",
        "shielded-identity",
        "shielded-network",
    ]
    key, *secrets, own = report["left"]
    assert "cancel-key-deletion" in key
    assert [secret.split(",")[0] for secret in secrets] == [
        f"The secret holdfast/shielded/{user}" for user in sorted(["app", *(user.name for user in OWN)])
    ]
    assert own == "The file of shielded and its pinned images: remove them, or the next deploy makes it anew."
    assert all(resources == {} for resources in recorded(shielded).values())
    assert (shielded.folder / "shielded.yaml").read_text() == file

    mine = [{"Name": "tag:Environment", "Values": ["shielded"]}]
    ec2 = cloud.client(environment, "ec2")
    assert ec2.describe_volumes(Filters=mine)["Volumes"] == []
    assert ec2.describe_network_interfaces(Filters=mine)["NetworkInterfaces"] == []
    assert ec2.describe_vpcs(Filters=mine)["Vpcs"] == []
    assert bucket not in [it["Name"] for it in s3.list_buckets()["Buckets"]]
    keys = cloud.client(environment, "kms")
    assert keys.describe_key(KeyId=key.split()[2].rstrip(","))["KeyMetadata"]["KeyState"] == "PendingDeletion"

    again = run(shielded, "holdfast", "retire", "shielded", "--yes-really", "shielded")
    assert (again.returncode, again.stdout) == (
        0,
        "shielded: no stack has anything in its state; there is nothing to retire\n",
    )
