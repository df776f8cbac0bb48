"""A protected environment is not destroyed by mistake: refusals by kind of resource in every stack, and a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Stacks = dict[str, dict[str, Any]]

LASTING = {
    ("prod-identity", "aws_kms_key"),
    ("prod-identity", "aws_s3_bucket"),
    ("prod-identity", "aws_secretsmanager_secret"),
    *((f"prod-zone-{letter}", kind) for letter in "abc" for kind in ("aws_ebs_volume", "aws_network_interface")),
}


def test_a_protected_environment_refuses_to_destroy_data_and_identity_and_nothing_else(stacks: Stacks) -> None:
    found = {
        (name, kind)
        for name, stack in stacks.items()
        for kind, resources in stack["resource"].items()
        if not name.startswith(("encrypted-", "existing-vpc-", "public-", "single-", "tiered-"))
        if any("prevent_destroy" in resource.get("lifecycle", {}) for resource in resources.values())
    }
    assert found == LASTING
    bucket = "aws_s3_bucket"
    assert stacks["prod-identity"]["resource"][bucket]["bucket"]["force_destroy"] is False
    assert stacks["local-identity"]["resource"][bucket]["bucket"]["force_destroy"] is True


def test_every_one_of_a_protected_kind_is_protected(stacks: Stacks) -> None:
    zone = stacks["tiered-zone-a"]["resource"]
    kept = zone["aws_ebs_volume"] | zone["aws_network_interface"]
    assert len(kept) == 5
    assert all(it["lifecycle"] == {"prevent_destroy": True} for it in kept.values())


def test_machines_of_a_protected_environment_have_termination_protection(stacks: Stacks) -> None:
    assert stacks["prod-zone-b"]["resource"]["aws_instance"]["prod-b1"]["disable_api_termination"] is True
    assert "disable_api_termination" not in stacks["local-zone-b"]["resource"]["aws_instance"]["local-b1"]


def test_every_stack_of_a_protected_environment_refuses_its_destruction_first_of_all(stacks: Stacks) -> None:
    for name, stack in stacks.items():
        resources = stack["resource"]
        if name.startswith(("local-", "staging-")):
            assert "refusal" not in resources.get("terraform_data", {}), name
            continue
        refusal = resources["terraform_data"]["refusal"]
        others = {f"{kind}.{it}" for kind, block in resources.items() for it in block} - {"terraform_data.refusal"}
        assert set(refusal["depends_on"]) == others, name
        assert refusal["provisioner"][0]["local-exec"]["when"] == "destroy"


def test_the_refusal_says_what_to_do(stacks: Stacks) -> None:
    refusal = stacks["prod-watch"]["resource"]["terraform_data"]["refusal"]["provisioner"][0]["local-exec"]
    assert refusal["environment"] == {
        "SENTENCE": "prod is protected, and nothing was destroyed. To destroy it with its data: holdfast retire prod"
    }


def test_an_unprotected_environment_can_be_destroyed(synth: Callable[..., Stacks]) -> None:
    written = str(synth(protected=False))
    assert "prevent_destroy" not in written
    assert "holdfast retire" not in written
