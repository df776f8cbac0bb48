"""The API answers whoever has its key, and refuses strangers, web pages, and what was changed on its way."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from holdfast_node import aws

from holdfast.topology import emulation
from holdfast.topology.emulation import Key
from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import IMAGE, REGION, client, refused

RUN = f"Action=RunInstances&Version=2016-11-15&ImageId={IMAGE}&MinCount=1&MaxCount=1&UserData=IyEvYmluL3No".encode()
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def signed(api: Api, path: str = "/", body: bytes = RUN, key: Key | None = None, **more: str) -> dict[str, str]:
    """The headers of a request, as botocore signs it."""
    key = key or api.key
    headers = FORM | {name.replace("_", "-"): value for name, value in more.items()}
    request = AWSRequest("POST", api.url + path, headers, body)
    SigV4Auth(Credentials(key.id, key.secret), "ec2", REGION).add_auth(request)
    return dict(request.headers.items())


def send(api: Api, headers: dict[str, str], path: str = "/", body: bytes | None = RUN) -> tuple[int, str, Any]:
    """Status, text and headers of the answer."""
    request = urllib.request.Request(api.url + path, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def test_who_has_the_key_is_answered_and_no_web_page_may_read_it(api: Api) -> None:
    make = b"Action=CreateVpc&CidrBlock=10.9.0.0%2F16&Version=2016-11-15"
    status, _, headers = send(api, signed(api, body=make), body=make)
    assert (status, len(api.view().vpcs)) == (200, 1)
    assert not [name for name in headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:5599", "null"])
def test_a_web_page_is_refused_even_with_the_key(api: Api, origin: str) -> None:
    for headers in (FORM | {"Origin": origin}, signed(api) | {"Origin": origin}):
        status, text, answered = send(api, headers)
        assert (status, "web pages are not served" in text) == (403, True)
        assert not [name for name in answered if name.lower().startswith("access-control-")]
    assert api.view().instances == {}


def test_a_page_may_not_ask_what_it_may_send(api: Api) -> None:
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    request = urllib.request.Request(api.url, headers=preflight, method="OPTIONS")
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=10)
    assert refusal.value.code == 403
    assert not [name for name in refusal.value.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    "host", ["evil.example:{port}", "127.0.0.1", "127.0.0.1:{port}.evil.example", "169.254.169.254"]
)
def test_a_name_that_was_made_to_lead_here_is_refused(api: Api, host: str) -> None:
    named = host.format(port=api.url.rpartition(":")[2])
    for headers in (FORM | {"Host": named}, signed(api, Host=named)):
        status, text, _ = send(api, headers)
        assert (status, f"for the host {named}; accepted: {api.url[7:]}" in text) == (403, True)
    assert api.view().instances == {}


@pytest.mark.parametrize("path", ["/moto-api/data.json", "/moto-api/", "/moto-api/reset", "/%6doto-api/data.json"])
def test_motos_own_pages_are_not_served(api: Api, path: str) -> None:
    assert send(api, {}, path, body=None)[0] == 403
    assert send(api, signed(api, path), path)[0] == 403


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic aG9sZGZhc3Q6aG9sZGZhc3Q=",
        "AWS4-HMAC-SHA256 Credential=holdfast/20260101/eu-central-1/ec2/aws4_request",
        "AWS holdfast:signature",
    ],
)
def test_who_has_not_signed_is_refused(api: Api, authorization: str | None) -> None:
    headers = FORM if authorization is None else FORM | {"Authorization": authorization}
    status, text, _ = send(api, headers)
    assert (status, "<Code>MissingAuthenticationToken</Code>" in text) == (403, True)
    assert api.view().instances == {}


def test_an_address_that_is_presigned_is_refused(api: Api) -> None:
    """Nothing here makes any."""
    client(api, "s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    url = client(api, "s3").generate_presigned_url("list_objects_v2", {"Bucket": "bucket"})
    assert send(api, {}, url.removeprefix(api.url), body=None)[0] == 403


@pytest.mark.parametrize("service", ["ec2", "s3", "iam", "sts", "route53", "secretsmanager", "ssm", "sns"])
def test_strangers_hear_it_in_the_words_of_the_service(api: Api, service: str) -> None:
    call = {
        "ec2": "describe_vpcs", "s3": "list_buckets", "iam": "list_roles", "sts": "get_caller_identity",
        "route53": "list_hosted_zones", "secretsmanager": "list_secrets", "ssm": "describe_parameters",
        "sns": "list_topics",
    }[service]  # fmt: skip
    for key, code in (
        (Key("holdfast", "holdfast"), "InvalidClientTokenId"),
        (Key(api.key.id, "holdfast"), "SignatureDoesNotMatch"),
    ):
        stranger = boto3.client(
            service,
            endpoint_url=api.url,
            region_name=REGION,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            config=Config(retries={"max_attempts": 0}),
        )
        assert refused(getattr(stranger, call)) == code
    assert "ResponseMetadata" in getattr(client(api, service), call)()


def test_what_was_changed_after_it_was_signed_is_refused(api: Api) -> None:
    headers = signed(api)
    for changed in (
        send(api, headers, body=RUN.replace(b"MaxCount=1", b"MaxCount=9")),
        send(api, headers, "/?Action=TerminateInstances"),
        send(api, headers | {"X-Amz-Date": "20260101T000000Z"}),
        send(api, headers | {"Content-Type": "text/plain"}),
    ):
        assert (changed[0], "<Code>SignatureDoesNotMatch</Code>" in changed[1]) == (403, True)
    assert api.view().instances == {}


@pytest.mark.parametrize("key", ["plain", "with space", "folder/ä+b=c&d", "a//b/../c", "tilde~(1)*'"])
def test_whatever_an_object_is_called_its_signature_fits(api: Api, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="bucket", Key=key, Body=b"1", Metadata={"note": "two  spaces"})
    assert [it["Key"] for it in s3.list_objects_v2(Bucket="bucket", Prefix=key, MaxKeys=1)["Contents"]] == [key]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", api.key.id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", api.key.secret)
    assert aws.Api(REGION, api.url).s3("GET", "bucket", key) == b"1"


def test_the_key_is_read_from_its_file_and_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, key = tmp_path / "credentials", Key.new()
    monkeypatch.setenv(emulation.VARIABLE, str(file))
    assert emulation.key() is None
    emulation.write(file, key)
    assert emulation.key() == key
    assert key.secret not in repr(key)
    with pytest.raises(FileExistsError):
        emulation.write(file, key)
