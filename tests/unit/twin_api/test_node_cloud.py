"""A node's calls to the cloud: one claim of the bootstrap record wins, secrets and reports are where they belong."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from holdfast_node import aws
from holdfast_node.cloud import Cloud
from holdfast_node.identity import Identity

from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import REGION, client

RECORD = {"leader": "10.40.0.4", "node": "local-a1", "token": "a"}
OTHER = {"leader": "10.40.16.4", "node": "local-b1", "token": "b"}


@pytest.fixture
def node(identity: Identity, instant: Api, monkeypatch: pytest.MonkeyPatch) -> Identity:
    """The node of a cloud that is here, with the environment's bucket."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "holdfast")
    monkeypatch.setattr(aws, "BACKOFF", 0)
    client(instant, "s3").create_bucket(
        Bucket="holdfast-local", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return dataclasses.replace(identity, api_endpoint=instant.url)


def test_of_two_claims_exactly_the_first_wins(node: Identity) -> None:
    first, second = Cloud(node), Cloud(dataclasses.replace(node, node="local-b1"))
    assert first.bootstrap_record() is None
    assert first.claim_bootstrap(RECORD) is True
    assert second.claim_bootstrap(OTHER) is False
    assert first.claim_bootstrap(RECORD) is False
    assert second.bootstrap_record() == first.bootstrap_record() == RECORD


def test_a_claim_that_fails_otherwise_is_an_error_and_not_a_lost_race(node: Identity) -> None:
    with pytest.raises(aws.Refused, match="^NoSuchBucket: "):
        Cloud(dataclasses.replace(node, bucket="holdfast-gone")).claim_bootstrap(RECORD)


def test_reports_are_overwritten_after_a_claim(node: Identity, instant: Api) -> None:
    cloud = Cloud(node)
    cloud.claim_bootstrap(RECORD)
    cloud.put_report({"ready": False})
    cloud.put_report({"ready": True})
    written: Any = client(instant, "s3").get_object(Bucket="holdfast-local", Key="reports/local-a1.json")
    assert json.load(written["Body"]) == {"ready": True}


def test_credentials_come_from_the_secret_of_their_purpose(node: Identity, instant: Api) -> None:
    secrets = client(instant, "secretsmanager")
    for purpose in ("app", "system"):
        content = json.dumps({"user": purpose, "password": f"of {purpose}"})
        secrets.create_secret(Name=f"holdfast/local/{purpose}", SecretString=content)
    assert Cloud(node).secret("system") == {"user": "system", "password": "of system"}


def test_a_secret_that_is_not_there_is_refused_by_name(node: Identity) -> None:
    with pytest.raises(aws.Refused, match="^ResourceNotFoundException: "):
        Cloud(node).secret("app")
