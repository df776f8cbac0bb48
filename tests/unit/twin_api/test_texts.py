"""Names, descriptions and tags that AWS would not take."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import REGION, Cloud, client, refused

APOSTROPHE = "The cloud's APIs"


def words(call: Any, **arguments: Any) -> str:
    """Of the error."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return str(error.value.response["Error"]["Message"])


def test_rules_and_groups_say_what_ec2_lets_them(api: Api) -> None:
    cloud = Cloud(api)
    group = {"GroupName": "nodes", "VpcId": cloud.vpc}
    assert words(cloud.ec2.create_security_group, **group, Description=APOSTROPHE) == (
        "Invalid security group description. Valid descriptions are strings less than 256 characters from the "
        "following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
    )
    assert refused(cloud.ec2.create_security_group, **group, Description="x" * 256) == "InvalidParameterValue"
    named = {"GroupName": "sg-nodes", "VpcId": cloud.vpc, "Description": "Nodes"}
    assert refused(cloud.ec2.create_security_group, **named) == "InvalidParameterValue"
    made = cloud.ec2.create_security_group(**group, Description="x" * 255)["GroupId"]
    for kind, peer in (("IpRanges", {"CidrIp": "10.0.0.0/8"}), ("UserIdGroupPairs", {"GroupId": made})):
        permission: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1}
        permission[kind] = [peer | {"Description": APOSTROPHE}]
        for authorize in (cloud.ec2.authorize_security_group_ingress, cloud.ec2.authorize_security_group_egress):
            assert words(authorize, GroupId=made, IpPermissions=[permission]).startswith("Invalid rule description.")
    described = cloud.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [made]}])
    assert [rule["IsEgress"] for rule in described["SecurityGroupRules"]] == [True], "nothing was added"


@pytest.mark.parametrize(
    ("service", "call", "arguments", "code"),
    [
        ("ec2", "create_vpc", {"CidrBlock": "10.0.0.0/16"}, "InvalidParameterValue"),
        ("iam", "create_role", {"RoleName": "a", "AssumeRolePolicyDocument": "{}"}, "ValidationError"),
        ("kms", "create_key", {}, "ValidationException"),
        ("secretsmanager", "create_secret", {"Name": "a"}, "ValidationException"),
        ("sns", "create_topic", {"Name": "a"}, "InvalidParameter"),
    ],
)
@pytest.mark.parametrize("key", ["aws:mine", "it's", "k" * 129])
def test_tags_are_named_as_aws_lets_them(
    api: Api, service: str, call: str, arguments: dict[str, Any], code: str, key: str
) -> None:
    tag = {"TagKey": key, "TagValue": "x"} if service == "kms" else {"Key": key, "Value": "x"}
    tags = {"TagSpecifications": [{"ResourceType": "vpc", "Tags": [tag]}]} if service == "ec2" else {"Tags": [tag]}
    assert refused(getattr(client(api, service), call), **arguments, **tags) == code


@pytest.mark.parametrize(
    ("service", "call", "arguments", "code"),
    [
        ("cloudwatch", "delete_alarms", {"AlarmNames": ["a" * 256]}, "ValidationError"),
        ("iam", "create_role", {"RoleName": "a b", "AssumeRolePolicyDocument": "{}"}, "ValidationError"),
        ("iam", "create_role", {"RoleName": "a", "AssumeRolePolicyDocument": " " * 2049}, "ValidationError"),
        ("kms", "create_key", {"Description": "a" * 8193}, "ValidationException"),
        ("kms", "create_alias", {"AliasName": "alias/aws/x", "TargetKeyId": "k"}, "ValidationException"),
        ("logs", "create_log_group", {"logGroupName": "a b"}, "InvalidParameterException"),
        ("route53", "create_hosted_zone", {"Name": "a..b", "CallerReference": "1"}, "InvalidInput"),
        ("secretsmanager", "create_secret", {"Name": "it's"}, "ValidationException"),
        ("secretsmanager", "create_secret", {"Name": "a", "Description": "a" * 2049}, "ValidationException"),
        ("sns", "create_topic", {"Name": "a b"}, "InvalidParameter"),
    ],
)
def test_names_and_descriptions_are_as_aws_lets_them(
    api: Api, service: str, call: str, arguments: dict[str, Any], code: str
) -> None:
    assert refused(getattr(client(api, service), call), **arguments) == code


@pytest.mark.parametrize("name", ["a_b", "xn--a", "a..b", "a" * 64])
def test_buckets_are_named_as_s3_lets_them(api: Api, name: str) -> None:
    here = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    assert refused(client(api, "s3").create_bucket, Bucket=name, **here) == "InvalidBucketName"


def test_buckets_have_such_tags_too(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    tags = {"TagSet": [{"Key": "Name", "Value": "it's"}]}
    assert refused(s3.put_bucket_tagging, Bucket="kept", Tagging=tags) == "InvalidTag"
    assert refused(s3.put_object, Bucket="kept", Key="one", Body=b"1", Tagging="Name=it%27s") == "InvalidTag"


def test_an_object_and_a_zone_take_ten_tags(api: Api) -> None:
    s3, route53 = client(api, "s3"), client(api, "route53")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    zone = route53.create_hosted_zone(Name="holdfast.example", CallerReference="one")["HostedZone"]["Id"]
    tagged = {"ResourceType": "hostedzone", "ResourceId": zone.rpartition("/")[2]}
    few, many = ([{"Key": f"key{number}", "Value": "x"} for number in range(count)] for count in (10, 11))
    s3.put_object(Bucket="kept", Key="one", Body=b"1", Tagging="&".join(f"{tag['Key']}=x" for tag in few))
    header = "&".join(f"{tag['Key']}=x" for tag in many)
    assert refused(s3.put_object, Bucket="kept", Key="one", Body=b"1", Tagging=header) == "BadRequest"
    listed = {"Bucket": "kept", "Key": "one", "Tagging": {"TagSet": many}}
    assert refused(s3.put_object_tagging, **listed) == "BadRequest"
    s3.put_bucket_tagging(Bucket="kept", Tagging={"TagSet": many})
    route53.change_tags_for_resource(**tagged, AddTags=few)
    assert refused(route53.change_tags_for_resource, **tagged, AddTags=many) == "InvalidInput"


def test_letters_are_those_of_every_language(api: Api) -> None:
    cloud = Cloud(api)
    cloud.ec2.create_tags(Resources=[cloud.vpc], Tags=[{"Key": "Größe", "Value": "日本 1"}])


def test_a_refusal_repeats_no_secret(api: Api) -> None:
    said = words(client(api, "secretsmanager").create_secret, Name="a", SecretString="hush" * 20_000)
    assert "hush" not in said and "***" in said
