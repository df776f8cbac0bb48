"""Requests are signed as AWS demands, and tried again where that may help."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from holdfast_node import aws
from holdfast_node.aws import Api, Credentials, sign

NOW = datetime(2026, 11, 21, 13, 5, 9, tzinfo=UTC)


class Clock(datetime):
    @classmethod
    def utcnow(cls) -> datetime:
        return NOW.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("method", "url", "headers", "body", "service"),
    [
        ("GET", "https://b.s3.eu-central-1.amazonaws.com/node/0f.pyz", {}, b"", "s3"),
        ("PUT", "http://198.51.100.1:5599/b/reports/local-a1.json", {"if-none-match": "*"}, b"{}", "s3"),
        ("PUT", "https://b.s3.eu-central-1.amazonaws.com/a%20name/%C3%A9", {}, b"x", "s3"),
        (
            "GET",
            "https://b.s3.eu-central-1.amazonaws.com/?start-after=a%2Fb%20c&list-type=2&prefix=a%2F",
            {},
            b"",
            "s3",
        ),
        ("GET", "http://198.51.100.1:5599/b?versions", {}, b"", "s3"),
        ("POST", "https://ec2.eu-central-1.amazonaws.com/", {"content-type": "text/plain"}, b"Action=It", "ec2"),
    ],
)
@pytest.mark.parametrize("token", [None, "a-session"])
def test_a_signature_is_the_one_that_botocore_makes(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes,
    service: str,
    token: str | None,
) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: NOW.replace(tzinfo=None), raising=False)
    signed = sign(method, url, headers, body, service, "eu-central-1", Credentials("AKID", "secret", token), NOW)
    given = headers | {"x-amz-content-sha256": signed["x-amz-content-sha256"]}
    request = AWSRequest(method=method, url=url, headers=given, data=body)
    request.context["timestamp"] = signed["x-amz-date"]
    kind: Any = botocore.auth.S3SigV4Auth if service == "s3" else SigV4Auth
    kind(BotoCredentials("AKID", "secret", token), service, "eu-central-1").add_auth(request)
    assert signed["authorization"] == request.headers["Authorization"]


class Answers(BaseHTTPRequestHandler):
    """The next of `answers` to each request."""

    answers: list[tuple[int, str]] = []
    asked = 0

    def do_POST(self) -> None:
        type(self).asked += 1
        status, body = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(aws, "BACKOFF", 0)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "holdfast")
    Answers.answers, Answers.asked = [], 0
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Api("eu-central-1", f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_busy_or_broken_api_is_asked_again(api: Api) -> None:
    Answers.answers = [(503, "slow down"), (429, ""), (200, '{"SecretString": "x"}')]
    assert api.json("secretsmanager", "GetSecretValue", SecretId="a") == {"SecretString": "x"}


def test_what_is_refused_is_said_as_the_api_words_it_and_not_asked_again(api: Api) -> None:
    body = json.dumps({"__type": "com.amazonaws#AccessDeniedException", "Message": "not you"})
    Answers.answers = [(400, body)]
    with pytest.raises(aws.Refused, match="^AccessDeniedException: not you$"):
        api.json("secretsmanager", "GetSecretValue", SecretId="a")
    Answers.answers = [(400, "<E><Errors><Error><Code>VolumeInUse</Code><Message>m</Message></Error></Errors></E>")]
    with pytest.raises(aws.Refused, match="^VolumeInUse: m$"):
        api.ec2("AttachVolume")
    assert Answers.asked == 2


def test_who_is_refused_asks_for_the_credentials_of_the_role_that_the_machine_has_now(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    roles = iter(("old", "new"))
    monkeypatch.setattr(aws, "credentials", lambda: Credentials(next(roles), "s", "t"))
    api._credentials = aws.credentials()
    Answers.answers = [(403, json.dumps({"__type": "InvalidClientTokenId"}))]
    with pytest.raises(aws.Refused):
        api.ec2("DescribeVolumes")
    Answers.answers = [(200, "<A/>")]
    api.ec2("DescribeVolumes")
    assert api._credentials.key_id == "new"


def test_an_api_that_stays_broken_is_an_error_in_the_end(api: Api) -> None:
    Answers.answers = [(500, "")] * 3
    with pytest.raises(aws.Refused, match="^500$"):
        api.ec2("DescribeVolumes")
    assert Answers.asked == 3


def test_an_api_that_is_not_there_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "BACKOFF", 0)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "holdfast")
    with pytest.raises(OSError):
        Api("eu-central-1", "http://127.0.0.1:9").ec2("DescribeVolumes")


def test_the_roles_credentials_come_from_the_metadata_service_and_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    found = {
        "AccessKeyId": "ASIA",
        "SecretAccessKey": "s",
        "Token": "t",
        "Expiration": "2026-11-21T19:05:09Z",
    }
    prefix = "meta-data/iam/security-credentials/"
    answers = {prefix: "holdfast-local-node\n", f"{prefix}holdfast-local-node": json.dumps(found)}
    monkeypatch.setattr(aws, "metadata", answers.__getitem__)
    assert aws.credentials() == Credentials("ASIA", "s", "t", NOW.timestamp() + 6 * 3600)


@pytest.mark.parametrize("roles", ["", "holdfast-local-node\n"])
def test_credentials_that_are_not_there_yet_are_asked_for_again(monkeypatch: pytest.MonkeyPatch, roles: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    prefix = "meta-data/iam/security-credentials/"
    failed = {"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role holdfast-local-node."}
    answers = {prefix: roles, f"{prefix}holdfast-local-node": json.dumps(failed)}
    monkeypatch.setattr(aws, "metadata", answers.__getitem__)
    monkeypatch.setattr(aws, "BACKOFF", 0)
    with pytest.raises(OSError, match="yet"):
        Api("eu-central-1", "http://127.0.0.1:9").ec2("DescribeVolumes")


def test_an_objects_address_has_its_query_encoded_as_it_is_signed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    called = list[str]()
    monkeypatch.setattr(api, "call", lambda service, method, url, body, headers: called.append(url))
    api.s3("GET", "b", "", query={"prefix": "base/a b/", "list-type": "2"})
    api.s3("PUT", "b", "base/a b/1", b"1")
    assert [url.partition("/b/")[2] for url in called] == ["?prefix=base%2Fa%20b%2F&list-type=2", "base/a%20b/1"]
