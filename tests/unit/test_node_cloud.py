"""A node's calls to the cloud: one claim of the bootstrap record wins, secrets and reports are where they belong."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from holdfast_node.cloud import Cloud
from holdfast_node.identity import Identity
from moto import mock_aws

RECORD = {"leader": "10.40.0.4", "node": "local-a1", "token": "a"}
OTHER = {"leader": "10.40.16.4", "node": "local-b1", "token": "b"}


@pytest.fixture
def s3(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """With the environment's bucket."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with mock_aws():
        s3 = boto3.client("s3", region_name="eu-central-1")
        s3.create_bucket(Bucket="holdfast-local", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield s3


def test_of_two_claims_exactly_the_first_wins(identity: Identity, s3: Any) -> None:
    first, second = Cloud(identity), Cloud(dataclasses.replace(identity, node="local-b1"))
    assert first.bootstrap_record() is None
    assert first.claim_bootstrap(RECORD) is True
    assert second.claim_bootstrap(OTHER) is False
    assert first.claim_bootstrap(RECORD) is False
    assert second.bootstrap_record() == first.bootstrap_record() == RECORD


def test_a_claim_that_fails_otherwise_is_an_error_and_not_a_lost_race(identity: Identity, s3: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        Cloud(dataclasses.replace(identity, bucket="holdfast-gone")).claim_bootstrap(RECORD)


def test_reports_are_overwritten_after_a_claim(identity: Identity, s3: Any) -> None:
    cloud = Cloud(identity)
    cloud.claim_bootstrap(RECORD)
    cloud.put_report({"ready": False})
    cloud.put_report({"ready": True})
    assert json.load(s3.get_object(Bucket="holdfast-local", Key="reports/local-a1.json")["Body"]) == {"ready": True}


def test_credentials_come_from_the_secret_of_their_purpose(identity: Identity, s3: Any) -> None:
    secrets = boto3.client("secretsmanager", region_name="eu-central-1")
    for purpose in ("app", "system"):
        content = json.dumps({"user": purpose, "password": f"of {purpose}"})
        secrets.create_secret(Name=f"holdfast/local/{purpose}", SecretString=content)
    assert Cloud(identity).secret("system") == {"user": "system", "password": "of system"}
