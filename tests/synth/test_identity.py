"""What the nodes may do, what is encrypted, and that no password is written anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.topology import names
from holdfast.topology.users import OWN
from holdfast.twin.api.policies import Need, grant

Stacks = dict[str, dict[str, Any]]

USERS = ("app", *(user.name for user in OWN))

ACCOUNT = "${data.aws_caller_identity.account.account_id}"
EC2 = f"arn:aws:ec2:eu-central-1:{ACCOUNT}"


def secret(user: str, environment: str = "prod") -> str:
    """Six characters that Secrets Manager adds are in no name."""
    return f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:holdfast/{environment}/{user}-??????"


def policy(stacks: Stacks, node: str) -> list[dict[str, Any]]:
    """The statements of a node's policy, which is in the stack of its machine."""
    environment, zone = node.split("-")[0], node[-2]
    found = stacks[f"{environment}-zone-{zone}"]["resource"]["aws_iam_role_policy"][f"{node}-policy"]
    statements: list[dict[str, Any]] = json.loads(found["policy"])["Statement"]
    return statements


def statement(stacks: Stacks, node: str, sid: str) -> dict[str, Any]:
    return next(it for it in policy(stacks, node) if it["Sid"] == sid)


def test_a_node_may_do_exactly_this(stacks: Stacks) -> None:
    bucket = f"arn:aws:s3:::{stacks['prod-identity']['resource']['aws_s3_bucket']['bucket']['bucket']}"
    key = statement(stacks, "prod-a1", "KeyThroughThose")["Resource"]
    assert "aws_kms_keykeyarn" in key
    allowed = {
        (action, resource)
        for statement in policy(stacks, "prod-a1")
        for action in _list(statement["Action"])
        for resource in _list(statement["Resource"])
    }
    assert {statement["Effect"] for statement in policy(stacks, "prod-a1")} == {"Allow"}
    assert allowed == {
        *(
            ("secretsmanager:GetSecretValue", secret(user))
            for user in ("replication", "sentinel", "node", "tls/node/prod-a1")
        ),
        *(("secretsmanager:DescribeSecret", secret(user)) for user in USERS),
        ("s3:GetObject", f"{bucket}/node/*.pyz"),
        ("s3:GetObject", f"{bucket}/bootstrap/leader.json"),
        ("s3:GetObject", f"{bucket}/orders/failover.json"),
        ("s3:GetObject", f"{bucket}/holders.json"),
        ("s3:GetObject", f"{bucket}/orders/secrets.json"),
        ("s3:GetObject", f"{bucket}/members.json"),
        ("s3:GetObject", f"{bucket}/users.json"),
        ("s3:GetObject", f"{bucket}/restore/*"),
        ("s3:PutObject", f"{bucket}/bootstrap/leader.json"),
        ("s3:PutObject", f"{bucket}/holders.json"),
        ("s3:PutObject", f"{bucket}/reports/prod-a1.json"),
        ("s3:ListBucket", bucket),
        ("kms:Decrypt", key),
        ("kms:GenerateDataKey", key),
        ("kms:CreateGrant", key),
        ("ec2:DescribeVolumes", "*"),
        ("ec2:AttachVolume", f"{EC2}:volume/*"),
        ("ec2:AttachVolume", f"{EC2}:instance/*"),
        ("ec2:DescribeRouteTables", "*"),
        ("ec2:ReplaceRoute", f"{EC2}:route-table/*"),
        # Of the other gateways, and of those that there is room for.
        *(("s3:GetObject", f"{bucket}/reports/prod-{slot}.json") for slot in ("b1", "c1", "a2", "b2")),
    }


