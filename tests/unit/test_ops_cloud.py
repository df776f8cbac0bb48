"""The operator commands that talk to the cloud, against moto: what they create, read, and say when it fails."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.backends import get_backend

from holdfast import cli
from holdfast.errors import HoldfastError
from holdfast.ops import bootstrap, cloud, endpoints, images, reports
from holdfast.ops.cloud import CloudError
from holdfast.topology import Environment, emulation, load_environment, names
from holdfast.topology.spec import TlsMode, TlsSpec

ACCOUNT = "123456789012"
"""moto's."""
ENVIRONMENTS = Path(__file__).parents[2] / "environments"


def boto(service: str) -> Any:
    return boto3.client(service, region_name="eu-central-1")


@pytest.fixture
def file(prod: Environment, tmp_path: Path) -> Path:
    """Its file, which may be changed."""
    return Path(shutil.copy(ENVIRONMENTS / "prod.yaml", tmp_path))


def bootstrapped(file: Path) -> list[str]:
    return bootstrap.bootstrap(load_environment(file), file)


def test_bootstrap_creates_a_closed_versioned_encrypted_bucket_and_is_harmless_again(file: Path) -> None:
    wrote, created, *rest = bootstrapped(file)
    prod = load_environment(file)
    assert prod.cloud.suffix is not None and re.fullmatch("[0-9a-f]{8}", prod.cloud.suffix)
    assert wrote.startswith(f'wrote cloud.suffix: "{prod.cloud.suffix}" into {file}: commit it')
    s3, bucket = boto("s3"), names.state_bucket(prod)
    assert created == f"created the state bucket {bucket} in eu-central-1"
    assert bootstrapped(file) == [f"the state bucket {bucket} was there already", *rest]
    assert file.read_text().startswith((ENVIRONMENTS / "prod.yaml").read_text())
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_an_environment_that_has_its_buckets_already_keeps_their_names(prod: Environment, file: Path) -> None:
    bucket = names.state_bucket(prod)
    boto("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert bootstrapped(file)[0] == f"the state bucket {bucket} was there already"
    assert file.read_text() == (ENVIRONMENTS / "prod.yaml").read_text()


def owned_by_a_stranger(bucket: str) -> Any:
    stranger = get_backend("s3")["999999999999"]["aws"]
    return stranger.create_bucket(bucket, "eu-central-1")


def test_nothing_is_written_into_a_bucket_of_another_account(prod: Environment, file: Path) -> None:
    for more in ("", "cloud: {suffix: taken}\n"):
        text = (ENVIRONMENTS / "prod.yaml").read_text() + more
        file.write_text(text)
        environment = load_environment(file)
        bucket = names.state_bucket(environment)
        taken = owned_by_a_stranger(bucket)
        with pytest.raises(CloudError) as refused:
            bootstrapped(file)
        assert str(refused.value) == (
            f"prod: the bucket {bucket} is another account's, and nothing was written into it; "
            f"accepted: that account's credentials, or another cloud.suffix than {environment.suffix}"
        )
        # Not even another name: with wrong credentials it would part the environment from its states.
        assert file.read_text() == text
        assert (taken.policy, taken.versioning_status, dict(taken.keys)) == (None, None, {})


@pytest.mark.parametrize(
    ("cloud", "becomes"),
    [
        ("", 'cloud:\n  suffix: "SUFFIX" # ends the names of its buckets\n'),
        ('cloud: {node_endpoint: "https://a"}\n', 'cloud: {suffix: "SUFFIX", node_endpoint: "https://a"}\n'),
        ("cloud: {}\n", 'cloud: {suffix: "SUFFIX"}\n'),
        (
            "cloud: # where\n    node_endpoint: https://a\nprotected: true\n",
            'cloud: # where\n    suffix: "SUFFIX"\n    node_endpoint: https://a\nprotected: true\n',
        ),
    ],
)
def test_the_suffix_is_written_beside_what_people_wrote(file: Path, cloud: str, becomes: str) -> None:
    rest = (ENVIRONMENTS / "prod.yaml").read_text()
    file.write_text(rest + cloud)
    bootstrapped(file)
    suffix = load_environment(file).cloud.suffix
    assert suffix and file.read_text() == rest + becomes.replace("SUFFIX", suffix)


def test_a_file_that_is_written_otherwise_is_left_to_its_author(file: Path) -> None:
    text = (ENVIRONMENTS / "prod.yaml").read_text() + '"cloud": {node_endpoint: "https://a"}\n'
    file.write_text(text)
    with pytest.raises(HoldfastError, match="nothing was changed; write into it by hand, below cloud: suffix: "):
        bootstrapped(file)
    assert file.read_text() == text
    assert boto("s3").list_buckets()["Buckets"] == []


def test_bootstrap_of_an_emulated_cloud_creates_nothing() -> None:
    local = load_environment(ENVIRONMENTS / "local.yaml")
    assert "nothing to create" in bootstrap.bootstrap(local, ENVIRONMENTS / "local.yaml")[0]


OTHER = "210987654321"


def of(prod: Environment, account: str) -> Environment:
    return prod.model_copy(update={"cloud": prod.cloud.model_copy(update={"account": account})})


def test_nothing_is_made_with_credentials_of_another_account(file: Path) -> None:
    text = file.read_text()
    file.write_text(f'{text}cloud: {{account: "{OTHER}"}}\n')
    with pytest.raises(CloudError, match=rf"of the account {ACCOUNT}, and cloud.account is {OTHER}; nothing was"):
        bootstrapped(file)
    assert boto("s3").list_buckets()["Buckets"] == []
    file.write_text(f'{text}cloud: {{account: "{ACCOUNT}"}}\n')
    assert bootstrapped(file)[1].startswith("created")


def test_every_call_about_a_bucket_says_whose_it_must_be(prod: Environment) -> None:
    sent = []
    s3 = cloud.client(of(prod, ACCOUNT), "s3")
    s3.meta.events.register("before-send.s3", lambda request, **_: sent.append(request.headers))
    s3.create_bucket(Bucket="states", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="states", Key="it", Body=b"")
    s3.head_bucket(Bucket="states")
    list(s3.get_paginator("list_objects_v2").paginate(Bucket="states"))
    owners = [headers.get("x-amz-expected-bucket-owner") for headers in sent]
    assert owners == [None, *[ACCOUNT.encode()] * 3]


def test_who_has_no_key_for_the_twin_is_told_how_to_have_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = load_environment(ENVIRONMENTS / "local.yaml")
    monkeypatch.setenv(emulation.VARIABLE, str(tmp_path / "key"))
    refused = ClientError({"Error": {"Code": "InvalidClientTokenId", "Message": "no"}}, "GetObject")
    assert str(cloud.explain(local, "reading", refused)).endswith(
        f"; there is no key for the twin in {tmp_path}/key, write it: `holdfast twin up`"
    )
    emulation.write(tmp_path / "key", emulation.Key.new())
    assert "holdfast twin up" not in str(cloud.explain(local, "reading", refused))


def test_endpoints_show_the_password_only_when_asked(prod: Environment) -> None:
    secret = json.dumps({"user": "app", "password": "correct horse"})
    boto("secretsmanager").create_secret(Name="holdfast/prod/app", SecretString=secret)
    assert "password" not in endpoints.find(prod, "app", with_password=False).as_json()
    plaintext = prod.model_copy(update={"tls": TlsSpec(mode=TlsMode.OFF)})
    content = endpoints.find(plaintext, "app", with_password=True).as_json()
    assert (content["user"], content["password"]) == ("app", "correct horse")
    assert content["leader"] == {
        "addresses": ("10.60.0.5", "10.60.16.5", "10.60.32.5"),
        "port": 6379,
        "name": "leader.prod.holdfast.internal",
        "url": "redis://app:$REDIS_PASSWORD@leader.prod.holdfast.internal:6379",
        "forward": None,
        "public_addresses": (),
    }
    assert content["replica"]["addresses"] == ("10.60.0.6", "10.60.16.6", "10.60.32.6")


def test_a_missing_secret_is_named(prod: Environment) -> None:
    with pytest.raises(CloudError, match="prod: reading the secret holdfast/prod/app failed at AWS in eu-central-1"):
        endpoints.find(prod, "app", with_password=True)


def test_reports_of_an_environment_that_is_not_deployed_say_so(prod: Environment) -> None:
    with pytest.raises(CloudError, match=r"not deployed; deploy it: make deploy ENV=prod"):
        reports.fetch(prod)


def test_reports_are_read_from_the_bucket_with_their_age(prod: Environment) -> None:
    s3, bucket = boto("s3"), names.bucket(prod)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    content = {
        "version": 1,
        "node": "prod-a1",
        "instance_id": "i-1",
        "reported_at": 0,
        "ready": True,
        "decision": "leads",
        "address": "10.60.0.4",
        "redis": {"role": "leader", "version": "7.0.15", "offset": 7, "replicas": [
            {"address": "10.60.16.4", "offset": 5, "state": "online", "lag_s": 0}]},
        "sentinel": {"leader": "10.60.0.4"},
    }  # fmt: skip
    s3.put_object(Bucket=bucket, Key="reports/prod-a1.json", Body=json.dumps(content))
    report = reports.fetch(prod)["prod-a1"]
    assert isinstance(report, reports.Report)
    assert (report.role, report.offset, report.named_leader, report.fresh) == ("leader", 7, "10.60.0.4", True)
    assert report.replicas[0].offset == 5


def test_pins_move_forward_to_the_newest_release_and_only_when_told(
    prod: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ENVIRONMENTS, tmp_path / "environments")
    monkeypatch.setattr(images, "ENVIRONMENTS", tmp_path / "environments")
    found = [
        {"ImageId": "ami-old", "Name": "debian-12-amd64-20250101-1", "CreationDate": "2025-01-01T00:00:00.000Z"},
        {"ImageId": "ami-new", "Name": "debian-12-amd64-20260901-1", "CreationDate": "2026-09-01T00:00:00.000Z"},
    ]

    class Ec2:
        def describe_images(self, **asked: Any) -> dict[str, Any]:
            assert asked["Owners"] == ["136693071363"]
            return {"Images": found}

    monkeypatch.setattr("holdfast.ops.cloud.client", lambda environment, service: Ec2())
    assert images.update(prod)["debian-12/stock/amd64"].id == "ami-new"
    assert images.pinned(prod)["debian-12/stock/amd64"].id == "ami-new"
    assert images.update(prod) == {}
    found.clear()
    with pytest.raises(images.NoImage, match="no image of owner 136693071363 named debian-12-amd64-20"):
        images.update(prod)


def test_a_refused_file_ends_with_exit_code_2_and_json_lists_the_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text("name: shop\n")
    assert cli.main(["validate", str(file), "--json"]) == 2
    content = json.loads(capsys.readouterr().out)
    assert content["valid"] is False
    assert {"path": "redis", "found": "nothing", "accepted": "a value; it has no default"} in content["problems"]
    assert cli.main(["validate", "nowhere"]) == 2
    assert "there is no file" in capsys.readouterr().err
