"""What the policies of `holdfast policies` refuse, asked of the API as their roles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from holdfast.ops.policies.roles import managed
from holdfast.ops.preflight import rights
from holdfast.topology import Environment, load_environment
from holdfast.topology.spec import VpcSpec
from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import IMAGE, REGION, client, refused

PROD = Path(__file__).parents[3] / "environments" / "prod.yaml"
BOUNDARY = "arn:aws:iam::123456789012:policy/holdfast-prod-boundary"
OTHERS_BOUNDARY = "arn:aws:iam::123456789012:policy/holdfast-staging-boundary"
SUBNETS = ("10.60.0.0/22", "10.60.4.0/22")
TRUST = '{"Version": "2012-10-17", "Statement": []}'

As = Callable[[str], Any]
Roles = Callable[..., As]


@pytest.fixture
def prod() -> Environment:
    prod = load_environment(PROD)
    return prod.model_copy(update={"cloud": prod.cloud.model_copy(update={"permissions_boundary": BOUNDARY})})


@pytest.fixture
def role(instant: Api, prod: Environment) -> Roles:
    """Of a name in `holdfast policies`: what gives its clients. The boundary is there."""
    iam = client(instant, "iam")
    iam.create_policy(
        PolicyName="holdfast-prod-boundary",
        PolicyDocument=json.dumps(managed(prod, ["boundary"])["holdfast-prod-boundary"]),
    )

    def made(name: str, environment: Environment = prod) -> As:
        iam.create_role(RoleName=f"holdfast-prod-{name}", AssumeRolePolicyDocument=TRUST)
        for policy, document in managed(environment, [name]).items():
            arn = iam.create_policy(PolicyName=policy, PolicyDocument=json.dumps(document))["Policy"]["Arn"]
            iam.attach_role_policy(RoleName=f"holdfast-prod-{name}", PolicyArn=arn)
        keys = instant.credentials_for(f"holdfast-prod-{name}")
        return lambda service: boto3.client(
            service,
            endpoint_url=instant.url,
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )

    return made


@pytest.fixture
def deploy(role: Roles) -> As:
    return role("deploy")


def tags(environment: str = "prod") -> list[dict[str, str]]:
    return [{"Key": "Project", "Value": "holdfast"}, {"Key": "Environment", "Value": environment}]


def specified(kind: str, environment: str = "prod") -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tags(environment)}]


def test_a_role_is_made_with_the_boundary_alone(deploy: As) -> None:
    iam = deploy("iam")
    made = {"RoleName": "holdfast-prod.a1", "AssumeRolePolicyDocument": TRUST}
    assert refused(iam.create_role, **made) == "AccessDenied"
    assert refused(iam.create_role, **made, PermissionsBoundary=OTHERS_BOUNDARY) == "AccessDenied"
    iam.create_role(**made, PermissionsBoundary=BOUNDARY)


def test_nobody_takes_the_boundary_away_or_changes_it(deploy: As, instant: Api) -> None:
    iam = deploy("iam")
    iam.create_role(RoleName="holdfast-prod.a1", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=BOUNDARY)
    assert refused(iam.delete_role_permissions_boundary, RoleName="holdfast-prod.a1") == "AccessDenied"
    another = {"RoleName": "holdfast-prod.a1", "PermissionsBoundary": OTHERS_BOUNDARY}
    assert refused(iam.put_role_permissions_boundary, **another) == "AccessDenied"
    wide = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    version = {"PolicyArn": BOUNDARY, "PolicyDocument": wide, "SetAsDefault": True}
    assert refused(iam.create_policy_version, **version) == "AccessDenied"
    # Not even where another policy of its role would allow all of it.
    more = {"PolicyName": "more", "PolicyDocument": wide.replace('"Effect"', '"Sid": "A", "Effect"')}
    client(instant, "iam").put_role_policy(RoleName="holdfast-prod-deploy", **more)
    assert refused(iam.create_policy_version, **version) == "AccessDenied"
    assert refused(iam.delete_role_permissions_boundary, RoleName="holdfast-prod.a1") == "AccessDenied"


def test_a_role_without_the_boundary_gets_no_permissions(deploy: As, instant: Api) -> None:
    client(instant, "iam").create_role(RoleName="holdfast-prod.a1", AssumeRolePolicyDocument=TRUST)
    put = {"RoleName": "holdfast-prod.a1", "PolicyName": "it", "PolicyDocument": TRUST}
    assert refused(deploy("iam").put_role_policy, **put) == "AccessDenied"


@pytest.mark.parametrize("name", ["holdfast-staging.a1", "holdfast-prod-deploy", "holdfast-prod-review", "admin"])
def test_other_roles_are_not_touched(name: str, deploy: As, instant: Api) -> None:
    """Another environment's, the pipelines' own, and anybody's."""
    iam = deploy("iam")
    made = {"RoleName": name, "AssumeRolePolicyDocument": TRUST, "PermissionsBoundary": BOUNDARY}
    assert refused(iam.create_role, **made) == "AccessDenied"
    assert refused(iam.put_role_policy, RoleName=name, PolicyName="it", PolicyDocument=TRUST) == "AccessDenied"
    assert refused(iam.update_assume_role_policy, RoleName=name, PolicyDocument=TRUST) == "AccessDenied"
    any_policy = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert refused(iam.attach_role_policy, RoleName="holdfast-prod.a1", PolicyArn=any_policy) == "AccessDenied"


