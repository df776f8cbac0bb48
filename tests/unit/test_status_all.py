"""`holdfast status --all`: a line for each environment, and what is wrong with one costs the others nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ProfileNotFound

from holdfast import cli
from holdfast.cli.show_all import all_view
from holdfast.ops import cloud, glance
from holdfast.ops.glance import Glance, Image, Program, State, look_at_all
from holdfast.ops.reports import Killed, Report, Software, Unreadable
from holdfast.ops.status import work_out
from holdfast.plain import Terminal
from holdfast.rendering import program
from holdfast.topology import Cluster, load_environment, names, pins
from holdfast.topology import load as loading
from tests.unit.conftest import ENVIRONMENTS
from tests.unit.test_reports import HEALTHY_LEADER
from tests.unit.test_status import healthy

HERE, OTHER = program().sha256, "f" * 64
TODAY = datetime.now(UTC).date()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of environment files, which the commands use."""
    monkeypatch.setattr(loading, "ENVIRONMENTS", tmp_path)
    return tmp_path


def add(folder: Path, name: str) -> Path:
    """An environment like `local`."""
    file = folder / f"{name}.yaml"
    file.write_text((ENVIRONMENTS / "local.yaml").read_text().replace("name: local", f"name: {name}"))
    return file


def pin(folder: Path, name: str, image: str = "ami-1", built: str = "") -> None:
    made = pins.Pin(image, f"holdfast-debian-12-amd64-{built or 'ours'}", "a test")
    pins.write(load_environment(folder / f"{name}.yaml"), {"debian-12/baked/amd64": made}, folder)


