"""The few calls that a node makes to the cloud, with its instance role: secrets, the bootstrap record, its report."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from holdfast_node.identity import Identity

BOOTSTRAP_KEY = "bootstrap/leader.json"
METADATA = "http://169.254.169.254/latest"
TIMEOUT = 3
"""Seconds for a connection and for an answer: during a zone's outage the API may be slow or dead."""


class Cloud:
    """Clients are made on first use: importing boto3 takes longer than most commands."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._clients: dict[str, Any] = {}

    def secret(self, purpose: str) -> dict[str, str]:
        """The credentials for `purpose`: {"user": …, "password": …}."""
        answer = self._client("secretsmanager").get_secret_value(SecretId=self._identity.secrets[purpose])
        content: dict[str, str] = json.loads(answer["SecretString"])
        return content

    def bootstrap_record(self) -> dict[str, str] | None:
        """The record of who began this cluster, or None where nobody has yet."""
        s3 = self._client("s3")
        try:
            body = s3.get_object(Bucket=self._identity.bucket, Key=BOOTSTRAP_KEY)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None
        record: dict[str, str] = json.loads(body)
        return record

    def claim_bootstrap(self, record: dict[str, str]) -> bool:
        """Write the record unless there is one: exactly one node ever gets True."""
        from botocore.exceptions import ClientError

        s3 = self._client("s3")
        # Debian 12's botocore does not know the argument IfNoneMatch yet.
        s3.meta.events.register_first("before-sign.s3.PutObject", _if_none_match)
        try:
            s3.put_object(Bucket=self._identity.bucket, Key=BOOTSTRAP_KEY, Body=json.dumps(record).encode())
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
                return False
            raise
        finally:
            s3.meta.events.unregister("before-sign.s3.PutObject", _if_none_match)
        return True

    def put_report(self, report: dict[str, Any]) -> None:
        body = json.dumps(report).encode()
        self._client("s3").put_object(
            Bucket=self._identity.bucket, Key=f"reports/{self._identity.node}.json", Body=body
        )

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            import boto3
            from botocore.config import Config

            config = Config(
                connect_timeout=TIMEOUT,
                read_timeout=TIMEOUT,
                retries={"max_attempts": 2, "mode": "standard"},
                s3={"addressing_style": "path" if self._identity.api_endpoint else "virtual"},
            )
            self._clients[service] = boto3.client(
                service, region_name=self._identity.region, endpoint_url=self._identity.api_endpoint, config=config
            )
        return self._clients[service]


def _if_none_match(request: Any, **_: Any) -> None:
    request.headers["If-None-Match"] = "*"


def instance_id() -> str:
    """This machine's instance id, from the metadata service."""
    token_request = urllib.request.Request(
        f"{METADATA}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    with urllib.request.urlopen(token_request, timeout=TIMEOUT) as answer:
        token = answer.read().decode()
    request = urllib.request.Request(f"{METADATA}/meta-data/instance-id", headers={"X-aws-ec2-metadata-token": token})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        text: str = answer.read().decode()
    return text
