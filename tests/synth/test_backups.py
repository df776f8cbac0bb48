"""The bucket of backups: nodes add and do nothing else, nobody overwrites, time alone removes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.topology import Cluster, load_environment
from holdfast.topology.load import ENVIRONMENTS
from holdfast.twin.api.policies import Need, denied_by, grant
from stacks.access import Scope, node_policy

Stacks = dict[str, dict[str, Any]]
BUCKET = "arn:aws:s3:::holdfast-encrypted-eu-central-1-saved"
ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/backups"
OTHER_KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/environment"
NODE = f"arn:aws:iam::{ACCOUNT}:role/holdfast-encrypted.a1"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/deployer"
ONCE = {"s3:if-none-match": "*"}


@pytest.fixture
def resources(stacks: Stacks) -> dict[str, Any]:
    found: dict[str, Any] = stacks["encrypted-backups"]["resource"]
    return found


@pytest.fixture
def policy(resources: dict[str, Any]) -> dict[str, Any]:
    text = resources["aws_s3_bucket_policy"]["bucket-policy"]["policy"]
    text = text.replace("${data.aws_caller_identity.account.account_id}", ACCOUNT)
    found: dict[str, Any] = json.loads(text.replace("${aws_s3_bucket.bucket.arn}", BUCKET))
    return found


def test_they_are_encrypted_with_a_key_of_their_own_in_a_bucket_of_their_own(resources: dict[str, Any]) -> None:
    (bucket,) = resources["aws_s3_bucket"].values()
    assert bucket["bucket"].startswith("holdfast-encrypted-eu-central-1-")
    assert bucket["bucket"].endswith("-saved")
    assert len(bucket["bucket"]) <= 63
    assert (bucket["force_destroy"], bucket["lifecycle"]) == (False, {"prevent_destroy": True})
    (encryption,) = resources["aws_s3_bucket_server_side_encryption_configuration"].values()
    (rule,) = encryption["rule"]
    default = rule["apply_server_side_encryption_by_default"]
    assert default == {"sse_algorithm": "aws:kms", "kms_master_key_id": "${aws_kms_key.key.arn}"}
    assert resources["aws_kms_key"]["key"]["lifecycle"] == {"prevent_destroy": True}


def test_each_tier_is_kept_as_long_as_the_file_says(resources: dict[str, Any], synth: Callable[..., Stacks]) -> None:
    assert expiry(resources) == {"base/daily/": 7, "base/weekly/": 35, "base/monthly/": 372}
    few = synth(backup={"keep": {"daily": 2, "weekly": 0, "monthly": 1}})
    assert expiry(few["local-backups"]["resource"]) == {"base/daily/": 2, "base/monthly/": 31}


def expiry(resources: dict[str, Any]) -> dict[str, int]:
    (lifecycle,) = resources["aws_s3_bucket_lifecycle_configuration"].values()
    return {
        rule["filter"][0]["prefix"]: rule["expiration"][0]["days"] for rule in lifecycle["rule"] if "expiration" in rule
    }


@pytest.mark.parametrize(
    ("who", "action", "key", "context", "denied"),
    [
        (NODE, "s3:PutObject", "/base/daily/x/00001", ONCE, None),
        (NODE, "s3:PutObject", "/base/daily/x/00001", {}, "AddOnly"),
        (DEPLOYER, "s3:PutObject", "/base/daily/x/00001", {}, "AddOnly"),
        (NODE, "s3:ListBucket", "", {}, None),
        (NODE, "s3:GetObject", "/base/daily/x/00001", {}, "NodesOnlyAdd"),
        (NODE, "s3:DeleteObject", "/base/daily/x/00001", {}, "NodesOnlyAdd"),
        (NODE, "s3:DeleteObjectVersion", "/base/daily/x/00001", {}, "NodesOnlyAdd"),
        (NODE, "s3:PutLifecycleConfiguration", "", {}, "NodesOnlyAdd"),
        (NODE, "s3:PutBucketPolicy", "", {}, "NodesOnlyAdd"),
        (DEPLOYER, "s3:GetObject", "/base/daily/x/00001", {}, None),
        (DEPLOYER, "s3:PutLifecycleConfiguration", "", {}, None),
    ],
)
def test_nodes_add_and_nobody_overwrites(
    policy: dict[str, Any], who: str, action: str, key: str, context: dict[str, str], denied: str | None
) -> None:
    need = Need(action, f"{BUCKET}{key}", {"aws:PrincipalArn": who, "aws:SecureTransport": "true", **context})
    assert denied_by(policy, need) == denied


def test_without_tls_nobody_comes_in(policy: dict[str, Any]) -> None:
    plaintext = {"aws:PrincipalArn": DEPLOYER, "aws:SecureTransport": "false"}
    assert denied_by(policy, Need("s3:GetObject", f"{BUCKET}/base/daily/x/00001", plaintext)) == "TlsOnly"


OURS = {"aws:ResourceAccount": ACCOUNT}
VIA = {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}


@pytest.mark.parametrize(
    ("action", "resource", "context", "allowed"),
    [
        ("s3:PutObject", "/base/daily/2026-11-29T03-00-07Z-encrypted-a1/00001", OURS | ONCE, True),
        ("s3:PutObject", "/base/daily/2026-11-29T03-00-07Z-encrypted-a1/00001", OURS, False),
        ("s3:PutObject", "/base/daily/2026-11-29T03-00-07Z-encrypted-b1/00001", OURS | ONCE, False),
        ("s3:PutObject", "/kept/2026-11-29T03-00-07Z-encrypted-a1/00001", OURS | ONCE, False),
        ("s3:GetObject", "/base/daily/2026-11-29T03-00-07Z-encrypted-a1/00001", OURS, False),
        ("s3:DeleteObject", "/base/daily/2026-11-29T03-00-07Z-encrypted-a1/00001", OURS, False),
        ("s3:ListBucket", "", OURS | {"s3:prefix": "base/daily/"}, True),
        ("s3:ListBucket", "", OURS, False),
        ("kms:GenerateDataKey", KEY, VIA, True),
        ("kms:Decrypt", KEY, VIA, False),
    ],
)
def test_a_node_adds_its_own_and_cannot_read_any(
    action: str, resource: str, context: dict[str, str], allowed: bool
) -> None:
    """Not even those that it wrote."""
    cluster = Cluster.of(load_environment(ENVIRONMENTS / "examples" / "encrypted.yaml"))
    scope = Scope(cluster, cluster.node("encrypted-a1"), OTHER_KEY, ACCOUNT, KEY)
    need = Need(action, resource if resource.startswith("arn") else f"{scope.backups}{resource}", context)
    assert (grant([node_policy(scope)], need) is not None) is allowed


def test_the_zones_come_after_the_key_that_their_nodes_use(stacks: Stacks, synth: Callable[..., Stacks]) -> None:
    policies = [
        json.loads(one["policy"])
        for name, stack in stacks.items()
        if name.startswith("encrypted-zone-")
        for one in stack["resource"]["aws_iam_role_policy"].values()
    ]
    keys = {
        statement["Resource"]
        for policy in policies
        for statement in policy["Statement"]
        if statement["Sid"] == "EncryptBackups"
    }
    assert len(policies) == 3
    assert len(keys) == 1
    assert "data.terraform_remote_state" in keys.pop()
    assert "encrypted-backups.tfstate" in json.dumps(stacks["encrypted-zone-a"]["data"]["terraform_remote_state"])


def test_without_backups_there_is_no_trace_of_them(stacks: Stacks, synth: Callable[..., Stacks]) -> None:
    assert "prod-backups" not in stacks
    assert "saved" not in json.dumps([stack for name, stack in stacks.items() if name.startswith("prod-")])


def test_an_image_with_everything_reaches_the_bucket_through_the_network_s_way_to_s3(
    synth: Callable[..., Stacks],
) -> None:
    network = synth(images="baked", cloud={}, backup={})["local-network"]["resource"]
    (statement,) = json.loads(network["aws_vpc_endpoint"]["s3"]["policy"])["Statement"]
    assert [name.endswith(("-saved", "-saved/*")) for name in statement["Resource"]] == [False, False, True, True]
