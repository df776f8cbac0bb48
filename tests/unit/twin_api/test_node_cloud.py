"""A node's calls to the cloud: one claim of the bootstrap record wins, secrets and reports are where they belong."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from holdfast_node import aws, cloud
from holdfast_node.cloud import Certificate, Cloud, Hash, Malformed, Route
from holdfast_node.generation import Generation
from holdfast_node.identity import Identity

from holdfast.topology import names
from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import REGION, client

RECORD = {"leader": "10.40.0.4", "node": "local-a1", "token": "a"}
OTHER = {"leader": "10.40.16.4", "node": "local-b1", "token": "b"}


@pytest.fixture
def node(identity: Identity, instant: Api, monkeypatch: pytest.MonkeyPatch) -> Identity:
    """The node of a cloud that is here, with the environment's bucket."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", instant.key.id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", instant.key.secret)
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
    made = {}
    for purpose in ("app", "node"):
        content = json.dumps({"user": purpose, "password": f"of {purpose}"})
        made[purpose] = secrets.create_secret(Name=f"holdfast/local/{purpose}", SecretString=content)["VersionId"]
    found = Cloud(node)
    assert found.password("node", made["node"]) == "of node"
    assert found.password("node", made["app"]) is None


class Kept:
    """The secret of `app`, with versions and their hashes."""

    def __init__(self, api: Api) -> None:
        self._api: Any = client(api, "secretsmanager")
        self._api.create_secret(Name="holdfast/local/app", Tags=[{"Key": "Name", "Value": "app"}])

    def put(self, label: str, hashed: str | None) -> str:
        version: str = self._api.put_secret_value(
            SecretId="holdfast/local/app", SecretString="{}", VersionStages=[label]
        )["VersionId"]
        if hashed is not None:
            self.tag(version, hashed)
        return version

    def tag(self, version: str, hashed: str) -> None:
        tag = {"Key": f"{names.HASH_TAG}{version}", "Value": hashed}
        self._api.tag_resource(SecretId="holdfast/local/app", Tags=[tag])

    def delete(self) -> None:
        self._api.delete_secret(SecretId="holdfast/local/app", RecoveryWindowInDays=30)


def test_hashes_come_from_tags_of_the_versions_that_count_the_one_in_use_first(node: Identity, instant: Api) -> None:
    kept, found = Kept(instant), Cloud(node)
    assert found.hashes("app") == [], "none yet"
    kept.tag("of-a-version-that-was-never-made", "e" * 64)
    first = kept.put("AWSCURRENT", "a" * 64)
    assert found.hashes("app") == [Hash(first, "a" * 64)]
    following = kept.put("AWSPENDING", "b" * 64)
    assert found.hashes("app") == [Hash(first, "a" * 64), Hash(following, "b" * 64)]


def test_a_version_without_its_hash_is_an_error_that_says_what_to_do(node: Identity, instant: Api) -> None:
    """Also of the next or the last one: who left it out would refuse what others are told to say."""
    kept, found = Kept(instant), Cloud(node)
    kept.put("AWSCURRENT", "a" * 64)
    version = kept.put("AWSPENDING", None)
    says = rf"^holdfast/local/app has no tag holdfast:sha256:{version}; accepted: .*`holdfast secrets ensure local`"
    with pytest.raises(LookupError, match=says):
        found.hashes("app")


@pytest.mark.parametrize("hashed", ["", "a" * 63, "A" * 64, f"{'a' * 64} nopass +@all"])
def test_a_tag_that_is_no_hash_never_becomes_a_rule(node: Identity, instant: Api, hashed: str) -> None:
    kept = Kept(instant)
    version = kept.put("AWSCURRENT", None)
    kept.tag(version, hashed)
    with pytest.raises(LookupError, match=r"^holdfast/local/app has '.*' in the tag holdfast:sha256:"):
        Cloud(node).hashes("app")


def test_a_secret_that_is_to_be_deleted_lets_nobody_in(node: Identity, instant: Api) -> None:
    kept = Kept(instant)
    kept.put("AWSCURRENT", "a" * 64)
    kept.delete()
    with pytest.raises(LookupError, match="^holdfast/local/app is scheduled for deletion"):
        Cloud(node).hashes("app")


def test_a_certificate_comes_with_its_key_and_with_whom_to_believe(node: Identity, instant: Api) -> None:
    found = Cloud(dataclasses.replace(node, certificate="holdfast/local/tls/node/local-a1"))
    assert found.certificate() is None
    content = {"certificate": "its own\n", "key": "its key\n", "ca": "the authority's\n"}
    content["ends"] = "2030-01-01T00:00:00+00:00"
    made = client(instant, "secretsmanager").create_secret(
        Name="holdfast/local/tls/node/local-a1", SecretString=json.dumps(content)
    )
    assert found.certificate() == Certificate(
        made["VersionId"], "2030-01-01T00:00:00+00:00", "the authority's\n", "its own\nits key\n"
    )


