"""The commands: what they refuse, what they say, and what they end with."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from holdfast import cli
from holdfast.ops.teststacks import cdktf, clouds, files, removal
from holdfast.ops.teststacks.clouds import Cloud
from holdfast.ops.teststacks.sweep import Pace
from holdfast.topology import names
from holdfast.twin.api import Api
from tests.unit.teststacks.makers import EXPIRED, LATER, Maker, store


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what would have been deployed: Terraform is not needed here (tests/terraform has it)."""
    done: list[str] = []
    monkeypatch.setattr(cdktf, "deploy", lambda environment, file: done.append(environment.name))
    return done


def run(capsys: pytest.CaptureFixture[str], *arguments: str, expect: int = 0) -> Any:
    assert cli.main([*arguments, "--json"]) == expect
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, expect: int) -> str:
    assert cli.main(arguments) == expect
    return capsys.readouterr().err


UP = ("teststack", "up", "one", "--from", "shop", "--ttl", "4h")


def volumes(cloud: Cloud) -> set[str]:
    return {it["VolumeId"] for it in cloud.client("ec2").describe_volumes()["Volumes"]}


def test_up_decides_once_writes_the_file_and_deploys(
    folder: Path, deployed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = datetime.now(UTC)
    told = run(capsys, *UP, "--owner", "alice", "--run", "r7")
    assert deployed == ["test-one"]
    assert (told["name"], told["tags"]["Owner"], told["tags"]["Run"]) == ("test-one", "alice", "r7")
    expires = datetime.fromisoformat(told["tags"]["Expires"])
    assert timedelta(hours=4) - timedelta(seconds=1) < expires - before < timedelta(hours=4, seconds=30)
    assert [names.tags(it) for it in files.stored()] == [told["tags"]]
    again = run(capsys, *UP[:-1], "2d", "--owner", "bob")
    assert again == told
    assert deployed == ["test-one"] * 2


def test_up_says_what_it_will_do_before_it_does_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr(cdktf, "deploy", lambda environment, file: said.append(capsys.readouterr().err))
    assert cli.main([*UP, "--owner", "alice", "--run", "r7"]) == 0
    assert said[0].startswith("test-one: like shop, of alice, run r7, in 10.")
    assert "may be reaped from 20" in said[0]


def test_up_keeps_clear_of_every_network_of_the_account(
    cloud: Cloud, deployed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(capsys, *UP)["cidr"]
    files.remove("test-one")
    cloud.client("ec2").create_vpc(CidrBlock=first)
    assert run(capsys, *UP)["cidr"] != first


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "other"}, "test-one is there already, like other and not like shop"),
        ({"expires": "2026-01-01T12:00:00Z"}, "test-one is there already, and expired at 2026-01-01T12:00:00Z"),
    ],
)
def test_up_leaves_another_one_of_the_name_alone(
    folder: Path, deployed: list[str], capsys: pytest.CaptureFixture[str], change: dict[str, str], said: str
) -> None:
    store(folder, **change)
    text = files.path("test-one").read_text()
    message = refused(capsys, *UP, expect=1)
    assert said in message
    assert "holdfast teststack down test-one" in message
    assert (deployed, files.path("test-one").read_text()) == ([], text)


