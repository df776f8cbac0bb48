"""Buckets."""

from __future__ import annotations

import json
from typing import Any

from moto.backends import get_backend

from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import REGION, client, refused


def test_a_bucket_that_wants_tls_is_reached(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::kept", "arn:aws:s3:::kept/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket="kept", Policy=json.dumps(policy))
    s3.put_object(Bucket="kept", Key="one", Body=b"1")
    assert s3.get_object(Bucket="kept", Key="one")["Body"].read() == b"1"
    assert json.loads(s3.get_bucket_policy(Bucket="kept")["Policy"]) == policy
    del statement["Condition"]
    s3.put_bucket_policy(Bucket="kept", Policy=json.dumps(policy))
    assert refused(s3.put_object, Bucket="kept", Key="one", Body=b"2") == "AccessDenied"


def test_a_bucket_is_not_anothers(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="kept", Key="one", Body=b"1", ExpectedBucketOwner=api.account)
    assert refused(s3.get_object, Bucket="kept", Key="one", ExpectedBucketOwner="210987654321") == "AccessDenied"


def test_only_the_first_conditional_write_wins(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="kept", Key="bootstrap/leader.json", Body=b"1", IfNoneMatch="*")
    arguments = {"Bucket": "kept", "Key": "bootstrap/leader.json", "Body": b"2", "IfNoneMatch": "*"}
    assert refused(s3.put_object, **arguments) == "PreconditionFailed"
    assert api.get_object("kept", "bootstrap/leader.json") == b"1"


def test_a_versioned_bucket_with_delete_markers_is_emptied(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="kept", Key="one", Body=b"1")
    s3.delete_object(Bucket="kept", Key="one")
    assert api.get_object("kept", "one") is None
    assert api.list_objects("kept") == []
    found = s3.list_object_versions(Bucket="kept")
    listed = [*found["Versions"], *found["DeleteMarkers"]]
    for item in listed:
        one = [{"Key": item["Key"], "VersionId": item["VersionId"]}]
        assert "Errors" not in s3.delete_objects(Bucket="kept", Delete={"Objects": one})
    s3.delete_bucket(Bucket="kept")
    assert s3.list_buckets()["Buckets"] == []


def test_a_bucket_of_another_account_is_closed_and_its_name_taken(api: Api) -> None:
    s3, here = client(api, "s3"), {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    stranger = get_backend("s3")["999999999999"]["aws"].create_bucket("taken", REGION)
    assert refused(s3.create_bucket, Bucket="taken", **here) == "BucketAlreadyExists"
    assert refused(s3.head_bucket, Bucket="taken") == "403"
    assert refused(s3.put_object, Bucket="taken", Key="one", Body=b"1") == "AccessDenied"
    assert refused(s3.list_objects_v2, Bucket="taken") == "AccessDenied"
    assert not stranger.keys
    s3.create_bucket(Bucket="ours", **here)
    assert refused(s3.create_bucket, Bucket="ours", **here) == "BucketAlreadyOwnedByYou"


def demand(policy_for: str, action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Sid": policy_for, "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource, **more}


def test_a_policy_may_demand_that_nothing_is_overwritten(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    absent = {"Condition": {"Null": {"s3:if-none-match": "true"}}}
    statement = demand("AddOnly", "s3:PutObject", "arn:aws:s3:::kept/base/*", **absent)
    s3.put_bucket_policy(Bucket="kept", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert refused(s3.put_object, Bucket="kept", Key="base/1", Body=b"1") == "AccessDenied"
    s3.put_object(Bucket="kept", Key="base/1", Body=b"1", IfNoneMatch="*")
    assert refused(s3.put_object, Bucket="kept", Key="base/1", Body=b"2", IfNoneMatch="*") == "PreconditionFailed"
    s3.put_object(Bucket="kept", Key="other", Body=b"1")
    assert api.get_object("kept", "base/1") == b"1"


def test_nobody_but_the_accounts_root_changes_a_policy_that_denies_it(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    everything = demand("Nothing", "s3:*", ["arn:aws:s3:::kept", "arn:aws:s3:::kept/*"])
    s3.put_bucket_policy(Bucket="kept", Policy=json.dumps({"Version": "2012-10-17", "Statement": [everything]}))
    assert refused(s3.list_objects_v2, Bucket="kept") == "AccessDenied"
    s3.delete_bucket_policy(Bucket="kept")
    assert s3.list_objects_v2(Bucket="kept")["KeyCount"] == 0
