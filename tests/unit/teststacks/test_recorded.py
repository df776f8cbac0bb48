"""States are found where they lie, told apart, and given up only to what may go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.ops.destroy import DestroyFailed, Place
from holdfast.ops.teststacks import files, recorded
from holdfast.ops.teststacks.clouds import Cloud
from holdfast.ops.teststacks.inventory import Inventory, look
from holdfast.ops.teststacks.judge import Fate, expired_at
from holdfast.ops.teststacks.recorded import State
from holdfast.ops.teststacks.removal import Removal, survivors
from holdfast.topology import Environment, names
from tests.unit.teststacks.makers import EXPIRED, LATER, Maker, store
from tests.unit.teststacks.test_sweep import AT_ONCE, NOW

judge = expired_at(NOW)


def content(*tags: dict[str, str], untagged: int = 0) -> str:
    attributes: list[dict[str, Any]] = [{"id": "x", "tags_all": it} for it in tags]
    attributes += [{"id": "y"}] * untagged
    resources = [{"mode": "managed", "type": "a", "instances": [{"attributes": it}]} for it in attributes]
    return json.dumps({"version": 4, "resources": [{"mode": "data", "instances": [{"attributes": {}}]}, *resources]})


def local(stack: str, text: str) -> Path:
    file = names.LOCAL_STATE / f"{stack}.tfstate"
    file.write_text(text)
    return file


def fates(seen: Inventory) -> dict[str, Fate]:
    return {state.stack: judgement.fate for state, judgement in seen.states}


def test_local_states_are_found_in_the_order_in_which_they_are_destroyed(cloud: Cloud) -> None:
    for stack in ("network", "zone-a", "zone-b", "identity", "names", "watch"):
        local(f"test-one-{stack}", content(EXPIRED, untagged=2))
    local("shop-network", content())
    (names.LOCAL_STATE / "test-one-watch.tfstate.backup").write_text("")
    assert [it.stack for it in recorded.find(cloud, {}, [])] == [
        "test-one-watch",
        "test-one-names",
        "test-one-zone-a",
        "test-one-zone-b",
        "test-one-identity",
        "test-one-network",
    ]
    assert recorded.find(cloud, {}, [])[0] == State(
        "test-one", "test-one-watch", "eu-central-1", None, 3, (EXPIRED,), frozenset({"x", "y"})
    )


def test_a_state_that_holds_something_else_is_not_destroyed(cloud: Cloud) -> None:
    local("test-one-network", content(EXPIRED))
    local("test-two-network", content({**EXPIRED, "Environment": "test-two"}, LATER))
    local("test-three-network", content({"Project": "holdfast", "Environment": "prod", "ManagedBy": "cdktf"}))
    local("test-four-network", content(untagged=3))
    local("test-five-network", content())
    seen = look(cloud, judge, [])
    assert fates(seen) == {
        "test-one-network": Fate.GOES,
        "test-two-network": Fate.STAYS,
        "test-three-network": Fate.REFUSED,
        "test-four-network": Fate.REFUSED,
        "test-five-network": Fate.REFUSED,
    }
    assert [state.stack for state in seen.going_states] == ["test-one-network"]
    left = survivors(cloud, seen, (Fate.GOES, Fate.REFUSED))
    assert {it.id: it.reason for it in left} == {
        "test-one-network": "expired 2 h 0 min ago; it records 1",
        "test-three-network": "it records something that belongs to another environment; it records 1",
        "test-four-network": "nothing says whose it is: no file, and no tags in it; it records 3",
    }


def test_what_one_stack_of_it_says_holds_for_all(cloud: Cloud) -> None:
    local("test-one-network", content(LATER))
    local("test-one-zone-a", content(EXPIRED))
    assert set(fates(look(cloud, judge, [])).values()) == {Fate.STAYS}


@pytest.mark.parametrize(
    ("tags", "fate"),
    [
        (LATER, Fate.STAYS),
        ({**EXPIRED, "Run": ""}, Fate.REFUSED),
        ({"Project": "holdfast", "Environment": "prod", "ManagedBy": "cdktf"}, Fate.REFUSED),
        (EXPIRED, Fate.GOES),
    ],
)
def test_a_recorded_resource_whose_tags_are_others_now_keeps_the_state(
    cloud: Cloud, tags: dict[str, str], fate: Fate
) -> None:
    volume = Maker(cloud, tags, "one").volume()
    local("test-one-zone-a", content(EXPIRED).replace('"x"', f'"{volume}"'))
    assert fates(look(cloud, judge, [])) == {"test-one-zone-a": fate}


def test_its_file_speaks_for_a_state_without_tags(cloud: Cloud, stored: Environment) -> None:
    local("test-one-watch", content(untagged=1))
    assert fates(look(cloud, judge, [stored])) == {"test-one-watch": Fate.GOES}


def test_a_state_of_another_emulation_is_left_alone(cloud: Cloud, stored: Environment) -> None:
    local("test-one-watch", content(EXPIRED))
    elsewhere = stored.model_copy(update={"cloud": stored.cloud.model_copy(update={"endpoint": "http://10.0.0.9:1"})})
    assert look(cloud, judge, [elsewhere]).states == ()


def test_a_damaged_state_is_named(cloud: Cloud) -> None:
    file = local("test-one-network", "{}")
    with pytest.raises(HoldfastError, match=f"{file}: found no valid Terraform state"):
        look(cloud, judge, [])


def test_a_state_that_terraform_has_only_begun_is_empty(cloud: Cloud) -> None:
    local("test-one-network", "")
    assert recorded.find(cloud, {}, [])[0].holds == 0


def test_on_aws_states_are_found_by_the_tags_of_their_bucket(shop: Environment) -> None:
    aws = in_buckets(shop)
    make = Maker(aws, EXPIRED, "one")
    bucket = make.bucket("holdfast-test-one-eu-central-1-0123-state")
    aws.client("s3").put_object(Bucket=bucket, Key="test-one-network.tfstate", Body=content(untagged=1))
    aws.client("s3").put_object(Bucket=bucket, Key="notes.txt", Body=b"1")
    neighbour = Maker(aws, LATER, "two").bucket("holdfast-test-two-eu-central-1-0123-state")
    aws.client("s3").put_object(Bucket=neighbour, Key="test-two-network.tfstate", Body=content(EXPIRED))
    seen = look(aws, judge, [])
    assert fates(seen) == {"test-one-network": Fate.GOES, "test-two-network": Fate.STAYS}
    assert seen.going_states[0].bucket == bucket


def test_the_bucket_of_states_goes_last_and_only_when_nothing_else_is_left(
    shop: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = in_buckets(shop)
    make = Maker(aws, EXPIRED, "one")
    bucket = make.bucket("holdfast-test-one-eu-central-1-0123-state")
    other = Maker(aws, {**EXPIRED, "Environment": "test-two"}, "two").bucket(
        "holdfast-test-two-eu-central-1-0123-state"
    )
    instance = make.instance()
    make.ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": True})
    said: list[str] = []
    removal = Removal(aws, judge, list, said.append, pace=AT_ONCE)
    assert {it.kind for it in removal.carry_out(removal.look())[1]} == {"instance", "bucket"}
    assert [it for it in said if "bucket" in it] == [f"test-two: removing bucket {other}"]
    make.ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
    said.clear()
    assert removal.carry_out(removal.look())[1] == []
    assert said[-1] == f"test-one: removing bucket {bucket}"


def test_a_state_that_may_not_go_keeps_its_bucket(shop: Environment) -> None:
    aws = in_buckets(shop)
    bucket = Maker(aws, EXPIRED, "one").bucket("holdfast-test-one-eu-central-1-0123-state")
    prod = {"Project": "holdfast", "Environment": "prod", "ManagedBy": "cdktf"}
    aws.client("s3").put_object(Bucket=bucket, Key="test-one-network.tfstate", Body=content(prod))
    removal = Removal(aws, judge, list, lambda sentence: None, pace=AT_ONCE)
    assert [it.id for it in removal.carry_out(removal.look())[1]] == [bucket]


def test_what_an_earlier_run_left_takes_no_file_of_the_one_that_is_there(shop: Environment, folder: Path) -> None:
    aws = in_buckets(shop)
    bucket = Maker(aws, {**EXPIRED, "Run": "r0"}, "one").bucket("holdfast-test-one-eu-central-1-0123-state")
    store(folder, expires="2099-01-01T12:00:00Z")
    file = files.path("test-one")
    file.write_text("\n".join(line for line in file.read_text().splitlines() if not line.startswith("cloud:")) + "\n")
    said: list[str] = []
    removal = Removal(aws, judge, files.stored, said.append, pace=AT_ONCE)
    assert removal.carry_out(removal.look())[1] == []
    assert said == [f"test-one: removing bucket {bucket}"]
    assert [it.name for it in files.stored()] == ["test-one"]


def test_terraform_is_first_and_asked_again_after_the_sweep(
    cloud: Cloud, stored: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = local("test-one-network", content(EXPIRED))
    volume = Maker(cloud, EXPIRED, "one").volume()
    calls: list[tuple[str, bool]] = []

    def destroy(place: Place, *, patience: float, lock: bool) -> None:
        there = any(it.kind.name == "volume" for it in look(cloud, judge, []).going)
        calls.append((place.stack, there))
        if there:
            raise DestroyFailed("something is in the way")
        file.write_text(content())

    monkeypatch.setattr("holdfast.ops.destroy.destroy", destroy)
    said: list[str] = []
    removal = Removal(cloud, judge, files.stored, said.append, pace=AT_ONCE)
    seen, left = removal.carry_out(removal.look())
    assert (left, seen.ending) == ([], [])
    assert calls == [("test-one-network", True), ("test-one-network", False)]
    assert said[:3] == [
        "test-one: terraform destroy of test-one-network (1 recorded)",
        "something is in the way",
        f"test-one: removing volume {volume}",
    ]
    assert not file.exists()
    assert files.stored() == []


def test_a_state_that_cannot_be_destroyed_survives_with_what_terraform_said(
    cloud: Cloud, stored: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = local("test-one-network", content(EXPIRED))

    def destroy(place: Place, **how: Any) -> None:
        raise DestroyFailed("no provider")

    monkeypatch.setattr("holdfast.ops.destroy.destroy", destroy)
    removal = Removal(cloud, judge, files.stored, lambda sentence: None, pace=AT_ONCE)
    left = removal.carry_out(removal.look())[1]
    assert [(it.kind, it.id, it.reason) for it in left] == [
        ("state", "test-one-network", "no provider"),
        ("file", str(files.path("test-one")), "expired 2 h 0 min ago"),
    ]
    assert file.exists()


def in_buckets(shop: Environment) -> Cloud:
    """The same account, whose states are where those of AWS are."""
    cloud = Cloud({shop.region: shop})
    cloud.endpoint = None
    return cloud


@pytest.fixture
def stored(folder: Path, shop: Environment) -> Environment:
    """`test-one`, which has a file and has expired."""
    return store(folder, expires="2026-01-01T12:00:00Z")