def test_a_node_is_allowed_what_its_roles_take(stacks: Stacks) -> None:
    data = ["Logins", "Hashes", "Certificate", "Read", "Write", "BeginOnce"]
    data += ["TellMissingFromForbidden", "KeyThroughThose"]
    others = [sid for sid in data if sid != "BeginOnce"]
    volume = ["FindOwnVolume", "AttachOwnVolume", "GrantForAttachment"]
    gateway = ["FindFloatingPair", "MoveFloatingPair", "WhoHoldsFloatingPair"]
    for node, sids, checks, logs_in_as in (
        ("tiered-data-a1", [*data, *volume], USERS, ("replication", "node")),
        ("tiered-gateway-b1", [*others, *gateway], ("metrics", "node"), ("node",)),
        ("tiered-sentinel-c1", [*others, *volume], ("app", "sentinel", "node"), ("sentinel", "node")),
    ):
        assert [it["Sid"] for it in policy(stacks, node)] == sids
        reads_holders = any(one.endswith("/holders.json") for one in statement(stacks, node, "Read")["Resource"])
        assert reads_holders is ("FindOwnVolume" in sids)
        logins, hashes = statement(stacks, node, "Logins"), statement(stacks, node, "Hashes")
        assert logins["Action"] == ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
        assert logins["Resource"] == [secret(it, "tiered") for it in logs_in_as]
        assert hashes["Action"] == "secretsmanager:DescribeSecret"
        assert hashes["Resource"] == [secret(it, "tiered") for it in checks if it not in logs_in_as]
        certificate = statement(stacks, node, "Certificate")
        assert certificate["Action"] == "secretsmanager:GetSecretValue"
        assert certificate["Resource"] == secret(f"tls/node/{node}", "tiered")


@pytest.mark.parametrize("environment", ["prod", "tiered"])
def test_each_machine_has_a_role_of_its_own_as_long_as_it_is_there(stacks: Stacks, environment: str) -> None:
    taken = set()
    for name, stack in stacks.items():
        for node, machine in stack["resource"].get("aws_instance", {}).items() if name.startswith(environment) else ():
            profile = stack["resource"]["aws_iam_instance_profile"][f"{node}-profile"]
            role = stack["resource"]["aws_iam_role"][f"{node}-role"]
            assert machine["iam_instance_profile"] == f"${{aws_iam_instance_profile.{node}-profile.name}}"
            assert profile["role"] == f"${{aws_iam_role.{node}-role.name}}"
            # It boots when it may do something, and is gone before it may not.
            assert f"aws_iam_role_policy.{node}-policy" in machine["depends_on"]
            assert role["name"] == profile["name"] == f"holdfast-{environment}.{node.removeprefix(environment + '-')}"
            taken.add(role["name"])
    assert len(taken) == {"prod": 3, "tiered": 7}[environment]
    assert "aws_iam_role" not in stacks[f"{environment}-identity"]["resource"]


def test_a_node_writes_only_its_own_report_and_reads_only_its_own_certificate(synth: Callable[..., Stacks]) -> None:
    stacks = synth(tls={"mode": "required"})
    of_ours = {"aws:ResourceAccount": ACCOUNT}
    bucket = f"arn:aws:s3:::{stacks['local-identity']['resource']['aws_s3_bucket']['bucket']['bucket']}"

    def may(action: str, resource: str) -> bool:
        return grant([{"Statement": policy(stacks, "local-b1")}], Need(action, resource, of_ours)) is not None

    for node, own in (("local-a1", False), ("local-b1", True), ("local-b10", False)):
        certificate = secret(f"tls/node/{node}", "local").replace("??????", "AbCdEf")
        assert may("s3:PutObject", f"{bucket}/reports/{node}.json") is own
        assert may("secretsmanager:GetSecretValue", certificate) is own


@pytest.mark.parametrize("node", ["prod-a1", "tiered-gateway-b1"])
def test_a_bucket_of_that_name_in_another_account_is_none_of_a_nodes(stacks: Stacks, node: str) -> None:
    in_s3 = [it for it in policy(stacks, node) if "s3:" in str(it["Action"])]
    assert {it["Sid"] for it in in_s3} >= {"Read", "Write", "TellMissingFromForbidden"}
    assert {it["Condition"]["StringEquals"]["aws:ResourceAccount"] for it in in_s3} == {ACCOUNT}


