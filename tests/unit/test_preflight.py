"""`holdfast preflight` against moto: what it finds right, and what it says to do."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pytest
from botocore.exceptions import ClientError
from moto.backends import get_backend

from holdfast import cli
from holdfast.ops.preflight import machines, place, quotas, rights, run, taken
from holdfast.ops.preflight.check import Check, Verdict
from holdfast.ops.review import run as review
from holdfast.topology import Environment, names, pins
from holdfast.topology.instances import BUILT_IN
from holdfast.topology.pinned_types import Known

REGION = "eu-central-1"
ENVIRONMENTS = Path(__file__).parents[2] / "environments"


def boto(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def asked(ask: run.Ask, environment: Environment) -> dict[str, tuple[str, str]]:
    return {check.what: (check.verdict, check.says) for check in ask(environment)}


def registered(architecture: str) -> str:
    """An image's id. moto does not keep the architecture."""
    id = str(boto("ec2").register_image(Name=f"of-{architecture}")["ImageId"])
    get_backend("ec2")["123456789012"][REGION].amis[id].architecture = architecture
    return id


def tags(environment: str) -> list[dict[str, str]]:
    return [{"Key": "Project", "Value": "holdfast"}, {"Key": "Environment", "Value": environment}]


def changed(environment: Environment, **section: Any) -> Environment:
    return environment.model_copy(update=section)


def test_zones_that_are_not_open(prod: Environment) -> None:
    assert asked(place.zones, prod)["zones"] == (
        Verdict.RIGHT,
        "eu-central-1a, eu-central-1b, eu-central-1c: open to this account",
    )
    verdict, says = asked(place.zones, changed(prod, zones=("a", "b", "h")))["zones"]
    assert (verdict, says.split(";")[0]) == (Verdict.WRONG, "eu-central-1h is not there")


def test_elastic_ips_beside_those_of_others(prod: Environment) -> None:
    boto("ec2").allocate_address(TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags("prod")}])
    for _ in range(2):
        boto("ec2").allocate_address(TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags("staging")}])
    beside = "prod takes 3, others in eu-central-1 have {}; the account may have 5"
    assert asked(quotas.check, prod)["Elastic IPs"] == (Verdict.RIGHT, beside.format(2))
    boto("ec2").allocate_address()
    more = "; ask for more: Service Quotas, ec2 L-0263D0A3, or take fewer: network.nat: one"
    assert asked(quotas.check, prod)["Elastic IPs"] == (Verdict.WRONG, beside.format(3) + more)


def test_who_may_not_ask_service_quotas_hears_what_is_granted_at_first(
    prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Any, operation: str, arguments: Any) -> Any:
        if operation == "GetServiceQuota":
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, operation)
        return call(self, operation, arguments)

    call = botocore.client.BaseClient._make_api_call
    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", refused)
    for _ in range(3):
        boto("ec2").allocate_address()
    verdict, says = asked(quotas.check, prod)["Elastic IPs"]
    # More may have been granted.
    assert verdict is Verdict.UNKNOWN
    assert "the account may have 5 at first; what is granted now could not be asked; ask for more" in says


def test_a_quota_that_service_quotas_tells(prod: Environment) -> None:
    for number in range(4):
        boto("ec2").create_vpc(CidrBlock=f"10.{number}.0.0/16")
    # And the one that an account comes with.
    assert asked(quotas.check, prod)["VPCs"] == (
        Verdict.WRONG,
        "prod takes 1, others in eu-central-1 have 5; the account may have 5; ask for more: Service Quotas, vpc "
        "L-F678F1CE",
    )


def test_vcpus_of_others_count(prod: Environment) -> None:
    ec2 = boto("ec2")
    network = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.9.0.0/20")["Subnet"]["SubnetId"]
    image = registered("x86_64")
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.large", SubnetId=subnet)
    says = asked(quotas.check, prod)["vCPUs of standard instances"][1]
    assert says.startswith("prod takes 6, others in eu-central-1 have ")
    assert not says.startswith("prod takes 6, others in eu-central-1 have 0")


