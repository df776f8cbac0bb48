"""IAM policies, evaluated: pure."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.twin.api.policies import Grant, Need, denied_by, grant, grants

BUCKET = "arn:aws:s3:::holdfast-local"


def allow(sid: str, action: Any, resource: Any, **condition: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


READ = policy(allow("Read", ["s3:GetObject", "s3:ListBucket"], [f"{BUCKET}/node/*", f"{BUCKET}/members.json"]))


@pytest.mark.parametrize(
    ("need", "resource"),
    [
        (Need("s3:GetObject", f"{BUCKET}/node/0.pyz"), f"{BUCKET}/node/*"),
        (Need("s3:GetObject", f"{BUCKET}/members.json"), f"{BUCKET}/members.json"),
        (Need("s3:PutObject", f"{BUCKET}/members.json"), None),
        (Need("s3:GetObject", f"{BUCKET}/members.json.old"), None),
        (Need("s3:GetObject", f"{BUCKET}-other/node/0.pyz"), None),
        (Need("s3:GetObject", f"{BUCKET}/membersxjson"), None),
    ],
)
def test_a_statement_allows_its_actions_on_its_resources(need: Need, resource: str | None) -> None:
    assert grant([READ], need) == (Grant("Read", "s3:GetObject", resource) if resource else None)


@pytest.mark.parametrize(
    ("condition", "context", "allowed"),
    [
        ({"StringEquals": {"aws:ResourceTag/Environment": "local"}}, {"aws:ResourceTag/Environment": "local"}, True),
        ({"StringEquals": {"aws:ResourceTag/Environment": "local"}}, {"aws:ResourceTag/Environment": "prod"}, False),
        ({"StringEquals": {"aws:ResourceTag/Environment": "local"}}, {}, False),
        ({"StringEquals": {"kms:ViaService": ["s3.x", "ec2.x"]}}, {"kms:ViaService": "ec2.x"}, True),
        ({"StringLike": {"kms:ViaService": "s3.*"}}, {"kms:ViaService": "s3.eu-central-1"}, True),
        ({"Bool": {"a": "true"}, "StringEquals": {"b": "1"}}, {"a": "true", "b": "2"}, False),
        ({"Null": {"s3:if-none-match": "false"}}, {"s3:if-none-match": "*"}, True),
        ({"Null": {"s3:if-none-match": "false"}}, {}, False),
        ({"Null": {"s3:if-none-match": "true"}}, {}, True),
        ({"Null": {"s3:if-none-match": "true"}}, {"s3:if-none-match": "*"}, False),
        ({"Null": {"s3:if-none-match": "false"}, "StringEquals": {"b": "1"}}, {"s3:if-none-match": "*"}, False),
    ],
)
def test_a_condition_holds_whole_or_not_at_all(
    condition: dict[str, Any], context: dict[str, str], allowed: bool
) -> None:
    found = grant([policy(allow("One", "kms:*", "*", **condition))], Need("kms:Decrypt", "key", context))
    assert (found is not None) is allowed


def test_what_denies_wins_wherever_it_stands() -> None:
    need = Need("s3:GetObject", f"{BUCKET}/members.json")
    deny = allow("Never", "s3:*", "*") | {"Effect": "Deny"}
    assert grant([policy(deny), READ], need) is None
    assert grant([READ, policy(deny)], need) is None


def test_a_condition_that_is_not_known_is_an_error_and_no_permission() -> None:
    with pytest.raises(HoldfastError, match="no condition DateLessThan; known: StringEquals, "):
        grant([policy(allow("One", "*", "*", DateLessThan={"a": "b"}))], Need("s3:GetObject", "x"))


def test_all_that_policies_allow() -> None:
    assert grants([policy(allow("A", "s3:*", ["x", "y"]), allow("B", "kms:Decrypt", "z") | {"Effect": "Deny"})]) == {
        Grant("A", "s3:*", "x"),
        Grant("A", "s3:*", "y"),
    }


@pytest.mark.parametrize(
    ("principal", "denied"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": ["arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b"]}, True),
        ({"AWS": "arn:aws:iam::1:role/b"}, False),
        ({"Service": "logging.s3.amazonaws.com"}, False),
    ],
)
def test_a_buckets_policy_denies_whom_it_names(principal: Any, denied: bool) -> None:
    statement = {"Effect": "Deny", "Principal": principal, "Action": "s3:Delete*", "Resource": f"{BUCKET}/*"}
    need = Need("s3:DeleteObject", f"{BUCKET}/a", {"aws:PrincipalArn": "arn:aws:iam::1:role/a"})
    assert denied_by(policy(statement), need) == ("Deny" if denied else None)
    assert denied_by(policy(statement | {"Effect": "Allow"}), need) is None