def test_a_machines_role_is_passed_to_no_other_service(deploy: As) -> None:
    iam, ec2 = deploy("iam"), deploy("ec2")
    role = iam.create_role(
        RoleName="holdfast-prod.a1", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=BOUNDARY, Tags=tags()
    )["Role"]
    network = ec2.create_vpc(CidrBlock="10.60.0.0/16", TagSpecifications=specified("vpc"))["Vpc"]["VpcId"]
    log = {
        "ResourceIds": [network],
        "ResourceType": "VPC",
        "TrafficType": "REJECT",
        "LogGroupName": "any",
        "TagSpecifications": specified("vpc-flow-log"),
    }
    with pytest.raises(ClientError, match=r"iam:PassRole on arn:aws:iam::123456789012:role/holdfast-prod\.a1"):
        ec2.create_flow_logs(DeliverLogsPermissionArn=role["Arn"], **log)


def test_what_is_made_bears_the_tags(deploy: As) -> None:
    ec2 = deploy("ec2")
    assert refused(ec2.create_vpc, CidrBlock="10.60.0.0/16") == "UnauthorizedOperation"
    made = {"CidrBlock": "10.60.0.0/16", "TagSpecifications": specified("vpc", "staging")}
    assert refused(ec2.create_vpc, **made) == "UnauthorizedOperation"
    assert refused(deploy("kms").create_key) == "AccessDeniedException"


def test_another_environments_things_are_neither_used_nor_taken_over(deploy: As, instant: Api) -> None:
    ec2, root = deploy("ec2"), client(instant, "ec2")
    network = root.create_vpc(CidrBlock="10.50.0.0/16", TagSpecifications=specified("vpc", "staging"))["Vpc"]["VpcId"]
    inside = {"VpcId": network, "CidrBlock": "10.50.0.0/20", "TagSpecifications": specified("subnet")}
    assert refused(ec2.create_subnet, **inside) == "UnauthorizedOperation"
    assert refused(ec2.delete_vpc, VpcId=network) == "UnauthorizedOperation"
    assert refused(ec2.create_tags, Resources=[network], Tags=tags()) == "UnauthorizedOperation"
    theirs = {"Description": "theirs", "VpcId": network, "TagSpecifications": specified("security-group", "staging")}
    group = root.create_security_group(GroupName="theirs", **theirs)["GroupId"]
    assert refused(ec2.create_tags, Resources=[group], Tags=tags()) == "UnauthorizedOperation"
    rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    opened = {"GroupId": group, "IpPermissions": [rule], "TagSpecifications": specified("security-group-rule")}
    assert refused(ec2.authorize_security_group_ingress, **opened) == "UnauthorizedOperation"


