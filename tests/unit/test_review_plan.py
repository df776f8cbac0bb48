"""A plan's JSON becomes values: what happens to which construct, and no sensitive value."""

from typing import Any

from holdfast.ops.review import synthesis
from holdfast.ops.review.facts import SENSITIVE, SENSITIVE_CHANGED, UNKNOWN, Action, Planned
from tests.unit.review_values import CREATE, DELETE, NONE, REPLACE, UPDATE, change, stack

CONFIGURATION: dict[str, Any] = {
    "resource": {
        "aws_kms_key": {
            "key": {
                "//": {"metadata": {"path": "shop-identity/key"}},
                "deletion_window_in_days": 30,
                "lifecycle": {"prevent_destroy": True},
            }
        },
        "aws_s3_bucket": {
            "bucket": {
                "//": {"metadata": {"path": "shop-identity/deep/bucket"}},
                "bucket": "${data.terraform_remote_state.cross-stack-reference-input-shop-network.outputs.vpc-id}",
            }
        },
    },
}


def test_every_action_has_its_name() -> None:
    read = stack(
        "network",
        change("aws_vpc.a", NONE, {}, {}),
        change("aws_vpc.b", CREATE, None, {}),
        change("aws_vpc.c", UPDATE, {}, {}),
        change("aws_vpc.d", DELETE, {}, None),
        change("aws_vpc.e", REPLACE, {}, {}, replace_paths=[["cidr_block"], ["tags", "Name"]]),
        change("aws_vpc.f", ["create", "delete"], {}, {}),
    )
    assert [it.action for it in read.resources] == ["none", "create", "update", "delete", "replace", "replace"]
    assert read.resources[4].forced_by == ("cidr_block", "tags.Name")
    assert read.count(Action.REPLACE) == 2


def test_what_is_only_read_is_no_change() -> None:
    data = change("aws_ami.debian", ["read"], None, {}) | {"mode": "data"}
    assert stack("network", data).resources == ()


def test_a_value_that_is_not_known_yet_is_told_apart_from_none() -> None:
    after = {"a": 1, "nested": [{"c": 2}]}
    unknown = {"b": True, "nested": [{"d": True}], "known": {}}
    (read,) = stack("network", change("aws_vpc.vpc", UPDATE, {}, after, after_unknown=unknown)).resources
    assert read.after == {"a": 1, "b": UNKNOWN, "nested": [{"c": 2, "d": UNKNOWN}]}


def test_no_sensitive_value_is_read() -> None:
    (read,) = stack(
        "identity",
        change(
            "aws_secretsmanager_secret_version.first",
            UPDATE,
            {
                "secret_string": "hunter2",
                "same": "hunter1",
                "name": "a",
                "nested": [{"password": "hunter2"}, {"password": "plain"}],
            },
            {"secret_string": "hunter3", "same": "hunter1", "name": "b", "nested": [{"password": "hunter3"}]},
            before_sensitive={"secret_string": True, "same": True, "nested": [{"password": True}]},
            after_sensitive={"secret_string": True, "same": True, "nested": [{"password": True}]},
        ),
    ).resources
    assert read.before == {
        "secret_string": SENSITIVE,
        "same": SENSITIVE,
        "name": "a",
        "nested": [{"password": SENSITIVE}, {"password": "plain"}],
    }
    assert read.after == {
        "secret_string": SENSITIVE_CHANGED,
        "same": SENSITIVE,
        "name": "b",
        "nested": [{"password": SENSITIVE}],
    }
    assert read.changed() == ["name", "nested", "secret_string"]


def test_a_whole_resource_may_be_sensitive() -> None:
    (read,) = stack(
        "identity", change("aws_kms_key.key", UPDATE, {"a": "hunter2"}, {"a": "b"}, before_sensitive=True)
    ).resources
    assert "hunter2" not in repr(read)


def test_the_configuration_gives_construct_paths_refusals_and_what_is_read_of_other_stacks() -> None:
    read = stack(
        "identity",
        change("aws_kms_key.key", NONE, {}, {}),
        change("aws_s3_bucket.bucket", NONE, {}, {}),
        change("aws_s3_bucket.gone", DELETE, {}, None),
        configuration=CONFIGURATION,
    )
    assert {it.path: it.kept for it in read.resources} == {
        "shop-identity/key": True,
        "shop-identity/deep/bucket": False,
        "shop-identity/gone": False,
    }
    assert read.reads == {"network": frozenset({"vpc-id"})}


def test_outputs_that_existed_and_change_are_moving() -> None:
    outputs = {
        "kept": {"actions": ["no-op"]},
        "new": {"actions": ["create"]},
        "other": {"actions": ["update"]},
        "gone": {"actions": ["delete"]},
    }
    assert stack("network", outputs=outputs).moving_outputs == {"other", "gone"}


def test_a_plan_is_made_of_a_copy_that_refuses_nothing() -> None:
    asked = {"aws_vpc_security_group_rules": {"plain": {"filter": [], "lifecycle": {"postcondition": []}}}}
    planned = synthesis.without_refusals({**CONFIGURATION, "data": asked})
    assert planned["resource"]["aws_kms_key"]["key"]["lifecycle"] == {"prevent_destroy": False}
    assert planned["data"] == {"aws_vpc_security_group_rules": {"plain": {"filter": []}}}
    assert CONFIGURATION["resource"]["aws_kms_key"]["key"]["lifecycle"] == {"prevent_destroy": True}


def test_a_stack_that_cannot_be_planned_is_told_from_its_synthesis_and_its_state() -> None:
    told = synthesis.described("shop", "identity", CONFIGURATION, ["aws_kms_key.key", "aws_s3_object.gone"])
    assert told.known_from is Planned.SYNTHESIS
    assert {it.address: str(it.action) for it in told.resources} == {
        "aws_kms_key.key": "none",
        "aws_s3_bucket.bucket": "create",
        "aws_s3_object.gone": "delete",
    }


def node(**arguments: Any) -> dict[str, Any]:
    block = {"//": {"metadata": {"path": "shop-zone-a/shop-a1"}}, "ami": "ami-1", "instance_type": "t3.small"}
    return {"resource": {"aws_instance": {"shop-a1": block | arguments}}}


def test_offline_a_change_of_what_a_machine_is_made_of_replaces_it() -> None:
    (replaced,) = synthesis.diff("shop", "zone-a", node(), node(ami="ami-2")).resources
    assert (replaced.action, replaced.forced_by, replaced.before["ami"]) == (Action.REPLACE, ("ami",), "ami-1")
    (updated,) = synthesis.diff("shop", "zone-a", node(), node(instance_type="t3.large")).resources
    assert (updated.action, updated.forced_by) == (Action.UPDATE, ())
    (created,) = synthesis.diff("shop", "zone-a", {}, node()).resources
    (gone,) = synthesis.diff("shop", "zone-a", node(), {}).resources
    (same,) = synthesis.diff("shop", "zone-a", node(), node()).resources
    assert [created.action, gone.action, same.action] == [Action.CREATE, Action.DELETE, Action.NONE]
