"""Retiring an environment: what is said before, who may go on, in which order it goes, and what stays."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from holdfast import cli
from holdfast.cli.retire import NotConfirmed, WrongName, announcement, confirm
from holdfast.ops.retire.plan import plan
from holdfast.topology import Environment, load_environment, names

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
TODAY = date(2026, 12, 24)


def state(*resources: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    managed = [{"mode": "managed", "type": kind, "instances": [{"attributes": it}]} for kind, it in resources]
    return {"resources": [{"mode": "data", "type": "aws_caller_identity", "instances": [{"attributes": {}}]}, *managed]}


def volume(node: str) -> tuple[str, dict[str, Any]]:
    return "aws_ebs_volume", {"size": 16, "tags": {"Node": node}}


STATES = {
    "prod-identity": state(
        ("aws_kms_key", {"key_id": "1234", "deletion_window_in_days": 30}),
        ("aws_s3_bucket", {"bucket": "holdfast-prod"}),
        ("aws_secretsmanager_secret", {"name": "holdfast/prod/app", "recovery_window_in_days": 30}),
    ),
    "prod-names": state(("aws_route53_zone", {})),
    "prod-network": state(("aws_eip", {"public_ip": "198.51.100.1", "tags": {"Name": "holdfast-prod-nat-a"}})),
    "prod-watch": state(("aws_sns_topic", {}), ("aws_flow_log", {})),
    "prod-zone-a": state(volume("prod-a1"), volume("prod-a2")),
    "prod-zone-c": state(
        volume("prod-c1"),
        ("aws_eip", {"public_ip": "198.51.100.7", "tags": {"Name": "prod-c1-leader", "Endpoint": "leader"}}),
    ),
}


@pytest.fixture
def environment() -> Environment:
    return load_environment(ENVIRONMENTS / "prod.yaml")


def test_stacks_go_in_the_reverse_order_of_a_deploy_with_what_they_hold(environment: Environment) -> None:
    assert list(announcement(plan(environment, STATES, TODAY))) == [
        "prod will be destroyed for good, in this order:",
        "",
        "  prod-names     1 resource",
        "  prod-watch     2 resources",
        "  prod-zone-c    2 resources, with the data of prod-c1 (16 GiB), the public address 198.51.100.7 of "
        "prod-c1-leader",
        "  prod-zone-a    2 resources, with the data of prod-a1 (16 GiB), the data of prod-a2 (16 GiB)",
        "  prod-identity  3 resources, with the bucket holdfast-prod with all that is in it",
        "  prod-network   1 resource",
        "",
        "No backup is made first. What Redis holds is gone with the volumes; whoever needs it takes one now, where the "
        "file has `backup` on: holdfast backup take ENV; or copies it from a replica endpoint: redis-cli --rdb FILE.",
        "",
    ]


def test_backups_outlive_what_they_are_of(environment: Environment) -> None:
    """With the key that they are encrypted with: without it they were worth nothing."""
    saved = state(("aws_s3_bucket", {"bucket": "saved"}), ("aws_kms_key", {"deletion_window_in_days": 30}))
    planned = plan(environment, STATES | {"prod-backups": saved}, TODAY)
    assert planned.stacks == plan(environment, STATES, TODAY).stacks
    (kept,) = set(planned.left) - set(plan(environment, STATES, TODAY).left)
    assert kept.startswith("The backups, in the bucket holdfast-prod-eu-central-1-")
    assert kept.endswith("Their stack stays too, with their key.")


def test_what_is_left_is_named_with_its_last_day(environment: Environment) -> None:
    key, secret, states, file = plan(environment, STATES, TODAY).left
    assert key.startswith("The key 1234, until 2027-01-23.") and "cancel-key-deletion --key-id 1234" in key
    assert secret.startswith(
        "The secret holdfast/prod/app, until 2027-01-23: until then, or until holdfast secrets release"
    )
    assert states.startswith(f"The bucket {names.state_bucket(environment)} with every version")
    assert file == "The file of prod and its pinned images: remove them, or the next deploy makes it anew."


def test_a_secret_that_is_gone_at_once_and_a_state_on_this_machine_are_not_left() -> None:
    local = load_environment(ENVIRONMENTS / "local.yaml")
    secret = {"name": "holdfast/local/app", "recovery_window_in_days": 0}
    left = plan(local, {"local-identity": state(("aws_secretsmanager_secret", secret))}, TODAY).left
    assert left == ("The file of local and its pinned images: remove them, or the next deploy makes it anew.",)


def test_where_there_is_nothing_nothing_is_said_to_be_left(environment: Environment) -> None:
    nothing = plan(environment, {}, TODAY)
    assert (nothing.stacks, nothing.left) == ((), ())


def test_only_the_environments_own_name_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    confirm("prod", "prod")
    with pytest.raises(WrongName, match="found 'yes'; accepted: prod. Nothing was done"):
        confirm("prod", "yes")
    monkeypatch.setattr("sys.stdin", io.StringIO("prod\n"))
    with pytest.raises(NotConfirmed, match="nothing was done. Say: --yes-really prod"):
        confirm("prod", None)


@pytest.mark.parametrize(("typed", "goes_on"), [("prod", True), ("staging", False), ("", False)])
def test_at_a_terminal_the_name_is_typed(monkeypatch: pytest.MonkeyPatch, typed: str, goes_on: bool) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(f"{typed}\n" if typed else ""))
    if goes_on:
        confirm("prod", None)
    else:
        with pytest.raises(WrongName):
            confirm("prod", None)


def test_a_second_time_there_is_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(names, "LOCAL_STATE", tmp_path)
    assert cli.main(["retire", "local", "--yes-really", "local"]) == 0
    assert capsys.readouterr().out == "local: no stack has anything in its state; there is nothing to retire\n"