def test_in_a_teams_network_only_its_subnets_are_used(role: Roles, prod: Environment, instant: Api) -> None:
    root = client(instant, "ec2")
    vpc, other = (root.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"] for cidr in ("10.60.0.0/16", "10.61.0.0/16"))
    made = {cidr: root.create_subnet(VpcId=vpc, CidrBlock=cidr)["Subnet"]["SubnetId"] for cidr in SUBNETS}
    named, unnamed = made.values()
    subnet = {"id": named, "cidr": SUBNETS[0], "block": "10.60.3.192/28"}
    given = {"id": vpc, "subnets": dict.fromkeys("abc", subnet), "route_tables": ()}
    network = prod.network.model_copy(update={"vpc": VpcSpec.model_validate(given)})
    ec2 = role("deploy", prod.model_copy(update={"network": network}))("ec2")
    block = {"Cidr": "10.60.3.192/28", "ReservationType": "explicit"}
    reserved = ec2.create_subnet_cidr_reservation(SubnetId=named, **block)["SubnetCidrReservation"]
    assert ec2.get_subnet_cidr_reservations(SubnetId=named)["SubnetIpv4CidrReservations"]
    ec2.delete_subnet_cidr_reservation(SubnetCidrReservationId=reserved["SubnetCidrReservationId"])
    elsewhere = {"SubnetId": unnamed, "Cidr": "10.60.7.192/28", "ReservationType": "explicit"}
    assert refused(ec2.create_subnet_cidr_reservation, **elsewhere) == "UnauthorizedOperation"
    group = {"GroupName": "ours", "Description": "ours", "TagSpecifications": specified("security-group")}
    assert ec2.create_security_group(VpcId=vpc, **group)["GroupId"]
    assert refused(ec2.create_security_group, VpcId=other, **group) == "UnauthorizedOperation"
    inside = {"VpcId": vpc, "CidrBlock": "10.60.8.0/22", "TagSpecifications": specified("subnet")}
    assert refused(ec2.create_subnet, **inside) == "UnauthorizedOperation"


def test_another_environments_placement_group_is_neither_used_nor_deleted(deploy: As, instant: Api) -> None:
    ec2, root = deploy("ec2"), client(instant, "ec2")
    for name, environment in (("ours", "prod"), ("theirs", "staging")):
        group = {"GroupName": name, "Strategy": "spread"}
        root.create_placement_group(**group, TagSpecifications=specified("placement-group", environment))
    assert refused(ec2.delete_placement_group, GroupName="theirs") == "UnauthorizedOperation"
    ec2.delete_placement_group(GroupName="ours")
    assert [it["GroupName"] for it in root.describe_placement_groups()["PlacementGroups"]] == ["theirs"]


def test_another_environments_key_is_not_changed(deploy: As, instant: Api) -> None:
    kms = client(instant, "kms")
    of_kms = [{"TagKey": "Project", "TagValue": "holdfast"}, {"TagKey": "Environment", "TagValue": "staging"}]
    key = kms.create_key(Tags=of_kms)["KeyMetadata"]["KeyId"]
    ours = [{"TagKey": it["Key"], "TagValue": it["Value"]} for it in tags()]
    assert refused(deploy("kms").schedule_key_deletion, KeyId=key) == "AccessDeniedException"
    assert refused(deploy("kms").put_key_policy, KeyId=key, PolicyName="default", Policy="{}") == (
        "AccessDeniedException"
    )
    assert refused(deploy("kms").tag_resource, KeyId=key, Tags=ours) == "AccessDeniedException"
    alias = {"AliasName": "alias/holdfast-staging-key", "TargetKeyId": key}
    assert refused(deploy("kms").create_alias, **alias) == "AccessDeniedException"


def test_another_environments_secrets_and_buckets_are_closed(deploy: As, instant: Api) -> None:
    secrets, s3 = client(instant, "secretsmanager"), client(instant, "s3")
    secrets.create_secret(Name="holdfast/staging/app", SecretString="hush")
    secrets.create_secret(Name="holdfast/prod/app", SecretString="hush")
    for name in ("holdfast/staging/app", "holdfast/prod/app"):
        # Nor does a deploy read a password of its own.
        assert refused(deploy("secretsmanager").get_secret_value, SecretId=name) == "AccessDeniedException"
    put = {"SecretId": "holdfast/staging/app", "SecretString": "mine"}
    assert refused(deploy("secretsmanager").put_secret_value, **put) == "AccessDeniedException"
    location = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    s3.create_bucket(Bucket="holdfast-staging-eu-central-1-0123", **location)
    s3.put_object(Bucket="holdfast-staging-eu-central-1-0123", Key="members.json", Body=b"{}")
    of_theirs = {"Bucket": "holdfast-staging-eu-central-1-0123", "Key": "members.json"}
    assert refused(deploy("s3").get_object, **of_theirs) == "AccessDenied"
    assert refused(deploy("s3").put_object, **of_theirs, Body=b"") == "AccessDenied"
    assert refused(deploy("s3").create_bucket, Bucket="any", **location) == "AccessDenied"


def test_a_secret_that_is_gone_is_asked_for_by_its_arn(deploy: As, instant: Api) -> None:
    """As the provider does, until it is."""
    arn = client(instant, "secretsmanager").create_secret(Name="holdfast/prod/tls/node/a1", SecretString="hush")["ARN"]
    secrets = deploy("secretsmanager")
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    assert refused(secrets.describe_secret, SecretId=arn) == "ResourceNotFoundException"


def test_a_machine_of_another_environment_is_not_stopped(deploy: As, instant: Api) -> None:
    root = client(instant, "ec2")
    network = root.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
    subnet = root.create_subnet(VpcId=network, CidrBlock="10.50.0.0/20")["Subnet"]["SubnetId"]
    machine = root.run_instances(
        ImageId=IMAGE,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.small",
        SubnetId=subnet,
        TagSpecifications=specified("instance", "staging"),
    )["Instances"][0]["InstanceId"]
    for call in ("terminate_instances", "stop_instances"):
        assert refused(getattr(deploy("ec2"), call), InstanceIds=[machine]) == "UnauthorizedOperation"


READING = ("Describe", "Get", "List")


def test_a_review_writes_nothing(prod: Environment, role: Roles, instant: Api) -> None:
    actions = {
        action
        for document in managed(prod, ["review"]).values()
        for statement in document["Statement"]
        for action in statement["Action"]
    }
    assert {it for it in actions if not it.split(":")[1].startswith(READING)} == {"kms:Decrypt"}
    assert not {it for it in actions if it.startswith("secretsmanager:GetSecretValue")}
    review = role("review")
    review("ec2").describe_vpcs()
    made = {"CidrBlock": "10.60.0.0/16", "TagSpecifications": specified("vpc")}
    assert refused(review("ec2").create_vpc, **made) == "UnauthorizedOperation"


def test_a_renewal_takes_certificates_alone(role: Roles, instant: Api, prod: Environment) -> None:
    root = client(instant, "secretsmanager")
    for name in ("holdfast/prod/app", "holdfast/prod/tls/authority", "holdfast/staging/tls/authority"):
        root.create_secret(Name=name, SecretString="hush")
    secrets = role("renew")("secretsmanager")
    assert secrets.get_secret_value(SecretId="holdfast/prod/tls/authority")["SecretString"] == "hush"
    secrets.put_secret_value(SecretId="holdfast/prod/tls/authority", SecretString="new")
    for name in ("holdfast/prod/app", "holdfast/staging/tls/authority"):
        assert refused(secrets.get_secret_value, SecretId=name) == "AccessDeniedException"
        assert refused(secrets.put_secret_value, SecretId=name, SecretString="mine") == "AccessDeniedException"
    assert refused(secrets.delete_secret, SecretId="holdfast/prod/tls/authority") == "AccessDeniedException"


@pytest.mark.parametrize(
    ("name", "verdict", "says"),
    [
        ("deploy", "right", "CreateVpc, CreateVolume, AllocateAddress by dry run"),
        (
            "review",
            "to do",
            "these credentials may not CreateVpc, CreateVolume, AllocateAddress with the tags of prod: "
            "holdfast policies prod --role deploy has what it takes",
        ),
    ],
)
def test_a_dry_run_tells_whether_somebody_may_deploy(
    name: str,
    verdict: str,
    says: str,
    role: Roles,
    prod: Environment,
    instant: Api,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clients = role(name)
    monkeypatch.setattr(rights.cloud, "client", lambda environment, service: clients(service))
    [check] = rights.check(prod)
    assert (check.verdict, check.says) == (verdict, says)
    assert instant.view().vpcs == {}
