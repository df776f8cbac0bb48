"""The real provider against the twin's API: what protected environments and networks without a way out apply.

`test_stacks_plan.py` has the shapes of an environment on the twin.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from holdfast.mirror import require_provider, terraform_environment
from holdfast.twin.api import Api

TIMEOUT = 300
SERVICES = ("ec2", "iam", "kms", "s3", "secretsmanager", "sts")

MODULE = """
terraform {
  required_version = ">= 1.11.0"
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
  backend "local" {}
}

variable "size" { type = number }
variable "description" { type = string }

resource "aws_vpc" "this" {
  cidr_block           = "10.40.0.0/16"
  enable_dns_hostnames = true
}

resource "aws_subnet" "nodes" {
  vpc_id            = aws_vpc.this.id
  cidr_block        = "10.40.16.0/20"
  availability_zone = "eu-central-1b"
}

resource "aws_route_table" "nodes" { vpc_id = aws_vpc.this.id }

resource "aws_route_table_association" "nodes" {
  subnet_id      = aws_subnet.nodes.id
  route_table_id = aws_route_table.nodes.id
}

resource "aws_security_group" "nodes" {
  name        = "nodes"
  description = "Nodes"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "endpoints" {
  name        = "endpoints"
  description = "APIs"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "apis" {
  security_group_id            = aws_security_group.endpoints.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.nodes.id
  description                  = var.description
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.nodes.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  description       = var.description
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.eu-central-1.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.nodes.id]
}

resource "aws_vpc_endpoint" "secretsmanager" {
  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.eu-central-1.secretsmanager"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [aws_subnet.nodes.id]
  security_group_ids  = [aws_security_group.endpoints.id]
}

resource "aws_network_interface" "node" {
  subnet_id               = aws_subnet.nodes.id
  security_groups         = [aws_security_group.nodes.id]
  private_ip_list_enabled = true
  private_ip_list         = ["10.40.16.9", "10.40.16.5", "10.40.16.7"]
}

resource "aws_ebs_volume" "data" {
  availability_zone = "eu-central-1b"
  size              = var.size
  type              = "gp3"
  encrypted         = true
}

resource "aws_s3_bucket" "kept" {
  bucket        = "holdfast-kept"
  force_destroy = true
}

resource "aws_s3_bucket_versioning" "kept" {
  bucket = aws_s3_bucket.kept.id
  versioning_configuration { status = "Enabled" }
}

resource "aws_s3_bucket_policy" "kept" {
  bucket = aws_s3_bucket.kept.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect    = "Deny", Principal = "*", Action = "s3:*",
    Resource  = [aws_s3_bucket.kept.arn, "${aws_s3_bucket.kept.arn}/*"],
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }] })
}

ephemeral "aws_secretsmanager_random_password" "app" {
  password_length     = 40
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "app" {
  name                    = "holdfast/kept/app"
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "app" {
  secret_id                = aws_secretsmanager_secret.app.id
  secret_string_wo         = ephemeral.aws_secretsmanager_random_password.app.random_password
  secret_string_wo_version = 1
}
"""


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    require_provider()
    api = Api(port=0, instant=True)
    api.start()
    yield api
    api.stop()


class Terraform:
    """One module in a folder, led to the API."""

    def __init__(self, folder: Path, api: Api) -> None:
        self.folder = folder
        self._environment = terraform_environment() | {
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        provider = {
            "region": api.region,
            "access_key": "holdfast",
            "secret_key": "holdfast",
            "max_retries": 3,
            "s3_use_path_style": True,
            "skip_credentials_validation": True,
            "skip_metadata_api_check": "true",
            "skip_region_validation": True,
            "endpoints": [dict.fromkeys(SERVICES, api.url)],
        }
        (folder / "main.tf").write_text(MODULE)
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
    keys = {"aws_access_key_id": "holdfast", "aws_secret_access_key": "holdfast"}
    return boto3.client(service, endpoint_url=api.url, region_name=api.region, **keys)  # type: ignore[call-overload]


def test_applied_changed_and_destroyed(api: Api, tmp_path: Path) -> None:
    terraform = Terraform(tmp_path, api)
    terraform.apply(size=10, description="before")
    assert terraform.changes(size=10, description="before") == {}

    view = api.view()
    [node] = [it for it in view.interfaces.values() if len(it.addresses) == 3]
    assert [str(address) for address in node.addresses] == ["10.40.16.9", "10.40.16.5", "10.40.16.7"]
    assert {it.service: it.interface for it in view.endpoints.values()} == {"s3": False, "secretsmanager": True}
    secrets = client(api, "secretsmanager")
    password = secrets.get_secret_value(SecretId="holdfast/kept/app")["SecretString"]
    assert len(password) == 40
    assert password not in (tmp_path / "terraform.tfstate").read_text()

    changed = terraform.changes(size=12, description="after")
    assert changed == {
        "aws_ebs_volume.data": ["update"],
        "aws_vpc_security_group_egress_rule.s3": ["update"],
        "aws_vpc_security_group_ingress_rule.apis": ["update"],
    }
    terraform.apply(size=12, description="after")
    assert terraform.changes(size=12, description="after") == {}
    assert [volume.size_gib for volume in api.view().volumes.values()] == [12]

    s3 = client(api, "s3")
    s3.put_object(Bucket="holdfast-kept", Key="one", Body=b"1")
    s3.delete_object(Bucket="holdfast-kept", Key="one")
    terraform.destroy(size=12, description="after")
    view = api.view()
    assert not any([view.vpcs, view.subnets, view.groups, view.interfaces, view.volumes, view.endpoints])
    assert s3.list_buckets()["Buckets"] == []
    assert secrets.list_secrets()["SecretList"] == []