Reports = dict[str, Report | Unreadable]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says what is read of an environment: reports of nodes like those of `local`, or an error."""
    answers: dict[str, Reports | Exception] = {}

    def look(cluster: Cluster) -> Any:
        name = cluster.environment.name
        answer = answers[name]
        if isinstance(answer, Exception):
            raise answer
        return work_out(cluster, {node.replace("local", name): renamed(it, name) for node, it in answer.items()})

    monkeypatch.setattr(glance, "look", look)
    return answers.__setitem__


def renamed(report: Report | Unreadable, name: str) -> Report | Unreadable:
    return replace(report, node=report.node.replace("local", name)) if isinstance(report, Report) else report


def running(programs: list[str | None], images: list[str | None] | None = None) -> Reports:
    """Healthy nodes that run these; an image of None: the node does not say what is installed."""
    return {
        node: replace(report, program=sha256, software=Software("6.1", image, {}) if image else None)
        for (node, report), sha256, image in zip(healthy().items(), programs, images or [None] * 3, strict=True)
    }


def shown(glances: list[Glance]) -> str:
    console = Terminal(file=StringIO(), width=120)
    console.print(all_view(glances))
    assert isinstance(console.file, StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


def test_one_line_each_the_worst_first_with_its_worst_news(
    folder: Path, said: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("away", "mute", "lost", "old", "told", "well"):
        add(folder, name)
    (folder / "broken.yaml").write_text("name: broken\nzones: [a]\n")
    pin(folder, "well", built=f"{TODAY - timedelta(days=12):%Y%m%d}-2257")
    pin(folder, "old", "ami-2", built=f"{TODAY - timedelta(days=400):%Y%m%d}")
    said("well", running([HERE] * 3, ["ami-1"] * 3))
    said("old", running([OTHER, HERE, HERE], ["ami-1"] * 3))
    killed = healthy()
    killed["local-b1"] = replace(killed["local-b1"], killed=Killed(time.time() - 200, 1229))
    said("told", killed)
    said("lost", {node: it for node, it in healthy().items() if node != "local-c1"})
    said("mute", {})
    said("away", cloud.CloudError("away: reading the nodes' reports failed at AWS: timed out"))
    assert cli.main(["status", "--all"]) == 1
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "4 of 7 environments not healthy: mute, lost, away, broken",
        "",
        "environment  state         leader   nodes   Holdfast                          image",
        "mute         not healthy   –        0 of 3  unknown                           not pinned",
        "lost         not healthy   lost-a1  2 of 3  unknown                           not pinned",
        "away         unknown       –        –       unknown                           not pinned",
        "broken       invalid file  –        –       unknown                           unknown",
        "told         healthy       told-a1  3 of 3  unknown                           not pinned",
        f"old          healthy       old-a1   3 of 3  {', '.join(sorted([HERE[:8], OTHER[:8]]))} (not as here)  "
        "400 d, another runs",
        f"well         healthy       well-a1  3 of 3  {HERE[:8]} (as here)                12 d",
        "",
        "mute: no leader (and 5 more: holdfast status mute)",
        "lost: lost-c1: unknown, has never reported (and 1 more: holdfast status lost)",
        "away: reading the nodes' reports failed at AWS: timed out",
        "broken: region: found nothing; accepted: a value; it has no default (and 4 more: holdfast validate broken)",
        "told: told-b1: Redis was killed for memory 3 min ago, limit 1.2 GiB",
    ]


def test_programs_get_the_same_as_json(
    folder: Path, said: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "shop")
    said("shop", running([HERE] * 3))
    assert cli.main(["status", "--all", "--json"]) == 0
    (line,) = (answer := json.loads(capsys.readouterr().out))["environments"]
    assert answer["healthy"] is True
    assert line == {
        "environment": "shop",
        "state": "healthy",
        "news": [],
        "leader": "shop-a1",
        "well": 3,
        "nodes": 3,
        "program": {"sha256": [HERE], "here": True},
        "image": None,
    }


def test_without_environments_it_says_where_they_belong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images.lock.json").write_text("{}")
    assert cli.main(["status", "--all"]) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert "there is no NAME.yaml; write one, or name another folder in HOLDFAST_ENVIRONMENTS_DIR" in answer.err


def test_test_stacks_are_left_out(folder: Path, said: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    add(folder, "shop")
    said("shop", running([HERE] * 3))
    (folder / "teststacks").mkdir()
    (folder / "teststacks" / "test-pr-17.yaml").write_text("name: broken\n")
    assert cli.main(["status", "--all"]) == 0
    assert "1 of 1 environments healthy\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "news"),
    [
        ("", "(file): found an empty file; accepted: a YAML mapping with name, region, zones, …"),
        ("a: [", "(file): found no valid YAML: "),
        (b"\xff\xfe", "(file): found a file that cannot be read: "),
        (None, "(file): found a file that cannot be read: "),
    ],
)
def test_a_file_that_is_broken_costs_the_others_nothing(
    folder: Path, said: Callable[..., None], content: str | bytes | None, news: str
) -> None:
    files = [add(folder, "shop"), folder / "broken.yaml"]
    if content is None:
        files[1].mkdir()
    else:
        files[1].write_bytes(content if isinstance(content, bytes) else content.encode())
    said("shop", running([HERE] * 3))
    broken, shop = look_at_all(files)
    assert (shop.environment, shop.state) == ("shop", State.HEALTHY)
    assert (broken.environment, broken.state, broken.nodes) == ("broken", State.INVALID, None)
    assert broken.news[0].startswith(news)


@pytest.mark.parametrize(
    ("error", "news"),
    [
        (cloud.CloudError("shop: Unable to locate credentials; set AWS_PROFILE"), "Unable to locate credentials; set"),
        (ProfileNotFound(profile="nobody"), "ProfileNotFound: The config profile (nobody) could not be found"),
        (RuntimeError("no such thing"), "RuntimeError: no such thing"),
    ],
)
def test_whatever_is_raised_is_that_environments_own_line(
    folder: Path, said: Callable[..., None], error: Exception, news: str
) -> None:
    files = [add(folder, "lone"), add(folder, "shop")]
    said("lone", running([HERE] * 3))
    said("shop", error)
    shop, lone = look_at_all(files)
    assert lone.state is State.HEALTHY
    assert (shop.environment, shop.state, shop.nodes) == ("shop", State.UNKNOWN, 3)
    assert shop.news[0].startswith(news)


def test_one_that_does_not_answer_is_given_up_and_the_others_are_shown(
    folder: Path, said: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"shop{number}" for number in range(30)]
    files = [add(folder, name) for name in names]
    for name in names:
        said(name, running([HERE] * 3))
    answers, answer, end = glance.look, threading.Barrier(len(files) - 1), threading.Event()

    def look(cluster: Cluster) -> Any:
        if cluster.environment.name == "shop7":
            end.wait(60)
        else:
            # Passes only when all of them are asked at the same time.
            answer.wait(60)
        return answers(cluster)

    monkeypatch.setattr(glance, "look", look)
    began = time.monotonic()
    first, *others = look_at_all(files, patience=5)
    end.set()
    assert (first.environment, first.state) == ("shop7", State.UNKNOWN)
    assert first.news == ("its cloud did not answer within 5 s",)
    assert {it.state for it in others} == {State.HEALTHY}
    assert [it.environment for it in others] == sorted(set(names) - {"shop7"})
    assert time.monotonic() - began < 15


def test_the_command_ends_though_a_cloud_does_not_answer() -> None:
    program = f"""
import time
from pathlib import Path
from holdfast.ops import glance
glance.look = lambda _: time.sleep(120)
print([it.state.value for it in glance.look_at_all([Path({str(ENVIRONMENTS / "local.yaml")!r})], patience=0.1)])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("['unknown']\n", "")


