"""What machines call is allowed by their role's policies, or refused in the words of the service."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import REGION, Cloud, client, refused

ACCOUNT = "123456789012"
OBJECTS = "arn:aws:s3:::holdfast-local"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:holdfast/local/app-*"
OF_LOCAL = {"StringEquals": {"aws:ResourceTag/Environment": "local"}}


class Machine:
    """One with a role, whose calls arrive from its network."""

    def __init__(self, api: Api, url: str) -> None:
        self.api, self._url = api, url
        client(api, "iam").create_role(RoleName="local-node", AssumeRolePolicyDocument="{}")
        self._keys = api.credentials_for("local-node")

    def may(self, *statements: tuple[str, str, Any], **more: Any) -> None:
        listed = [
            {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource, **more}
            for sid, action, resource in statements
        ]
        document = json.dumps({"Version": "2012-10-17", "Statement": listed})
        client(self.api, "iam").put_role_policy(RoleName="local-node", PolicyName="it", PolicyDocument=document)

    def client(self, service: str, **keys: str) -> Any:
        own = {
            "aws_access_key_id": self._keys["AccessKeyId"],
            "aws_secret_access_key": self._keys["SecretAccessKey"],
            "aws_session_token": self._keys["Token"],
        }
        config = Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"})
        return boto3.client(service, endpoint_url=self._url, region_name=REGION, config=config, **(own | keys))


@pytest.fixture
def machine(instant: Api) -> Iterator[Machine]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = instant.serve_on(listening, lambda address, service: True)
        yield Machine(instant, f"http://127.0.0.1:{listening.getsockname()[1]}")
        server.stop()


@pytest.fixture
def bucket(instant: Api) -> Any:
    s3 = client(instant, "s3")
    s3.create_bucket(Bucket="holdfast-local", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="holdfast-local", Key="members.json", Body=b"{}")
    return s3


def message(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return str(error.value.response["Error"]["Message"])


def test_who_has_no_role_gets_nothing(machine: Machine, bucket: Any) -> None:
    stranger = {"aws_access_key_id": "holdfast", "aws_secret_access_key": "holdfast", "aws_session_token": "none"}
    for service, call, arguments in (
        ("s3", "get_object", {"Bucket": "holdfast-local", "Key": "members.json"}),
        ("ec2", "describe_volumes", {}),
        ("secretsmanager", "get_secret_value", {"SecretId": "holdfast/local/app"}),
    ):
        assert refused(getattr(machine.client(service, **stranger), call), **arguments) == "InvalidClientTokenId"


def test_an_object_takes_the_permission_for_its_key(machine: Machine, bucket: Any) -> None:
    s3 = machine.client("s3")
    machine.may(("Read", "s3:GetObject", f"{OBJECTS}/members.json"))
    assert s3.get_object(Bucket="holdfast-local", Key="members.json")["Body"].read() == b"{}"
    assert refused(s3.put_object, Bucket="holdfast-local", Key="members.json", Body=b"") == "AccessDenied"
    assert message(s3.get_object, Bucket="holdfast-local", Key="other") == (
        f"role local-node is not authorized to perform: s3:GetObject on {OBJECTS}/other"
    )


def test_a_bucket_is_of_its_account(machine: Machine, bucket: Any) -> None:
    s3, listed = machine.client("s3"), ("List", "s3:ListBucket", OBJECTS)
    for account, code in ((ACCOUNT, "NoSuchKey"), ("210987654321", "AccessDenied")):
        ours = {"StringEquals": {"aws:ResourceAccount": account}}
        machine.may(("Read", "s3:GetObject", f"{OBJECTS}/*"), listed, Condition=ours)
        assert refused(s3.get_object, Bucket="holdfast-local", Key="none") == code
    assert refused(s3.get_object, Bucket="holdfast-local", Key="members.json") == "AccessDenied"


def test_what_may_be_written_once_is_not_overwritten(machine: Machine, bucket: Any) -> None:
    s3, once = machine.client("s3"), {"Null": {"s3:if-none-match": "false"}}
    machine.may(("BeginOnce", "s3:PutObject", f"{OBJECTS}/bootstrap/leader.json"), Condition=once)
    record = {"Bucket": "holdfast-local", "Key": "bootstrap/leader.json", "Body": b"{}"}
    assert refused(s3.put_object, **record) == "AccessDenied"
    s3.put_object(**record, IfNoneMatch="*")
    assert refused(s3.put_object, **record) == "AccessDenied"
    assert refused(s3.put_object, **record, IfNoneMatch="*") == "PreconditionFailed"


def test_what_a_buckets_policy_denies_no_role_may(machine: Machine, bucket: Any) -> None:
    """Whatever its own policies allow; another role is not meant."""
    machine.may(("All", "s3:*", [OBJECTS, f"{OBJECTS}/*"]))
    role = f"arn:aws:iam::{ACCOUNT}:role/local-*"
    statement = {
        "Sid": "MachinesOnlyAdd",
        "Effect": "Deny",
        "Principal": "*",
        "NotAction": ["s3:PutObject", "s3:ListBucket"],
        "Resource": [OBJECTS, f"{OBJECTS}/*"],
        "Condition": {"ArnLike": {"aws:PrincipalArn": role}},
    }
    bucket.put_bucket_policy(Bucket="holdfast-local", Policy=json.dumps({"Statement": [statement]}))
    s3, one = machine.client("s3"), {"Bucket": "holdfast-local", "Key": "members.json"}
    assert refused(s3.delete_object, **one) == "AccessDenied"
    assert refused(s3.delete_objects, Bucket="holdfast-local", Delete={"Objects": [{"Key": "members.json"}]}) == (
        "AccessDenied"
    )
    assert message(s3.get_object, **one) == (
        f"arn:aws:iam::{ACCOUNT}:role/local-node is not authorized to perform: s3:GetObject on "
        f"{OBJECTS}/members.json: the bucket's policy denies it (MachinesOnlyAdd)"
    )
    s3.put_object(**one, Body=b"[]")
    assert s3.list_objects_v2(Bucket="holdfast-local")["KeyCount"] == 1
    assert bucket.get_object(**one)["Body"].read() == b"[]"
    bucket.delete_object(**one)


def test_only_who_may_list_hears_that_there_is_none(machine: Machine, bucket: Any) -> None:
    s3 = machine.client("s3")
    machine.may(("Read", "s3:GetObject", f"{OBJECTS}/*"))
    assert refused(s3.get_object, Bucket="holdfast-local", Key="none") == "AccessDenied"
    machine.may(("Read", "s3:GetObject", f"{OBJECTS}/*"), ("List", "s3:ListBucket", OBJECTS))
    assert refused(s3.get_object, Bucket="holdfast-local", Key="none") == "NoSuchKey"


def test_what_a_key_encrypts_takes_the_key_too(machine: Machine, bucket: Any) -> None:
    key = client(machine.api, "kms").create_key()["KeyMetadata"]["Arn"]
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    bucket.put_bucket_encryption(Bucket="holdfast-local", ServerSideEncryptionConfiguration=rules)
    secrets = client(machine.api, "secretsmanager")
    secrets.create_secret(Name="holdfast/local/app", SecretString="hush", KmsKeyId=key)
    read = ("Read", "s3:GetObject", f"{OBJECTS}/*"), ("Secret", "secretsmanager:GetSecretValue", SECRET)
    machine.may(*read)
    with_object = {"Bucket": "holdfast-local", "Key": "members.json"}
    assert message(machine.client("s3").get_object, **with_object).endswith(f"kms:Decrypt on {key}")
    assert message(machine.client("secretsmanager").get_secret_value, SecretId="holdfast/local/app").endswith(
        f"kms:Decrypt on {key}"
    )
    machine.may(*read, ("Key", "kms:Decrypt", key))
    assert machine.client("s3").get_object(**with_object)["Body"].read() == b"{}"
    assert machine.client("secretsmanager").get_secret_value(SecretId="holdfast/local/app")["SecretString"] == "hush"


def test_another_purposes_secret_is_refused(machine: Machine) -> None:
    secrets = client(machine.api, "secretsmanager")
    for name in ("holdfast/local/app", "holdfast/local/admin"):
        secrets.create_secret(Name=name, SecretString="hush")
    machine.may(("Secret", "secretsmanager:GetSecretValue", SECRET))
    get = machine.client("secretsmanager").get_secret_value
    assert get(SecretId="holdfast/local/app")["SecretString"] == "hush"
    assert refused(get, SecretId="holdfast/local/admin") == "AccessDeniedException"


def test_who_may_look_at_a_secret_reads_its_tags_and_not_what_is_in_it(machine: Machine) -> None:
    key = client(machine.api, "kms").create_key()["KeyMetadata"]["Arn"]
    secrets = client(machine.api, "secretsmanager")
    for name in ("holdfast/local/app", "holdfast/local/admin"):
        tags = [{"Key": "holdfast:sha256:1", "Value": "a" * 64}]
        secrets.create_secret(Name=name, SecretString="hush", KmsKeyId=key, Tags=tags)
    machine.may(("Look", "secretsmanager:DescribeSecret", SECRET))
    mine = machine.client("secretsmanager")
    assert mine.describe_secret(SecretId="holdfast/local/app")["Tags"] == [
        {"Key": "holdfast:sha256:1", "Value": "a" * 64}
    ]
    assert message(mine.get_secret_value, SecretId="holdfast/local/app").startswith(
        "role local-node is not authorized to perform: secretsmanager:GetSecretValue on "
    )
    assert refused(mine.describe_secret, SecretId="holdfast/local/admin") == "AccessDeniedException"
    machine.may(("Read", "secretsmanager:GetSecretValue", SECRET))
    assert refused(mine.describe_secret, SecretId="holdfast/local/app") == "AccessDeniedException"


def test_a_route_is_moved_in_tables_of_the_own_environment_only(machine: Machine) -> None:
    cloud = Cloud(machine.api)
    interface = cloud.interface(cloud.a, "10.40.0.4")
    machine.may(("Move", "ec2:ReplaceRoute", f"arn:aws:ec2:{REGION}:{ACCOUNT}:route-table/*"), Condition=OF_LOCAL)
    for environment, code in (("prod", "UnauthorizedOperation"), ("local", None)):
        tags = [{"ResourceType": "route-table", "Tags": [{"Key": "Environment", "Value": environment}]}]
        table = cloud.ec2.create_route_table(VpcId=cloud.vpc, TagSpecifications=tags)["RouteTable"]["RouteTableId"]
        route = {
            "RouteTableId": table,
            "DestinationCidrBlock": "100.127.0.2/32",
            "NetworkInterfaceId": interface,
        }
        cloud.ec2.create_route(**route)
        if code:
            assert refused(machine.client("ec2").replace_route, **route) == code
        else:
            machine.client("ec2").replace_route(**route)


def test_a_volume_is_attached_where_it_and_the_instance_are_the_own_environments(machine: Machine) -> None:
    cloud = Cloud(machine.api)
    instance, volume = cloud.run(cloud.interface(cloud.a, "10.40.0.4")), cloud.volume("a")
    machine.may(("Attach", "ec2:AttachVolume", "*"), Condition=OF_LOCAL)
    attach = machine.client("ec2").attach_volume
    arguments = {"InstanceId": instance, "VolumeId": volume, "Device": "/dev/sdf"}
    tags = [{"Key": "Environment", "Value": "local"}]
    assert refused(attach, **arguments) == "UnauthorizedOperation"
    cloud.ec2.create_tags(Resources=[volume], Tags=tags)
    on_instance = f"ec2:AttachVolume on arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance}"
    assert message(attach, **arguments).endswith(on_instance)
    cloud.ec2.create_tags(Resources=[instance], Tags=tags)
    attach(**arguments)


def test_a_call_that_nobody_has_thought_of_is_refused(machine: Machine) -> None:
    machine.may(("All", "*", "*"))
    assert message(machine.client("ssm").list_commands) == (
        "role local-node is not authorized to perform: ssm:ListCommands: the twin does not know what it takes"
    )


def test_what_no_call_has_taken_is_told(machine: Machine, bucket: Any) -> None:
    machine.may(("Read", "s3:GetObject", f"{OBJECTS}/*"), ("Look", "ec2:DescribeVolumes", "*"))
    assert machine.api.unused_permissions() == {}
    machine.client("s3").get_object(Bucket="holdfast-local", Key="members.json")
    assert machine.api.unused_permissions() == {"local-node": [["Look", "ec2:DescribeVolumes", "*"]]}


def test_keys_that_a_machine_has_are_good_with_the_next_daemon_too(instant: Api, tmp_path: Path) -> None:
    client(instant, "iam").create_role(RoleName="local-node", AssumeRolePolicyDocument="{}")
    before = instant.generation
    keys = instant.credentials_for("local-node")
    assert instant.generation > before, "a change, which is saved"
    instant.save(tmp_path / "state")
    instant.stop()

    again = Api(port=0, region=REGION)
    again.load(tmp_path / "state")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = again.serve_on(listening, lambda address, service: True)
        ec2 = boto3.client(
            "ec2",
            endpoint_url=f"http://127.0.0.1:{listening.getsockname()[1]}",
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["Token"],
        )
        assert refused(ec2.describe_volumes) == "UnauthorizedOperation"
        server.stop()


def test_a_call_that_names_two_actions_gets_neither(machine: Machine) -> None:
    """Both DescribeVolumes, which the role may, and CreateVpc: moto looks in the form first."""
    machine.may(("Look", "ec2:DescribeVolumes", "*"))
    ec2 = machine.client("ec2")
    ec2.describe_volumes()

    def also(request: Any, **_: Any) -> None:
        request.headers["X-Amz-Target"] = "AmazonEC2.DescribeVolumes"

    ec2.meta.events.register("before-sign.ec2.CreateVpc", also)
    assert refused(ec2.create_vpc, CidrBlock="10.9.0.0/16") == "UnauthorizedOperation"
    assert machine.api.view().vpcs == {}