def test_a_secret_that_is_not_there_has_no_password(node: Identity, instant: Api) -> None:
    assert Cloud(node).password("app", "0" * 32) is None
    with pytest.raises(aws.Refused, match="^ResourceNotFoundException: "):
        Cloud(node).hashes("app")


def test_an_order_to_renew_counts_for_half_a_minute(
    node: Identity, instant: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Cloud(node)
    assert found.renewal() is None
    order = {"id": "1", "node": "local-a1"}
    client(instant, "s3").put_object(Bucket="holdfast-local", Key="orders/secrets.json", Body=json.dumps(order))
    assert found.renewal() == order
    monkeypatch.setattr(cloud, "ORDER_COUNTS", -1)
    assert found.renewal() is None


@pytest.fixture
def tables(instant: Api) -> dict[str, str]:
    """Two interfaces of two gateways, three tables that lead the pair to the first one: two ours, one another's."""
    ec2 = client(instant, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.40.0.0/20")["Subnet"]["SubnetId"]
    found = {
        name: ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
        for name in ("first", "mine")
    }
    for name, environment in (("a", "local"), ("b", "local"), ("other", "shop")):
        tags = [{"ResourceType": "route-table", "Tags": [{"Key": "Environment", "Value": environment}]}]
        found[name] = ec2.create_route_table(VpcId=vpc, TagSpecifications=tags)["RouteTable"]["RouteTableId"]
        for address in PAIR:
            ec2.create_route(
                RouteTableId=found[name], DestinationCidrBlock=f"{address}/32", NetworkInterfaceId=found["first"]
            )
    return found


PAIR = ("100.127.0.2", "100.127.0.3")


def test_a_node_leads_the_environments_routes_to_itself_and_no_others(
    node: Identity, instant: Api, tables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "interface_id", lambda: tables["mine"])
    cloud = Cloud(node)
    elsewhere = cloud.routes(PAIR).elsewhere
    assert sorted(elsewhere) == sorted((tables[name], f"{address}/32") for name in "ab" for address in PAIR)
    cloud.lead_here(*elsewhere[0])
    assert cloud.routes(PAIR).elsewhere == elsewhere[1:]
    for route in elsewhere[1:]:
        cloud.lead_here(*route)
    assert cloud.routes(PAIR).elsewhere == []
    (other,) = client(instant, "ec2").describe_route_tables(RouteTableIds=[tables["other"]])["RouteTables"]
    assert {route.get("NetworkInterfaceId") for route in other["Routes"]} == {None, tables["first"]}


def test_a_route_that_leads_to_a_machine_and_is_not_of_the_pair_is_found_in_every_table_of_the_environment(
    node: Identity, instant: Api, tables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a gateway that was taken over can make it: it may move every route that is there."""
    monkeypatch.setattr(aws, "interface_id", lambda: tables["mine"])
    ec2 = client(instant, "ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.40.0.0/16"]}])["Vpcs"][0]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    tags = [{"ResourceType": "route-table", "Tags": [{"Key": "Environment", "Value": "local"}]}]
    # One without a route to the pair, as that of NAT gateways.
    out = ec2.create_route_table(VpcId=vpc, TagSpecifications=tags)["RouteTable"]["RouteTableId"]
    for table in (tables["a"], tables["other"], out):
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    assert Cloud(node).routes(PAIR).foreign == []
    for table in (tables["other"], out):
        ec2.replace_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=tables["first"])
    assert Cloud(node).routes(PAIR).foreign == [Route(out, "0.0.0.0/0", tables["first"], None)]


def test_a_pair_that_no_table_has_a_route_to_is_said(
    node: Identity, tables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "interface_id", lambda: tables["mine"])
    with pytest.raises(LookupError, match=r"no route table .* has a route to 100.127.0.4/32 or 100.127.0.5/32"):
        Cloud(node).routes(("100.127.0.4", "100.127.0.5"))


WITHOUT_SENSE: dict[str, bytes] = {
    "a list": b"[]",
    "a number": b"5",
    "null": b"null",
    "no JSON": b"hello",
    "not UTF-8": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "deep in a field": b'{"leader": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "large": b" " * (aws.LARGEST + 1),
}
READS = {
    "bootstrap/leader.json": Cloud.bootstrap_record,
    "members.json": Cloud.members,
    "users.json": Cloud.users,
    "holders.json": Cloud.holders,
    "orders/failover.json": Cloud.order,
    "orders/secrets.json": Cloud.renewal,
    "restore/order.json": Cloud.restore_order,
    "restore/generation.json": Cloud.generation,
    "reports/local-b1.json": lambda found: found.report("local-b1"),
}


@pytest.mark.parametrize("content", WITHOUT_SENSE.values(), ids=WITHOUT_SENSE)
@pytest.mark.parametrize("key", READS)
def test_what_has_no_sense_in_the_bucket_is_told_as_such(
    node: Identity, instant: Api, key: str, content: bytes
) -> None:
    client(instant, "s3").put_object(Bucket="holdfast-local", Key=key, Body=content)
    with pytest.raises(Malformed) as found:
        READS[key](Cloud(node))
    assert str(found.value).startswith(f"{key}: ")
    assert len(str(found.value)) < 300


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("bootstrap/leader.json", {}),
        ("bootstrap/leader.json", {"leader": ["10.40.0.4"], "token": "a"}),
        ("members.json", {"local-a1": 5}),
        ("members.json", {"local-a1": None}),
        ("members.json", {"local-a1": ["10.40.0.4"]}),
        ("members.json", {"local-a1": "10.40.0.4\nsentinel monitor x 10.9.9.9 1 1"}),
        ("members.json", {"local-a1": "evil.example"}),
        ("users.json", {"app": {}}),
        ("holders.json", {"addresses": "10.40.0.4"}),
        ("holders.json", {"addresses": [{}]}),
        ("holders.json", {"addresses": ["here"]}),
        ("orders/failover.json", {}),
        ("orders/failover.json", {"id": "1", "from": None}),
        ("orders/failover.json", {"id": "1", "from": "local-a1", "to": {}}),
        ("orders/failover.json", {"id": "x" * 100_000, "from": "local-a1", "to": None}),
        ("orders/failover.json", {"id": "\u001b[2J", "from": "local-a1", "to": None}),
        ("orders/secrets.json", {"id": 1, "node": "local-a1"}),
        ("orders/secrets.json", {"id": "1", "node": "local-a1", "what": []}),
        ("restore/order.json", {"id": "1"}),
        ("restore/order.json", {"id": "1", "node": "local-a1", "from": 5}),
        ("restore/generation.json", {"id": "20261130T120000Z-0a1b"}),
    ],
)
def test_a_field_of_another_type_is_told_as_such(
    node: Identity, instant: Api, key: str, content: dict[str, Any]
) -> None:
    client(instant, "s3").put_object(Bucket="holdfast-local", Key=key, Body=json.dumps(content))
    with pytest.raises(Malformed, match=f"^{key}: .*found .*accepted: "):
        READS[key](Cloud(node))


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "../../etc"},
        {"id": "20261399T120000Z-0a1b"},
        {"id": ""},
        {"undo": "../redis"},
        {"backup": "../../redis"},
        {"bytes": "-1"},
    ],
)
def test_a_generation_that_would_be_another_folder_is_told_as_such(
    node: Identity, instant: Api, changed: dict[str, str]
) -> None:
    content = {"id": "20261130T120000Z-0a1b", "node": "local-b1", "backup": "ab" * 32, "undo": None, "bytes": "53"}
    bucket = client(instant, "s3")
    bucket.put_object(Bucket="holdfast-local", Key="restore/generation.json", Body=json.dumps(content))
    wanted, age = Cloud(node).generation()
    assert wanted == Generation("20261130T120000Z-0a1b", "local-b1", "ab" * 32, None, 53)
    assert 0 <= age < 60
    bucket.put_object(Bucket="holdfast-local", Key="restore/generation.json", Body=json.dumps(content | changed))
    with pytest.raises(Malformed, match=r"^restore/generation\.json: .*: found .*; accepted: what a restore writes$"):
        Cloud(node).generation()


def test_without_a_restore_there_is_no_generation_and_the_leader_says_in_which_it_is(
    node: Identity, instant: Api
) -> None:
    assert Cloud(node).generation()[0] is None
    assert Cloud(node).generation_of_leader() is None
    Cloud(node).put_holders(["10.40.0.4"], "20261130T120000Z-0a1b")
    assert Cloud(node).generation_of_leader() == "20261130T120000Z-0a1b"
    assert Cloud(node).holders() == ["10.40.0.4"]


def test_a_last_leader_that_is_no_address_is_told_as_such(node: Identity, instant: Api) -> None:
    client(instant, "s3").put_object(Bucket="holdfast-local", Key="holders.json", Body=b'{"leader": "here"}')
    with pytest.raises(Malformed, match=r"^holders\.json: found 'here'; accepted: an IPv4 address$"):
        Cloud(node).last_leader()
