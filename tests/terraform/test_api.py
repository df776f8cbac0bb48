"""The real provider against the twin's API: `module/main.tf`, with shapes that environments on the twin do not have.

`test_stacks_plan.py` has those that they have.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from holdfast.drill.emulated import TIMEOUT, quick_environment
from holdfast.mirror import require_provider
from holdfast.twin.api import Api

SERVICES = ("ec2", "iam", "kms", "route53", "s3", "secretsmanager", "ssm", "sts")
MODULE = Path(__file__).parent / "module" / "main.tf"
IMAGE = "ami-0000000000000deb1"


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    require_provider()
    api = Api(port=0, instant=True)
    api.start()
    api.register_image(IMAGE, "debian-12-amd64-20251101-1", "136693071363", "x86_64")
    yield api
    api.stop()


class Terraform:
    """One module in a folder, led to the API."""

    def __init__(self, folder: Path, api: Api) -> None:
        self.folder = folder
        self._environment = quick_environment() | {"AWS_EC2_METADATA_DISABLED": "true"}
        provider = {
            "region": api.region,
            "access_key": api.key.id,
            "secret_key": api.key.secret,
            "max_retries": 3,
            "s3_use_path_style": True,
            "skip_credentials_validation": True,
            "skip_metadata_api_check": "true",
            "skip_region_validation": True,
            "endpoints": [dict.fromkeys(SERVICES, api.url)],
        }
        shutil.copy(MODULE, folder)
        (folder / "provider.tf.json").write_text(json.dumps({"provider": {"aws": [provider]}}))
        self.run("init", "-input=false")

    def apply(self, **variables: object) -> None:
        self.run("apply", "-auto-approve", "-input=false", *self._given(variables))

    def changes(self, **variables: object) -> dict[str, list[str]]:
        self.run("plan", "-out=plan", "-input=false", *self._given(variables))
        shown: dict[str, Any] = json.loads(self.run("show", "-json", "plan", colour=False))
        changes = {it["address"]: it["change"]["actions"] for it in shown["resource_changes"]}
        return {address: actions for address, actions in changes.items() if actions != ["no-op"]}

    def destroy(self, **variables: object) -> None:
        self.run("destroy", "-auto-approve", "-input=false", *self._given(variables))

    def run(self, command: str, *arguments: str, colour: bool = True) -> str:
        done = subprocess.run(
            ["terraform", command, *(["-no-color"] if colour else []), *arguments],
            cwd=self.folder,
            env=self._environment,
            text=True,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"terraform {command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    @staticmethod
    def _given(variables: dict[str, object]) -> list[str]:
        return [f"-var={name}={value}" for name, value in variables.items()]


def client(api: Api, service: str) -> Any:
    keys = {"aws_access_key_id": api.key.id, "aws_secret_access_key": api.key.secret}
    return boto3.client(service, endpoint_url=api.url, region_name=api.region, **keys)


BEFORE = {"size": 10, "description": "before", "greeting": "before"}
AFTER = {"size": 12, "description": "after", "greeting": "after"}


def test_applied_changed_and_destroyed(api: Api, tmp_path: Path) -> None:
    terraform = Terraform(tmp_path, api)
    terraform.apply(**BEFORE)
    assert terraform.changes(**BEFORE) == {}

    view = api.view()
    [node] = [it for it in view.interfaces.values() if len(it.addresses) == 3]
    assert [str(address) for address in node.addresses] == ["10.40.16.9", "10.40.16.5", "10.40.16.7"]
    assert {it.service: it.interface for it in view.endpoints.values()} == {"s3": False, "secretsmanager": True}
    [instance] = view.instances.values()
    assert (instance.image_id, instance.zone, instance.user_data) == (IMAGE, "eu-central-1b", b"before")
    secrets = client(api, "secretsmanager")
    password = secrets.get_secret_value(SecretId="holdfast/kept/app")["SecretString"]
    assert len(password) == 40
    assert password not in (tmp_path / "terraform.tfstate").read_text()

    assert terraform.changes(**AFTER) == {
        "aws_ebs_volume.data": ["update"],
        "aws_instance.node": ["update"],
        "aws_vpc_security_group_egress_rule.s3": ["update"],
        "aws_vpc_security_group_ingress_rule.apis": ["update"],
    }
    terraform.apply(**AFTER)
    api.save(tmp_path / "cloud")
    api.load(tmp_path / "cloud")
    assert terraform.changes(**AFTER) == {}
    view = api.view()
    assert [volume.size_gib for volume in view.volumes.values()] == [12]
    [changed] = view.instances.values()
    assert (changed.id, changed.state, changed.user_data) == (instance.id, "running", b"after")
    assert changed.attachments == instance.attachments

    s3 = client(api, "s3")
    s3.put_object(Bucket="holdfast-kept", Key="one", Body=b"1")
    s3.delete_object(Bucket="holdfast-kept", Key="one")
    terraform.destroy(**AFTER)
    view = api.view()
    assert not any([view.vpcs, view.subnets, view.groups, view.interfaces, view.volumes, view.endpoints])
    assert s3.list_buckets()["Buckets"] == []
    assert secrets.list_secrets()["SecretList"] == []
    assert client(api, "route53").list_hosted_zones()["HostedZones"] == []
    assert client(api, "ec2").describe_addresses()["Addresses"] == []