@pytest.fixture
def deployed(prod: Any, folder: Path) -> Iterator[Path]:
    """`prod`, of which one node reports, beside `staging`, which is not deployed."""
    for name in ("prod", "staging"):
        shutil.copy(ENVIRONMENTS / f"{name}.yaml", folder)
    s3, bucket = boto3.client("s3", region_name="eu-central-1"), names.bucket(prod)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket=bucket, Key="reports/prod-a1.json", Body=json.dumps(HEALTHY_LEADER))
    yield folder


def test_what_is_in_the_cloud_is_read_for_each(deployed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--all", "--json"]) == 1
    seen = {it["environment"]: it for it in json.loads(capsys.readouterr().out)["environments"]}
    assert (seen["prod"]["state"], seen["prod"]["well"]) == ("not healthy", 1)
    assert seen["prod"]["program"] == {"sha256": [OTHER], "here": False}
    assert seen["staging"]["state"] == "not deployed"
    assert "deploy it: make deploy ENV=staging" in seen["staging"]["news"][0]


def test_a_bucket_that_is_gone_is_never_healthy(folder: Path, prod: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(ENVIRONMENTS / "prod.yaml", folder)
    assert cli.main(["status", "--all"]) == 1
    assert "1 of 1 environments not healthy: prod" in capsys.readouterr().out


def test_clients_are_made_one_at_a_time(prod: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One session makes them all, and is not for several threads."""
    at_once, most = 0, 0

    def client(*_: Any, **__: Any) -> object:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.01)
        at_once -= 1
        return object()

    monkeypatch.setattr(boto3, "client", client)
    threads = [threading.Thread(target=cloud.client, args=(prod, "s3")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


@pytest.mark.parametrize(
    ("programs", "found"),
    [
        ([HERE, HERE, HERE], Program((HERE,), here=True)),
        ([HERE, None, HERE], Program((HERE,), here=True)),
        ([OTHER, OTHER, OTHER], Program((OTHER,), here=False)),
        ([HERE, OTHER, HERE], Program(tuple(sorted([HERE, OTHER])), here=False)),
        ([None, None, None], None),
    ],
)
def test_which_program_runs_is_told_by_those_who_say_it(
    folder: Path, said: Callable[..., None], programs: list[str | None], found: Program | None
) -> None:
    file = add(folder, "shop")
    said("shop", running(programs))
    assert look_at_all([file])[0].program == found


@pytest.mark.parametrize(
    ("images", "runs", "says"),
    [
        (["ami-1", "ami-1", "ami-1"], True, "9 d"),
        (["ami-1", "ami-0", "ami-1"], False, "9 d, another runs"),
        (["ami-1", None, "ami-1"], None, "9 d"),
    ],
)
def test_the_pinned_image_has_an_age_and_may_not_be_what_runs(
    folder: Path, said: Callable[..., None], images: list[str | None], runs: bool | None, says: str
) -> None:
    file = add(folder, "shop")
    pin(folder, "shop", built=f"{TODAY - timedelta(days=9):%Y%m%d}-1")
    said("shop", running([HERE] * 3, images))
    (seen,) = look_at_all([file])
    assert seen.image == Image("ami-1", f"holdfast-debian-12-amd64-{TODAY - timedelta(days=9):%Y%m%d}-1", 9, runs)
    assert f"(as here)  {says}\n" in shown([seen])


@pytest.mark.parametrize("built", ["1", "20259999", "120250101", "202501012"])
def test_an_image_whose_name_has_no_date_has_no_age(folder: Path, said: Callable[..., None], built: str) -> None:
    file = add(folder, "shop")
    pin(folder, "shop", built=built)
    said("shop", running([HERE] * 3))
    (seen,) = look_at_all([file])
    assert seen.image is not None
    assert seen.image.days is None
    assert "age unknown" in shown([seen])


def test_the_oldest_image_is_the_one_that_is_shown(folder: Path, said: Callable[..., None]) -> None:
    file = folder / "tiered.yaml"
    text = (ENVIRONMENTS / "examples" / "tiered.yaml").read_text()
    file.write_text(re.sub(r"(gateway: .*image: )debian-12", r"\1debian-13", text))
    keys = ("debian-12/stock/amd64", "debian-13/stock/amd64")
    old, young = (pins.Pin(f"ami-{year}", f"debian-{year}0101-1", "a test") for year in (2024, 2025))
    said("tiered", {})
    for pinned in ((old, young), (young, old)):
        pins.write(load_environment(file, folder), dict(zip(keys, pinned, strict=True)), folder)
        image = look_at_all([file])[0].image
        assert image is not None
        assert image.id == "ami-2024"


def test_a_name_of_a_file_is_not_obeyed_by_the_terminal() -> None:
    text = shown([Glance("[red]\x1b[2J", State.UNKNOWN, ("[bold]\x1b[2J",))])
    assert "\n[red]\\x1b[2  unknown " in text
    assert "\n[red]\\x1b[2J: [bold]\\x1b[2J\n" in text
    assert "\x1b" not in text