def test_a_node_attaches_only_its_own_volume_and_only_to_its_own_machine(stacks: Stacks) -> None:
    of_prod = {
        "aws:ResourceTag/Project": "holdfast",
        "aws:ResourceTag/Environment": "prod",
        "aws:ResourceTag/ManagedBy": "cdktf",
    }
    assert statement(stacks, "prod-b1", "AttachOwnVolume")["Condition"] == {
        "StringEquals": {**of_prod, "aws:ResourceTag/Node": "prod-b1"}
    }
    zone = stacks["prod-zone-b"]["resource"]
    assert zone["aws_ebs_volume"]["prod-b1-data"]["tags"]["Node"] == "prod-b1"
    assert zone["aws_instance"]["prod-b1"]["tags"]["Node"] == "prod-b1"
    assert statement(stacks, "prod-b1", "MoveFloatingPair")["Condition"] == {"StringEquals": of_prod}
    assert statement(stacks, "prod-b1", "GrantForAttachment")["Condition"] == {
        "Bool": {"kms:GrantIsForAWSResource": "true"},
        "StringEquals": {"kms:ViaService": ["ec2.eu-central-1.amazonaws.com"]},
    }


def test_the_record_of_who_began_is_written_once(stacks: Stacks) -> None:
    (found,) = (
        it
        for it in policy(stacks, "prod-a1")
        if it["Action"] == "s3:PutObject" and "bootstrap/leader.json" in str(it["Resource"])
    )
    assert len(found["Resource"]) == 1
    assert found["Condition"]["Null"] == {"s3:if-none-match": "false"}


def test_the_key_serves_a_node_only_through_the_services_it_uses(stacks: Stacks) -> None:
    assert statement(stacks, "prod-a1", "KeyThroughThose")["Condition"] == {
        "StringEquals": {
            "kms:ViaService": ["s3.eu-central-1.amazonaws.com", "secretsmanager.eu-central-1.amazonaws.com"]
        }
    }


def test_the_flow_logs_role_is_taken_on_for_flow_logs_of_this_account_alone(stacks: Stacks) -> None:
    role = stacks["prod-watch"]["resource"]["aws_iam_role"]["flows-role"]
    (trust,) = json.loads(role["assume_role_policy"])["Statement"]
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"{EC2}:vpc-flow-log/*"},
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
    # And once in an environment whose passwords were made before there were hashes of them.
    assert passwords["triggers_replace"] == {
        **{user: f"${{aws_secretsmanager_secret.secret-{user}.arn}}" for user in USERS},
        "hashes in": names.HASH_TAG,
    }


def test_terraform_leaves_hashes_alone(stacks: Stacks) -> None:
    (provider,) = stacks["prod-identity"]["provider"]["aws"]
    assert any(names.HASH_TAG.startswith(prefix) for prefix in provider["ignore_tags"][0]["key_prefixes"])


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


def test_a_machine_reads_its_own_certificate_and_nobody_reads_the_authority(synth: Callable[..., Stacks]) -> None:
    stacks, nodes = synth(tls={"mode": "required", "mutual": True}), ("local-a1", "local-b1", "local-c1")
    for node in nodes:
        read = [it for it in _list(statement(stacks, node, "Certificate")["Resource"]) if "/tls/" in it]
        assert read == [secret(f"tls/node/{node}", "local")]
    resources = stacks["local-identity"]["resource"]
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
    resources = stacks["local-identity"]["resource"]
    assert not any("tls" in name for name in resources["aws_secretsmanager_secret"])
    assert "certificates" not in resources["terraform_data"]


def test_old_versions_go_after_a_month_and_those_of_reports_and_of_copies_for_restores_after_a_day(
    stacks: Stacks,
) -> None:
    (lifecycle,) = stacks["prod-identity"]["resource"]["aws_s3_bucket_lifecycle_configuration"].values()
    days = {
        rule["filter"][0].get("prefix", ""): rule["noncurrent_version_expiration"][0]["noncurrent_days"]
        for rule in lifecycle["rule"]
    }
    assert days == {"": 30, "reports/": 1, "restore/copies/": 1}
    ends = {rule["filter"][0].get("prefix", ""): rule.get("expiration") for rule in lifecycle["rule"]}
    assert ends == {"": None, "reports/": None, "restore/copies/": [{"days": 1}]}
