"""What the nodes may do, what is encrypted, and that no password is written anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.topology.users import OWN

Stacks = dict[str, dict[str, Any]]

USERS = ("app", *(user.name for user in OWN))

EC2 = "arn:aws:ec2:eu-central-1:${data.aws_caller_identity.account.account_id}"
BUCKET = "${aws_s3_bucket.bucket.arn}"


def secret(user: str) -> str:
    return f"${{aws_secretsmanager_secret.secret-{user}.arn}}"


def test_a_node_may_do_exactly_this(stacks: Stacks) -> None:
    policy = json.loads(stacks["prod-identity"]["resource"]["aws_iam_role_policy"]["node-policy"]["policy"])
    allowed = {
        (action, resource)
        for statement in policy["Statement"]
        for action in _list(statement["Action"])
        for resource in _list(statement["Resource"])
    }
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Allow"}
    assert allowed == {
        *(("secretsmanager:GetSecretValue", secret(user)) for user in USERS),
        ("s3:GetObject", f"{BUCKET}/node/*.pyz"),
        ("s3:GetObject", f"{BUCKET}/bootstrap/leader.json"),
        ("s3:GetObject", f"{BUCKET}/orders/failover.json"),
        ("s3:GetObject", f"{BUCKET}/holders.json"),
        ("s3:GetObject", f"{BUCKET}/orders/secrets.json"),
        ("s3:GetObject", f"{BUCKET}/members.json"),
        ("s3:GetObject", f"{BUCKET}/users.json"),
        ("s3:PutObject", f"{BUCKET}/bootstrap/leader.json"),
        ("s3:PutObject", f"{BUCKET}/holders.json"),
        ("s3:PutObject", f"{BUCKET}/reports/*"),
        ("s3:ListBucket", BUCKET),
        ("kms:Decrypt", "${aws_kms_key.key.arn}"),
        ("kms:GenerateDataKey", "${aws_kms_key.key.arn}"),
        ("kms:CreateGrant", "${aws_kms_key.key.arn}"),
        ("ec2:DescribeVolumes", "*"),
        ("ec2:AttachVolume", f"{EC2}:volume/*"),
        ("ec2:AttachVolume", f"{EC2}:instance/*"),
        ("ec2:DescribeRouteTables", "*"),
        ("ec2:ReplaceRoute", f"{EC2}:route-table/*"),
    }


def test_a_machine_is_allowed_what_its_roles_take(stacks: Stacks) -> None:
    found = stacks["tiered-identity"]["resource"]["aws_iam_role_policy"]
    sids = {name: [it["Sid"] for it in json.loads(it["policy"])["Statement"]] for name, it in found.items()}
    every_machine = ["OwnSecrets", "Read", "Write", "TellMissingFromForbidden", "KeyThroughThose"]
    data = ["OwnSecrets", "Read", "Write", "BeginOnce", "TellMissingFromForbidden", "KeyThroughThose"]
    volume = ["FindOwnVolume", "AttachInThisEnvironment", "GrantForAttachment"]
    assert sids == {
        "data-policy": [*data, *volume],
        "gateway-policy": [*every_machine, "FindFloatingPair", "MoveFloatingPair"],
        "sentinel-policy": [*every_machine, *volume],
    }
    secrets = {name: json.loads(it["policy"])["Statement"][0]["Resource"] for name, it in found.items()}
    assert secrets == {
        "data-policy": [secret(user) for user in USERS],
        "gateway-policy": [secret("metrics"), secret("node")],
        "sentinel-policy": [secret("app"), secret("sentinel"), secret("node")],
    }
    for letter, role in (("a", "data"), ("b", "gateway"), ("c", "sentinel")):
        instance = stacks[f"tiered-zone-{letter}"]["resource"]["aws_instance"][f"tiered-{role}-{letter}1"]
        assert f"aws_iam_instance_profile{role}-profilename" in instance["iam_instance_profile"]


def test_a_node_changes_only_what_belongs_to_its_environment_and_grants_only_for_that(stacks: Stacks) -> None:
    policy = json.loads(stacks["prod-identity"]["resource"]["aws_iam_role_policy"]["node-policy"]["policy"])
    conditions = {statement["Sid"]: statement.get("Condition") for statement in policy["Statement"]}
    assert (
        conditions["AttachInThisEnvironment"]
        == conditions["MoveFloatingPair"]
        == {
            "StringEquals": {
                "aws:ResourceTag/Project": "holdfast",
                "aws:ResourceTag/Environment": "prod",
                "aws:ResourceTag/ManagedBy": "cdktf",
            }
        }
    )
    assert conditions["GrantForAttachment"] == {
        "Bool": {"kms:GrantIsForAWSResource": "true"},
        "StringEquals": {"kms:ViaService": ["ec2.eu-central-1.amazonaws.com"]},
    }


def test_the_record_of_who_began_is_written_once(stacks: Stacks) -> None:
    policy = json.loads(stacks["prod-identity"]["resource"]["aws_iam_role_policy"]["node-policy"]["policy"])
    record = f"{BUCKET}/bootstrap/leader.json"
    (statement,) = (
        it for it in policy["Statement"] if it["Action"] == "s3:PutObject" and record in _list(it["Resource"])
    )
    assert (statement["Resource"], statement["Condition"]) == ([record], {"Null": {"s3:if-none-match": "false"}})


def test_the_key_serves_a_node_only_through_the_services_it_uses(stacks: Stacks) -> None:
    policy = json.loads(stacks["prod-identity"]["resource"]["aws_iam_role_policy"]["node-policy"]["policy"])
    (statement,) = (it for it in policy["Statement"] if "kms:Decrypt" in it["Action"])
    assert statement["Condition"] == {
        "StringEquals": {
            "kms:ViaService": ["s3.eu-central-1.amazonaws.com", "secretsmanager.eu-central-1.amazonaws.com"]
        }
    }


@pytest.mark.parametrize("user", USERS)
def test_no_password_passes_through_terraform(stacks: Stacks, user: str) -> None:
    identity = stacks["prod-identity"]
    assert identity["resource"]["aws_secretsmanager_secret"][f"secret-{user}"]["name"] == f"holdfast/prod/{user}"
    assert "aws_secretsmanager_secret_version" not in identity["resource"]
    assert "ephemeral" not in identity


def test_a_deploy_makes_the_passwords_once_there_is_a_place_for_them(stacks: Stacks) -> None:
    passwords = stacks["prod-identity"]["resource"]["terraform_data"]["passwords"]
    (made,) = passwords["provisioner"]
    assert made["local-exec"]["command"].endswith("holdfast secrets ensure prod")
    assert passwords["triggers_replace"] == {user: secret(user) for user in USERS}


def test_the_bucket_is_encrypted_closed_and_refuses_plain_text(stacks: Stacks) -> None:
    found = stacks["prod-identity"]["resource"]
    (rule,) = found["aws_s3_bucket_server_side_encryption_configuration"]["bucket-encryption"]["rule"]
    assert rule["apply_server_side_encryption_by_default"]["sse_algorithm"] == "aws:kms"
    closed = found["aws_s3_bucket_public_access_block"]["bucket-closed"]
    assert all(closed[key] for key in closed if key.startswith(("block", "ignore", "restrict")))
    (statement,) = json.loads(found["aws_s3_bucket_policy"]["bucket-policy"]["policy"])["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_node_program_lies_under_its_hash(stacks: Stacks) -> None:
    program = stacks["prod-identity"]["resource"]["aws_s3_object"]["program"]
    sha256 = re.fullmatch(r"node/([0-9a-f]{64})\.pyz", program["key"])
    assert sha256 and sha256[1] in program["source"]


def test_the_nodes_that_there_are_lie_in_the_bucket(stacks: Stacks) -> None:
    members = stacks["prod-identity"]["resource"]["aws_s3_object"]["members"]
    assert members["key"] == "members.json"
    assert json.loads(members["content"]) == {"prod-a1": "10.60.0.4", "prod-b1": "10.60.16.4", "prod-c1": "10.60.32.4"}


def test_the_users_that_there_are_lie_in_the_bucket(stacks: Stacks) -> None:
    users = stacks["prod-identity"]["resource"]["aws_s3_object"]["users"]
    assert users["key"] == "users.json"
    assert json.loads(users["content"]) == {user: f"holdfast/prod/{user}" for user in USERS}


def test_everything_at_rest_has_the_environments_key(stacks: Stacks) -> None:
    zone = stacks["prod-zone-a"]["resource"]
    volume, root = zone["aws_ebs_volume"]["prod-a1-data"], zone["aws_instance"]["prod-a1"]["root_block_device"]
    assert volume["encrypted"] is root["encrypted"] is True
    assert volume["kms_key_id"] == root["kms_key_id"]
    assert "aws_kms_keykeyarn" in volume["kms_key_id"]
    watch = stacks["prod-watch"]["resource"]
    assert "aws_kms_keykeyarn" in watch["aws_cloudwatch_log_group"]["flows"]["kms_key_id"]
    assert "aws_kms_keykeyarn" in watch["aws_sns_topic"]["alarms"]["kms_master_key_id"]
    assert stacks["prod-identity"]["resource"]["aws_kms_key"]["key"]["enable_key_rotation"] is True


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_machines_read_certificates_of_their_own_kind_and_nobody_reads_the_authority(
    synth: Callable[..., Stacks],
) -> None:
    resources = synth(tls={"mode": "required", "mutual": True})["local-identity"]["resource"]
    policy = json.loads(resources["aws_iam_role_policy"]["node-policy"]["policy"])
    read = {secret for secret in policy["Statement"][0]["Resource"] if "tls_" in secret}
    nodes = ("local-a1", "local-b1", "local-c1")
    assert read == {f"${{aws_secretsmanager_secret.secret-tls_node-{node}.arn}}" for node in nodes}
    places = {name: it["name"] for name, it in resources["aws_secretsmanager_secret"].items() if "tls_" in name}
    assert places == {
        "secret-tls_authority": "holdfast/local/tls/authority",
        "secret-tls_client-app": "holdfast/local/tls/client/app",
        "secret-tls_client-reports": "holdfast/local/tls/client/reports",
        **{f"secret-tls_node-{node}": f"holdfast/local/tls/node/{node}" for node in nodes},
    }
    filled = resources["terraform_data"]["certificates"]
    assert "holdfast certs ensure local" in filled["provisioner"][0]["local-exec"]["command"]
    # Another address of a node makes its certificate anew.
    assert "10.40.0.5" in filled["triggers_replace"]["local-a1"]


def test_without_tls_there_is_no_certificate(stacks: Stacks) -> None:
    resources = stacks["prod-identity"]["resource"]
    assert not any("tls" in name for name in resources["aws_secretsmanager_secret"])
    assert "certificates" not in resources["terraform_data"]