def test_an_environment_without_nat_takes_no_internet_gateway(prod: Environment) -> None:
    endpoints = changed(prod, network=prod.network.model_copy(update={"egress": "endpoints"}))
    found = asked(quotas.check, endpoints)
    assert "internet gateways" not in found
    assert "Elastic IPs" not in found


def test_images(prod: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {architecture: registered(architecture) for architecture in ("x86_64", "arm64")}
    pinned: list[str] = [""]
    monkeypatch.setattr(pins, "image_id", lambda environment, machine: pinned[0])
    what = "image debian-12/stock/amd64"
    for id, verdict, says in (
        (chosen["x86_64"], Verdict.RIGHT, f"{chosen['x86_64']} ("),
        (chosen["arm64"], Verdict.WRONG, f"{chosen['arm64']} is of arm64, and m6i.large takes x86_64: holdfast images"),
        ("ami-0123456789abcdef0", Verdict.WRONG, "ami-0123456789abcdef0 is not there, or not for this account: "),
    ):
        pinned[0] = id
        said = asked(machines.images, prod)[what]
        assert (said[0], said[1].startswith(says)) == (verdict, True), said


def test_an_image_that_nobody_pinned(prod: Environment) -> None:
    unknown = changed(prod, name="unknown")
    assert asked(machines.images, unknown)["image debian-12/stock/amd64"] == (
        Verdict.WRONG,
        "none is pinned: holdfast images update unknown",
    )


def test_facts_of_a_type_that_are_others_than_ec2_says(prod: Environment) -> None:
    verdict, says = asked(machines.types, prod)["type m6i.large"]
    facts = "2 vCPUs, 8192 MiB, 10 addresses, amd64, EBS-optimised"
    assert (verdict, says) == (Verdict.RIGHT, f"offered in eu-central-1a, eu-central-1b, eu-central-1c: {facts}")
    other = Known("prod", {"m6i.large": dataclasses.replace(BUILT_IN["m6i.large"], memory=4096)})
    content = prod.model_dump(mode="json") | {"redis": {"memory": "1GB"}}
    assert asked(machines.types, Environment.model_validate(content, context=other))["type m6i.large"] == (
        Verdict.WRONG,
        f"EC2 says {facts}, and here it is known as {facts.replace('8192', '4096')}: holdfast images update prod",
    )


def test_types_that_a_zone_does_not_offer(prod: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(machines.types, prod)["type m6i.large"][0] is Verdict.RIGHT
    assert asked(machines.types, changed(prod, zones=("a", "h")))["type m6i.large"] == (
        Verdict.WRONG,
        "not offered in eu-central-1h: another type, or other zones",
    )


def test_buckets(prod: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, states = names.bucket(prod), names.state_bucket(prod)
    found = asked(taken.buckets, prod)
    assert found["bucket"] == (Verdict.RIGHT, f"{bucket} is nobody's")
    assert found["bucket of the states"] == (Verdict.WRONG, f"there is no {states}: holdfast bootstrap prod")
    boto("s3").create_bucket(Bucket=states, CreateBucketConfiguration={"LocationConstraint": REGION})
    assert asked(taken.buckets, prod)["bucket of the states"] == (
        Verdict.RIGHT,
        f"{states} is there, and this account's",
    )
    # moto looks at no owner.
    monkeypatch.setattr(taken, "_status", lambda s3, bucket, account: 403)
    found = asked(taken.buckets, prod)
    assert found["bucket"][0] is Verdict.WRONG
    assert found["bucket"][1].startswith(f"{bucket} is another account's, or these credentials may not look (403)")


def test_roles(prod: Environment) -> None:
    iam = boto("iam")
    iam.create_role(RoleName="holdfast-prod.a1", AssumeRolePolicyDocument="{}", Tags=tags("prod"))
    assert asked(taken.roles, prod) == {"roles": (Verdict.RIGHT, "3 free, 1 its own")}
    iam.create_role(RoleName="holdfast-prod-flows", AssumeRolePolicyDocument="{}")
    verdict, says = asked(taken.roles, prod)["roles"]
    assert (verdict, says) == (
        Verdict.WRONG,
        "there, and not by prod's tags: holdfast-prod-flows; remove or rename it",
    )


def test_the_alias_of_the_key(prod: Environment) -> None:
    kms = boto("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert asked(taken.alias, prod) == {"alias of the key": (Verdict.RIGHT, "1 free")}
    kms.create_alias(AliasName="alias/holdfast-prod-key", TargetKeyId=key)
    assert asked(taken.alias, prod)["alias of the key"][0] is Verdict.WRONG
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": it["Key"], "TagValue": it["Value"]} for it in tags("prod")])
    assert asked(taken.alias, prod) == {"alias of the key": (Verdict.RIGHT, "1 its own")}


def test_secrets_that_a_deleted_one_reserves(prod: Environment) -> None:
    assert asked(taken.secrets, prod)["secrets' names"][0] is Verdict.RIGHT
    secrets = boto("secretsmanager")
    secrets.create_secret(Name="holdfast/prod/app", SecretString="hush")
    secrets.delete_secret(SecretId="holdfast/prod/app", RecoveryWindowInDays=30)
    verdict, says = asked(taken.secrets, prod)["secrets' names"]
    assert verdict is Verdict.WRONG
    assert says.startswith("deleted and still reserved: holdfast/prod/app; ")
    assert says.endswith("holdfast secrets release prod")


@pytest.mark.parametrize(("code", "may"), [("DryRunOperation", True), ("UnauthorizedOperation", False)])
def test_what_a_dry_run_answers(code: str, may: bool) -> None:
    def attempt() -> None:
        raise ClientError({"Error": {"Code": code}}, "CreateVpc")

    assert rights._may(attempt) is may


def test_what_may_not_be_asked_is_told_and_hides_nothing_else(prod: Environment) -> None:
    def refused(environment: Environment) -> Any:
        yield Check("one", Verdict.RIGHT, "it is")
        raise ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "DescribeZones")

    found = run.look(prod, {"first": refused, "zones": place.zones})
    assert [(it.what, it.verdict) for it in found] == [
        ("one", Verdict.RIGHT),
        ("first", Verdict.UNKNOWN),
        ("zones", Verdict.RIGHT),
    ]
    assert found[1].says == "could not be asked: DescribeZones was refused (UnauthorizedOperation)"


def test_the_command_says_a_line_for_each_and_ends_with_one_where_something_is_to_do(
    prod: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["preflight", "prod"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "right    roles: 4 free" in lines
    assert f"to do    bucket of the states: there is no {names.state_bucket(prod)}: holdfast bootstrap prod" in lines
    assert cli.main(["preflight", "prod", "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {"what": "roles", "verdict": "right", "says": "4 free"} in checks


def test_a_review_tells_what_is_to_do_and_not_what_could_not_be_asked(
    prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(environment: Environment) -> Any:
        yield Check("VPCs", Verdict.WRONG, "none is left")
        yield Check("roles", Verdict.UNKNOWN, "could not be asked")
        yield Check("zones", Verdict.RIGHT, "open")

    monkeypatch.setattr(run, "READS", {"all": answers})
    assert review._unready(prod) == ("VPCs: none is left",)
    emulated = prod.cloud.model_copy(update={"endpoint": "http://127.0.0.1:5599"})
    assert review._unready(changed(prod, cloud=emulated)) == ()


def test_all_is_right(prod: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(run, "ALL", {"roles": taken.roles})
    monkeypatch.setattr(run.look, "__defaults__", ({"roles": taken.roles},))
    assert cli.main(["preflight", "prod"]) == 0
