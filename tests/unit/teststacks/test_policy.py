"""`holdfast reap` under its generated policy alone: it removes every kind of a test stack, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.drill.emulated import emulated
from holdfast.ops.policies import reaping
from holdfast.ops.policies.place import NoAccount
from holdfast.ops.policies.roles import managed
from holdfast.ops.teststacks.clouds import Cloud
from holdfast.ops.teststacks.judge import expired_at
from holdfast.ops.teststacks.kinds import KINDS
from holdfast.ops.teststacks.removal import Removal, Survivor
from holdfast.ops.teststacks.sweep import Pace
from holdfast.topology import Environment, emulation, find_environment, load_environment
from tests.unit.teststacks.conftest import at
from tests.unit.teststacks.makers import EXPIRED, MAKERS, Maker
from tests.unit.twin_api.cloud import refused

ROLE = "reaper"
TRUST = '{"Version": "2012-10-17", "Statement": []}'
SHOP = {**EXPIRED, "Environment": "shop"}
BUCKET, ZONE = "holdfast-test-one-eu-central-1-a1b2", "x.test-one.holdfast"
"""Of a test stack: the second is what is before `.internal`."""


def of_account(account: str | None) -> Environment:
    prod = load_environment(find_environment("prod"))
    return prod.model_copy(update={"cloud": prod.cloud.model_copy(update={"account": account})})


@dataclass
class Reaped:
    made: dict[str, str]
    """Kind → id of what has expired. Buckets and zones have the names that a test stack gives them."""
    named_otherwise: set[str]
    """Ids of a bucket and a zone that have expired too, with names that somebody chose."""
    shop: dict[str, str]
    left: list[Survivor]
    by_root: Cloud
    by_role: Cloud
    unused: set[str]
    """Actions that the policy allows, and that nothing here took."""


@pytest.fixture(scope="module")
def reaped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reaped]:
    folder = tmp_path_factory.mktemp("environments")
    with emulated() as api, pytest.MonkeyPatch.context() as patch:
        api.grant(dict.fromkeys(("vpcs", "internet-gateways", "nat-gateways", "elastic-ips"), 500))
        root = at(api.url, folder)
        shop = {kind: make(Maker(root, SHOP, "shop")) for kind, make in MAKERS.items()}
        expired = {kind: make(Maker(root, EXPIRED, "expired")) for kind, make in MAKERS.items()}
        otherwise = {expired["bucket"], expired["zone"]}
        expired |= {"bucket": Maker(root, EXPIRED, "").bucket(BUCKET), "zone": Maker(root, EXPIRED, ZONE).zone()}
        root.client("s3").put_object(Bucket=BUCKET, Key="members.json", Body=b"")
        iam = root.client("iam")
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST)
        for policy, document in managed(of_account(api.account), ["reap"]).items():
            arn = iam.create_policy(PolicyName=policy, PolicyDocument=json.dumps(document))["Policy"]["Arn"]
            iam.attach_role_policy(RoleName=ROLE, PolicyArn=arn)
        keys = api.credentials_for(ROLE)
        emulation.write(folder / "keys", emulation.Key(keys["AccessKeyId"], keys["SecretAccessKey"]))
        patch.setenv(emulation.VARIABLE, str(folder / "keys"))
        reaper = Cloud(root.regions)
        now = datetime(2026, 1, 1, 14, tzinfo=UTC)
        pace = Pace(pauses=(), sleep=lambda seconds: None)
        removal = Removal(reaper, expired_at(now), list, lambda sentence: None, pace=pace)
        left = removal.carry_out(removal.look())[1]
        unused = {action for _, action, _ in api.unused_permissions()[ROLE]}
        yield Reaped(expired, otherwise, shop, left, root, reaper, unused)


def there(cloud: Cloud, kind: str) -> set[str]:
    (found,) = [it for it in KINDS if it.name == kind]
    return {thing.id for thing in found.find(cloud.client(found.service)) if not thing.note.startswith("to be deleted")}


def test_the_policy_knows_every_kind() -> None:
    assert list(reaping.KINDS) == [kind.name for kind in KINDS]


@pytest.mark.parametrize("kind", MAKERS)
def test_what_has_expired_goes_and_what_is_a_shops_stays(reaped: Reaped, kind: str) -> None:
    found = there(reaped.by_root, kind)
    assert reaped.made[kind] not in found
    assert reaped.shop[kind] in found


def test_a_bucket_or_zone_of_another_name_is_left_and_told(reaped: Reaped) -> None:
    assert {it.id for it in reaped.left} == reaped.named_otherwise
    assert all("AccessDenied" in it.reason for it in reaped.left)


def calls(shop: dict[str, str]) -> list[tuple[str, str, dict[str, Any]]]:
    """Service, call and arguments that would remove something of `shop`."""
    return [
        ("cloudwatch", "delete_alarms", {"AlarmNames": [shop["alarm"]]}),
        ("ec2", "delete_flow_logs", {"FlowLogIds": [shop["flow log"]]}),
        ("ec2", "terminate_instances", {"InstanceIds": [shop["instance"]]}),
        ("ec2", "delete_placement_group", {"GroupName": "apart-shop"}),
        ("ec2", "delete_snapshot", {"SnapshotId": shop["snapshot"]}),
        ("ec2", "delete_volume", {"VolumeId": shop["volume"]}),
        ("ec2", "delete_vpc_endpoints", {"VpcEndpointIds": [shop["endpoint"]]}),
        ("ec2", "delete_nat_gateway", {"NatGatewayId": shop["NAT gateway"]}),
        ("ec2", "delete_network_interface", {"NetworkInterfaceId": shop["interface"]}),
        ("ec2", "release_address", {"AllocationId": shop["address"]}),
        ("ec2", "delete_internet_gateway", {"InternetGatewayId": shop["internet gateway"]}),
        ("ec2", "delete_security_group", {"GroupId": shop["security group"]}),
        ("ec2", "delete_route_table", {"RouteTableId": shop["route table"]}),
        ("ec2", "delete_subnet", {"SubnetId": shop["subnet"]}),
        ("ec2", "delete_vpc", {"VpcId": shop["network"]}),
        ("sns", "delete_topic", {"TopicArn": shop["topic"]}),
        ("logs", "delete_log_group", {"logGroupName": shop["log group"]}),
        ("ssm", "delete_parameter", {"Name": shop["parameter"]}),
        ("secretsmanager", "delete_secret", {"SecretId": shop["secret"]}),
        ("s3", "delete_bucket", {"Bucket": shop["bucket"]}),
        ("s3", "put_object", {"Bucket": shop["bucket"], "Key": "shop-network.tfstate", "Body": b""}),
        ("iam", "delete_instance_profile", {"InstanceProfileName": shop["instance profile"]}),
        ("iam", "delete_role", {"RoleName": shop["role"]}),
        ("kms", "schedule_key_deletion", {"KeyId": shop["key"]}),
        ("kms", "delete_alias", {"AliasName": "alias/shop"}),
    ]


REFUSALS = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}
"""The last is CloudWatch's, whose answer is a form's and which boto3 takes for JSON."""


def test_iam_refuses_to_remove_what_is_a_shops(reaped: Reaped) -> None:
    for service, call, arguments in calls(reaped.shop):
        assert refused(getattr(reaped.by_role.client(service), call), **arguments) in REFUSALS, call


def test_it_reads_no_secret_makes_nothing_and_gives_itself_nothing(reaped: Reaped) -> None:
    client = reaped.by_role.client
    assert refused(client("secretsmanager").get_secret_value, SecretId=reaped.shop["secret"]) == "AccessDeniedException"
    assert refused(client("ec2").create_vpc, CidrBlock="10.60.0.0/16") == "UnauthorizedOperation"
    policy = {"RoleName": ROLE, "PolicyName": "more", "PolicyDocument": TRUST}
    assert refused(client("iam").put_role_policy, **policy) == "AccessDenied"
    tags = [{"Key": name, "Value": value} for name, value in EXPIRED.items()]
    assert refused(client("ec2").create_tags, Resources=[reaped.shop["volume"]], Tags=tags) == "UnauthorizedOperation"


NOT_MADE_HERE = {
    "ec2:DetachInternetGateway",
    "ec2:DisassociateRouteTable",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
}
"""For gateways, tables and groups that are joined to something, as those made here are not."""


def test_every_other_permission_of_a_kind_was_used(reaped: Reaped) -> None:
    swept = {action for kind in reaping.KINDS.values() for action in (*kind.finds, *kind.removes)}
    assert reaped.unused & swept == NOT_MADE_HERE


def test_it_takes_the_account_from_the_file() -> None:
    with pytest.raises(NoAccount, match="found no cloud.account"):
        managed(of_account(None), ["reap"])
