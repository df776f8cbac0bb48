"""A node that was taken over: the keys of its role, used from its own network, as whoever has it would use them."""

from __future__ import annotations

import http.client
import io
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from holdfast.ops import cloud
from holdfast.topology import Environment, Node, Role, names, users

METADATA, METADATA_PORT = "169.254.169.254", 80
PATIENCE = 10.0
"""Seconds for one answer: a busy machine takes some."""

Connect = Callable[[str, int, float], socket.socket]
"""Address, port and timeout → a connection that begins at the machine."""


class Metadata:
    """The metadata service as one machine is answered."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Status and text; `headers` with `_` for `-`."""
        connection = self._connect(METADATA, METADATA_PORT, PATIENCE)
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        status, _, body = _ask(connection, METADATA, method, path, named)
        return status, body.decode()

    def token(self) -> str:
        status, token = self.ask("/latest/api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="60")
        assert status == 200, token
        return token

    def read(self, path: str) -> tuple[int, str]:
        return self.ask(f"/latest/{path}", X_aws_ec2_metadata_token=self.token())


class Taken:
    """One node, and clients of the cloud's services with its keys."""

    def __init__(self, environment: Environment, node: Node, connect: Connect) -> None:
        self.environment, self.node, self._connect = environment, node, connect
        folder = "meta-data/iam/security-credentials/"
        metadata = Metadata(connect)
        _, role = metadata.read(folder)
        assert role == names.node_role(environment, node)
        self._keys = json.loads(metadata.read(folder + role)[1])

    def client(self, service: str) -> Any:
        made = boto3.client(
            service,
            endpoint_url=self.environment.node_api_endpoint,
            region_name=self.environment.region,
            aws_access_key_id=self._keys["AccessKeyId"],
            aws_secret_access_key=self._keys["SecretAccessKey"],
            aws_session_token=self._keys["Token"],
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )
        made.meta.events.register("before-send", self._send)
        return made

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """In place of botocore's own sending, which begins on this machine."""
        url = urlsplit(request.url)
        connection = self._connect(url.hostname or "", url.port or 80, PATIENCE)
        path = f"{url.path}?{url.query}" if url.query else url.path
        headers = {name: text.decode() if isinstance(text, bytes) else text for name, text in request.headers.items()}
        status, answered, body = _ask(connection, url.netloc, request.method, path, headers, request.body)
        return AWSResponse(request.url, status, answered, _Raw(body))


class _Raw(io.BytesIO):
    """As botocore reads an answer."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


def _ask(
    connection: socket.socket, host: str, method: str, path: str, headers: dict[str, str], body: Any = None
) -> tuple[int, dict[str, str], bytes]:
    """Over a connection that is there already, and closed then."""
    asking = http.client.HTTPConnection(host)
    asking.sock = connection
    try:
        asking.request(method, path, body, headers)
        answer = asking.getresponse()
        return answer.status, dict(answer.headers.items()), answer.read()
    finally:
        asking.close()


def lacking(call: Callable[..., Any], **arguments: Any) -> str:
    """The permission without which the node's role was refused, as `s3:PutObject`; else what came of the call.

    A call of which the twin does not know what it takes is refused too, which says nothing of the role: for those
    there are the exact policies of synth/test_identity.py.
    """
    try:
        call(**arguments)
    except ClientError as error:
        said = str(error.response["Error"].get("Message"))
        _, refused, what = said.partition(" is not authorized to perform: ")
        known = refused and "the twin does not know" not in what
        return what.partition(" on ")[0] if known else f"{error.response['Error']['Code']}: {said}"
    return "allowed"


Attempt = tuple[str, str, str]
"""What was tried, what came of it (as `lacking` has it), and what should have."""


def attempts(taken: Taken, other: Node) -> Iterator[Attempt]:
    """What whoever has a node tries with its role's keys, against `other` and against all: nothing that it is for."""
    yield from _on_the_bucket(taken, other)
    yield from _on_secrets(taken, other)
    yield from _on_volumes(taken, other)


def _on_the_bucket(taken: Taken, other: Node) -> Iterator[Attempt]:
    bucket, s3, has_data = names.bucket(taken.environment), taken.client("s3"), Role.DATA in taken.node.roles
    report = names.report_key(other.name)
    foreign = [
        report,
        names.FAILOVER_ORDER_KEY,
        names.RENEWAL_ORDER_KEY,
        names.MEMBERS_KEY,
        names.USERS_KEY,
        names.AUTHORITY_KEY,
        names.program_key("0" * 64),
        names.BOOTSTRAP_KEY,
        *([] if has_data else [names.HOLDERS_KEY]),
    ]
    for key in foreign:
        yield f"write {key}", lacking(s3.put_object, Bucket=bucket, Key=key, Body=b"{}"), "s3:PutObject"
    again = lacking(s3.put_object, Bucket=bucket, Key=names.BOOTSTRAP_KEY, Body=b"{}", IfNoneMatch="*")
    yield (
        "begin again",
        again.partition(":")[0] if has_data else again,
        ("PreconditionFailed" if has_data else "s3:PutObject"),
    )
    if Role.GATEWAY not in taken.node.roles & other.roles:
        # Gateways read of each other who holds the floating pair.
        yield f"read {report}", lacking(s3.get_object, Bucket=bucket, Key=report), "s3:GetObject"


def _on_secrets(taken: Taken, other: Node) -> Iterator[Attempt]:
    environment, secrets = taken.environment, taken.client("secretsmanager")
    known, said = (of(environment, taken.node.roles) for of in (users.known_to, users.said_by))
    foreign = [
        *(names.secret(environment, user.name) for user in users.of(environment) if user.name not in said),
        *(names.client_certificate(environment, application) for application in environment.applications),
        names.node_certificate(environment, other.name),
        names.authority(environment),
    ]
    for name in foreign:
        yield f"read {name}", lacking(secrets.get_secret_value, SecretId=name), "secretsmanager:GetSecretValue"
    unknown = [names.secret(environment, user.name) for user in users.of(environment) if user.name not in known]
    for name in [*unknown, names.node_certificate(environment, other.name), names.authority(environment)]:
        yield f"look at {name}", lacking(secrets.describe_secret, SecretId=name), "secretsmanager:DescribeSecret"


def _on_volumes(taken: Taken, other: Node) -> Iterator[Attempt]:
    ec2 = taken.client("ec2")
    mine, theirs = (_things(taken.environment, node) for node in (taken.node, other))
    for what, volume, instance in (
        ("another's volume to itself", theirs["volume"], mine["instance"]),
        ("its own volume to another", mine["volume"], theirs["instance"]),
    ):
        found = lacking(ec2.attach_volume, VolumeId=volume, InstanceId=instance, Device="/dev/sdx")
        yield f"attach {what}", found, "ec2:AttachVolume"


def _things(environment: Environment, node: Node) -> dict[str, str]:
    """Ids of a node's machine and of its data volume; that of no volume for one that has none."""
    ec2, tagged = cloud.client(environment, "ec2"), _tagged(environment, Node=node.name)
    running = [*tagged, {"Name": "instance-state-name", "Values": ["running"]}]
    ((instance,),) = (it["Instances"] for it in ec2.describe_instances(Filters=running)["Reservations"])
    volumes = ec2.describe_volumes(Filters=[*tagged, {"Name": "tag:Volume", "Values": ["data"]}])["Volumes"]
    return {
        "instance": instance["InstanceId"],
        "volume": volumes[0]["VolumeId"] if volumes else "vol-00000000000000000",
    }


def _tagged(environment: Environment, **more: str) -> list[dict[str, Any]]:
    wanted = names.tags(environment) | more
    return [{"Name": f"tag:{name}", "Values": [value]} for name, value in wanted.items()]
