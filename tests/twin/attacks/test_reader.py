"""A role of the account that reads everything but the values of secrets, and one that may write into the bucket.

Who has more rights than these (`secretsmanager:GetSecretValue`, `TagResource`, `ec2:ReplaceRoute`) is not stopped by
anything here: docs/threat-model.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from holdfast.drill.cluster import Cluster
from holdfast.drill.waiting import wait_until
from holdfast.ops import cloud, reports
from holdfast.topology import Cluster as Topology
from holdfast.topology import find_environment, load_environment, names, users
from tests.twin.passwords import password
from tests.twin.taken import lacking

ENVIRONMENT = load_environment(find_environment("local"))
NODES = Topology.of(ENVIRONMENT).nodes
BUCKET = names.bucket(ENVIRONMENT)
ROLE = "holdfast-attacks-reader"
TRUST = '{"Version": "2012-10-17", "Statement": []}'
READS = [
    "s3:Get*",
    "s3:List*",
    "secretsmanager:DescribeSecret",
    "secretsmanager:ListSecrets",
    "kms:Decrypt",
]

LOOKS = 15.0
"""Seconds within which every node has looked for orders twice, and has reported since."""


class Reader:
    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=ENVIRONMENT.api_endpoint,
            region_name=ENVIRONMENT.region,
            aws_access_key_id=self.keys["AccessKeyId"],
            aws_secret_access_key=self.keys["SecretAccessKey"],
            aws_session_token=self.keys["SessionToken"],
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )

    def __init__(self, keys: dict[str, str]) -> None:
        self.keys = keys


@pytest.fixture(scope="module")
def reader(cluster: Cluster) -> Iterator[Reader]:
    iam, sts = cloud.client(ENVIRONMENT, "iam"), cloud.client(ENVIRONMENT, "sts")
    arn = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    try:
        statement = {"Sid": "Reads", "Effect": "Allow", "Action": READS, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=ROLE, PolicyName="reads", PolicyDocument=document)
        yield Reader(sts.assume_role(RoleArn=arn, RoleSessionName="attack")["Credentials"])
    finally:
        iam.delete_role_policy(RoleName=ROLE, PolicyName="reads")
        iam.delete_role(RoleName=ROLE)


def test_a_reader_of_the_account_finds_no_password(reader: Reader) -> None:
    """In every object of the bucket, and in the descriptions of secrets. States: twin/cluster/test_secrecy.py."""
    wanted = [password(ENVIRONMENT, user.name) for user in users.of(ENVIRONMENT)]
    found = [*_objects(reader.client("s3")), *_descriptions(reader)]
    assert len(found) > len(NODES)
    for where, content in found:
        assert [secret for secret in wanted if secret.encode() in content] == [], where


def test_a_reader_of_the_account_forges_nothing_and_reads_no_value(reader: Reader) -> None:
    s3, secrets = reader.client("s3"), reader.client("secretsmanager")
    keys = [
        names.FAILOVER_ORDER_KEY,
        names.RENEWAL_ORDER_KEY,
        names.MEMBERS_KEY,
        names.USERS_KEY,
        names.HOLDERS_KEY,
        names.BOOTSTRAP_KEY,
        names.AUTHORITY_KEY,
        names.report_key(NODES[0].name),
        names.program_key("0" * 64),
    ]
    for key in keys:
        assert lacking(s3.put_object, Bucket=BUCKET, Key=key, Body=b"{}") == "s3:PutObject", key
        assert lacking(s3.delete_object, Bucket=BUCKET, Key=key) == "s3:DeleteObject", key
    everything = [names.secret(ENVIRONMENT, user.name) for user in users.of(ENVIRONMENT)]
    for name in everything:
        assert lacking(secrets.get_secret_value, SecretId=name) == "secretsmanager:GetSecretValue"
        changed = lacking(secrets.put_secret_value, SecretId=name, SecretString="{}")
        assert changed == "secretsmanager:PutSecretValue"
        tagged = lacking(secrets.tag_resource, SecretId=name, Tags=[{"Key": f"{names.HASH_TAG}x", "Value": "0" * 64}])
        assert tagged == "secretsmanager:TagResource"


WITHOUT_SENSE = {
    "a list": b"[]",
    "nothing": b"{}",
    "no JSON": b"hello",
    "deep": b"[" * 100_000,
    "of other types": b'{"id": 1, "from": [], "node": {}, "to": 7}',
    "an id with a terminal's commands": b'{"id": "\\u001b[2J", "from": "local-a1", "node": "local-a1", "to": null}',
}


@pytest.mark.parametrize("content", WITHOUT_SENSE.values(), ids=WITHOUT_SENSE)
def test_who_may_write_orders_stops_no_report_by_one_without_sense(healthy: Cluster, content: bytes) -> None:
    """Whoever may write these objects may command failovers too, but must not blind operators."""
    s3, leader = cloud.client(ENVIRONMENT, "s3"), healthy.status()["leader"]
    orders = (names.FAILOVER_ORDER_KEY, names.RENEWAL_ORDER_KEY)
    try:
        for key in orders:
            s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        age = {node.name: LOOKS for node in NODES}

        def reported() -> bool:
            for node, found in reports.fetch(ENVIRONMENT).items():
                age[node] = found.age if isinstance(found, reports.Report) else LOOKS
            return max(age.values()) < reports.STALE_AFTER / 2

        for _ in range(3):
            wait_until(reported, LOOKS, lambda: f"reports are {age} s old")
    finally:
        for key in orders:
            s3.delete_object(Bucket=BUCKET, Key=key)
    assert healthy.status()["leader"] == leader


def _objects(s3: Any) -> Iterator[tuple[str, bytes]]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for one in page["Contents"]:
            yield one["Key"], s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()


def _descriptions(reader: Reader) -> Iterator[tuple[str, bytes]]:
    secrets = reader.client("secretsmanager")
    for user in users.of(ENVIRONMENT):
        found = secrets.describe_secret(SecretId=names.secret(ENVIRONMENT, user.name))
        yield found["Name"], json.dumps(found, default=str).encode()
