"""What is left behind, or has lost its file, is found by its Terraform state: in a folder, and in buckets."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from holdfast.ops.cloud import CloudError
from holdfast.ops.review import states
from holdfast.ops.review.states import States
from holdfast.topology import Cluster, Environment, load_environment, names

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
FULL = json.dumps({"resources": [{"mode": "data"}, {"mode": "managed"}]})
EMPTY = json.dumps({"resources": [{"mode": "data"}]})


def look(environment: Environment, *known: str) -> States:
    return states.look(environment, names.stacks(environment, Cluster.of(environment).zones), known)


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.setattr(names, "LOCAL_STATE", tmp_path)
    return load_environment(ENVIRONMENTS / "local.yaml")


def test_a_stack_that_is_not_synthesised_any_more_is_left_behind(local: Environment, tmp_path: Path) -> None:
    (tmp_path / "local-zone-a.tfstate").write_text(FULL)
    (tmp_path / "local-zone-d.tfstate").write_text(FULL)
    (tmp_path / "local-zone-e.tfstate").write_text(EMPTY)
    (tmp_path / "local-backups.tfstate").write_text(FULL)
    assert look(local, "local") == States(place=True, left_behind=("backups", "zone-d"), abandoned=())


def test_an_environment_without_a_file_is_abandoned(local: Environment, tmp_path: Path) -> None:
    (tmp_path / "old-name-network.tfstate").write_text(FULL)
    (tmp_path / "old-name-zone-a.tfstate").write_text(FULL)
    (tmp_path / "destroyed-network.tfstate").write_text(EMPTY)
    (tmp_path / "other-network.tfstate").write_text(FULL)
    (tmp_path / "notes.tfstate").write_text(FULL)
    assert look(local, "local", "other") == States(place=True, left_behind=(), abandoned=("old-name",))


def test_a_test_stack_is_the_former_name_of_none(local: Environment, tmp_path: Path) -> None:
    (tmp_path / "test-network.tfstate").write_text(FULL)
    (tmp_path / "test-one-network.tfstate").write_text(FULL)
    assert look(local, "local").abandoned == ("test",)


def test_an_environment_that_exists_took_nobodys_place(local: Environment, tmp_path: Path) -> None:
    (tmp_path / "local-network.tfstate").write_text(FULL)
    (tmp_path / "old-network.tfstate").write_text(FULL)
    assert look(local, "local").abandoned == ()


def put(bucket: str, *stacks: str) -> None:
    s3: Any = boto3.client("s3", region_name="eu-central-1")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for stack in stacks:
        s3.put_object(Bucket=bucket, Key=f"{stack}.tfstate", Body=FULL)


def test_before_the_bootstrap_there_is_no_place_for_states(prod: Environment) -> None:
    put("holdfast-old-eu-central-1-0123-state", "old-network")
    assert look(prod, "prod") == States(place=False, left_behind=(), abandoned=("old",))


def test_states_of_aws_are_found_in_their_buckets(prod: Environment) -> None:
    put(names.state_bucket(prod), "prod-network", "prod-names", "prod-zone-f")
    put("holdfast-old-eu-central-1-0123-state", "old-network")
    assert look(prod, "prod") == States(place=True, left_behind=("zone-f",), abandoned=())


def test_without_credentials_the_way_is_told(prod: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(CloudError, match="without credentials: holdfast review prod --offline"):
        look(prod, "prod")