@pytest.mark.parametrize(
    "arguments",
    [UP, ("teststack", "down", "one"), ("reap",), ("reap", "--yes")],
    ids=["up", "down", "reap", "reap --yes"],
)
def test_in_an_account_that_is_not_on_the_list_nothing_is_done(
    cloud: Cloud, folder: Path, deployed: list[str], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    if arguments != UP:
        store(folder, expires="2026-01-01T12:00:00Z")
    volume = Maker(cloud, EXPIRED, "one").volume()
    (folder / clouds.ACCOUNTS).write_text("# nobody's\n210987654321\n")
    message = refused(capsys, *arguments, expect=1)
    assert "the account 123456789012 is not on the list of" in message
    assert "(210987654321); nothing was done there" in message
    assert volumes(cloud) == {volume}
    assert (deployed, len(files.stored())) == ([], int(arguments != UP))


def test_without_a_list_no_account_is_on_it_and_a_wrong_line_is_named(
    cloud: Cloud, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / clouds.ACCOUNTS).unlink()
    assert "which is empty" in refused(capsys, "reap", expect=1)
    (folder / clouds.ACCOUNTS).write_text("prod\n")
    assert "found 'prod'; accepted: an account's id of 12 digits" in refused(capsys, "reap", expect=1)


def test_reap_is_a_dry_run_unless_told(cloud: Cloud, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    volume = Maker(cloud, EXPIRED, "one").volume()
    before = api.generation
    (told,) = run(capsys, "reap")["clouds"]
    assert [it["id"] for it in told["goes"]["resources"]] == [volume]
    assert (told["removed"], told["account"], api.generation) == ([], "123456789012", before)
    assert cli.main(["reap"]) == 0
    text = capsys.readouterr().out
    assert "goes: test-one: what is left of its tags (now 1 volume)" in text
    assert text.endswith("nothing was done; to do it: holdfast reap --yes\n")
    assert volumes(cloud) == {volume}


def test_reap_removes_what_has_expired_and_tells_what_it_refuses(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, stays = Maker(cloud, EXPIRED, "one").volume(), Maker(cloud, LATER, "two").volume()
    wrong = Maker(cloud, {**EXPIRED, "Expires": "soon"}, "three").volume()
    (told,) = run(capsys, "reap", "--yes")["clouds"]
    assert told["removed"] == [f"volume {gone}"]
    assert [(it["id"], it["reason"]) for it in told["refused"]] == [(wrong, "its expiry 'soon' cannot be read")]
    assert (told["survivors"], told["stays"]) == ([], ["test-one"])
    assert volumes(cloud) == {stays, wrong}
    (again,) = run(capsys, "reap", "--yes")["clouds"]
    assert again["removed"] == []


def test_what_survives_reap_makes_its_exit_code(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Maker(cloud, EXPIRED, "one")
    instance = make.instance()
    make.ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": True})
    monkeypatch.setattr(removal, "Removal", partial(removal.Removal, pace=Pace(pauses=())))
    (told,) = run(capsys, "reap", "--yes", expect=1)["clouds"]
    assert [it["id"] for it in told["survivors"]] == [instance]


def test_leftovers_are_told_with_their_reasons_and_make_the_exit_code(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    Maker(cloud, LATER, "two").volume()
    assert run(capsys, "leftovers")["clouds"][0]["survivors"] == []
    make = Maker(cloud, EXPIRED, "one")
    subnet = make.subnet()
    stray = make.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    wrong = Maker(cloud, {**EXPIRED, "Run": ""}, "three").volume()
    (told,) = run(capsys, "leftovers", expect=1)["clouds"]
    reasons = {it["id"]: it["reason"] for it in told["survivors"]}
    assert set(reasons) == {subnet, wrong}
    assert reasons[subnet].startswith("expired ")
    assert reasons[subnet].endswith(f" ago; held by {stray}")
    assert reasons[wrong] == "it has no tag Run"
    assert cli.main(["leftovers"]) == 1
    assert f"left: test-one: volume {wrong}: it has no tag Run" in capsys.readouterr().out


def test_a_key_that_waits_is_told_and_is_no_leftover(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    key = Maker(cloud, EXPIRED, "one").key()
    assert run(capsys, "reap", "--yes")["clouds"][0]["waiting"][0]["id"] == key
    (told,) = run(capsys, "leftovers")["clouds"]
    assert [it["id"] for it in told["waiting"]] == [key]
    assert told["waiting"][0]["note"].startswith("to be deleted on 20")


def test_down_takes_what_has_exactly_its_tags_before_it_expires(
    cloud: Cloud, folder: Path, deployed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    tags = run(capsys, *UP)["tags"]
    own, other = Maker(cloud, tags, "own").volume(), Maker(cloud, {**tags, "Environment": "test-two"}, "o").volume()
    told = run(capsys, "teststack", "down", "one")
    assert (told["removed"], told["survivors"]) == ([f"volume {own}"], [])
    assert (volumes(cloud), files.stored()) == ({other}, [])
    message = refused(capsys, "teststack", "down", "one", expect=2)
    assert "test-one: found no file" in message
    assert "holdfast reap" in message


def test_down_refuses_another_run_of_the_name(
    cloud: Cloud, folder: Path, deployed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    tags = run(capsys, *UP)["tags"]
    other = Maker(cloud, {**tags, "Run": "another"}, "other").volume()
    told = run(capsys, "teststack", "down", "one", expect=1)
    assert [(it["id"], it["reason"]) for it in told["refused"]] == [
        (other, f"its tag Run is another, not {tags['Run']}")
    ]
    assert volumes(cloud) == {other}


def test_ls_knows_test_stacks_by_their_files_and_by_their_tags(
    cloud: Cloud, folder: Path, deployed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["teststack", "ls"]) == 0
    assert capsys.readouterr().out == "no test stacks\n"
    tags = run(capsys, *UP, "--owner", "alice")["tags"]
    Maker(cloud, {**EXPIRED, "Environment": "test-elsewhere"}, "two").volume()
    here, elsewhere = reversed(run(capsys, "teststack", "ls")["clouds"][0]["teststacks"])
    assert here == {
        "name": "test-one",
        "from": "shop",
        "owner": "alice",
        "run": tags["Run"],
        "expires": tags["Expires"],
        "when": here["when"],
        "resources": 0,
        "refused": 0,
        "recorded": 0,
        "file": True,
    }
    assert here["when"].startswith("expires in ")
    assert (elsewhere["name"], elsewhere["resources"], elsewhere["file"]) == ("test-elsewhere", 1, False)
    assert elsewhere["when"].startswith("expired ")
    assert cli.main(["teststack", "ls"]) == 0
    assert "test-elsewhere" in capsys.readouterr().out


def test_a_cloud_that_does_not_run_is_left_out_unless_something_is_said_to_be_there(
    folder: Path, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.stop()
    assert cli.main(["leftovers"]) == 0
    assert "does not answer, and no test stack here says to be there: left out" in capsys.readouterr().err
    store(folder)
    assert cli.main(["leftovers"]) == 1
    assert "is the twin up?" in capsys.readouterr().err


def test_only_the_cloud_that_is_named_is_looked_at(
    cloud: Cloud, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    text = (folder / "shop.yaml").read_text()
    aws = "\n".join(line for line in text.splitlines() if not line.startswith("cloud:"))
    (folder / "real.yaml").write_text(aws.replace("name: shop", "name: real") + "\n")
    told = run(capsys, "leftovers", expect=1)["clouds"]
    assert [it["cloud"] for it in told] == ["AWS in eu-central-1", str(cloud)]
    assert "set AWS_PROFILE" in told[0]["error"]
    assert (told[1]["error"], told[1]["survivors"]) == (None, [])
    assert len(run(capsys, "leftovers", "--cloud", "shop")["clouds"]) == 1
