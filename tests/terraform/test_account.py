"""The account and the encryption that a state's configuration asks for, as Terraform takes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from holdfast.drill.emulated import Terraform, environment_of, quick_environment
from holdfast.errors import HoldfastError
from holdfast.ops.destroy import Place, configuration
from holdfast.twin.api import Api

REGION, BUCKET = "eu-central-1", "holdfast-kept-state"


@pytest.fixture(scope="module")
def s3(api: Api) -> Iterator[Any]:
    """With the bucket that `holdfast bootstrap` makes, as far as it concerns encryption."""
    keys = {"aws_access_key_id": api.key.id, "aws_secret_access_key": api.key.secret}
    s3 = boto3.client("s3", region_name=REGION, endpoint_url=api.url, **keys)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    yield s3
    for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        s3.delete_object(Bucket=BUCKET, Key=entry["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def applied(folder: Path, api: Api, account: str | None) -> None:
    content = configuration(Place("kept-network", REGION, BUCKET, None, account))
    content |= {"resource": {"terraform_data": {"it": {}}}, "data": {"aws_caller_identity": {"me": {}}}}
    terraform = Terraform(folder, "kept", quick_environment() | environment_of(api))
    stack = terraform.stack("network")
    stack.mkdir(parents=True)
    (stack / "main.tf.json").write_text(json.dumps(content))
    terraform.init("network")
    terraform.apply("network")


def test_a_state_is_encrypted_with_the_buckets_key(s3: Any, api: Api, tmp_path: Path) -> None:
    applied(tmp_path, api, api.account)
    assert s3.head_object(Bucket=BUCKET, Key="kept-network.tfstate")["ServerSideEncryption"] == "aws:kms"


def test_with_credentials_of_another_account_nothing_is_read_or_made(s3: Any, api: Api, tmp_path: Path) -> None:
    with pytest.raises(HoldfastError, match=rf"(?s)terraform init.*AWS account ID not allowed.*{api.account}"):
        applied(tmp_path, api, "210987654321")
