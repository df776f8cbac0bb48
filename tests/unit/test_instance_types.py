"""Facts of instance types: what is built in, what is pinned, and what EC2 is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.drill.emulated import emulated
from holdfast.errors import HoldfastError
from holdfast.mirror import REPOSITORY
from holdfast.topology import InvalidEnvironment, load_environment, pinned_types, pins
from holdfast.topology.instances import BUILT_IN, TABLE, described
from holdfast.topology.load import load_draft
from holdfast.topology.pinned_types import PinnedType
from holdfast.twin.api import Api
from holdfast.twin.api.instances import INSTANCE_TYPES

SHOP = """\
name: shop
region: eu-central-1
zones: [a, b, c]
network: {{cidr: 10.40.0.0/16}}
images: baked
machines: {{node: {{type: {type}}}}}
redis: {{memory: {memory}}}
cloud: {{endpoint: "{endpoint}", node_endpoint: "http://198.51.100.1:5599", suffix: shop1}}
protected: false
"""

NEW = PinnedType(
    memory=16384, vcpus=4, addresses=15, arch="arm64", ebs_optimized=True, burstable=False, source="a test"
)


def shop(folder: Path, type: str = "m11g.xlarge", memory: str = "8GB", endpoint: str = "http://127.0.0.1:1") -> Path:
    file = folder / "shop.yaml"
    file.write_text(SHOP.format(type=type, memory=memory, endpoint=endpoint))
    return file


def problems(file: Path, folder: Path) -> str:
    with pytest.raises(InvalidEnvironment) as error:
        load_environment(file, folder)
    return str(error.value)


def test_the_table_is_what_ec2_says_of_these_types() -> None:
    made = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "instance_types.py"], text=True, capture_output=True, check=True
    )
    assert made.stdout == TABLE.read_text(), "run: .venv/bin/python scripts/instance_types.py > " + str(TABLE)
    assert {name: described(INSTANCE_TYPES[name]) for name in BUILT_IN} == BUILT_IN


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("t3.small", "2 vCPUs, 2048 MiB, 4 addresses, amd64, burstable, EBS-optimised"),
        ("t8i.small", "2 vCPUs, 2048 MiB, 4 addresses, amd64, burstable, EBS-optimised"),
        ("c7g.medium", "1 vCPU, 2048 MiB, 4 addresses, arm64, EBS-optimised"),
        ("m8g.large", "2 vCPUs, 8192 MiB, 10 addresses, arm64, EBS-optimised"),
        ("r8g.xlarge", "4 vCPUs, 32768 MiB, 15 addresses, arm64, EBS-optimised"),
        ("i4i.2xlarge", "8 vCPUs, 65536 MiB, 15 addresses, amd64, EBS-optimised"),
    ],
)
def test_current_families_are_built_in(name: str, says: str) -> None:
    assert BUILT_IN[name].says == says


def test_a_type_that_runs_no_linux_image_is_of_no_use() -> None:
    with pytest.raises(ValueError, match="it is of arm64_mac; accepted: a type of x86_64 or arm64"):
        described(INSTANCE_TYPES["mac2.metal"])
    assert described(INSTANCE_TYPES["t2.micro"]).ebs_optimized is False


def test_a_type_that_is_not_known_is_refused_with_what_to_do_and_taken_once_it_is_pinned(tmp_path: Path) -> None:
    file = shop(tmp_path)
    found = problems(file, tmp_path)
    assert "machines.node.type: found 'm11g.xlarge'; accepted: a known instance type, such as m9g.xlarge or " in found
    assert "for one of EC2's that is not known yet: holdfast images update shop" in found
    pinned_types.write("shop", {"m11g.xlarge": NEW}, tmp_path)
    environment = load_environment(file, tmp_path)
    assert environment.machines["node"].instance == NEW.facts
    assert pins.key(environment, environment.machines["node"]) == "debian-12/baked/arm64"
    # Another environment asks for itself.
    file.write_text(file.read_text().replace("name: shop", "name: other"))
    assert "holdfast images update other" in problems(file.rename(tmp_path / "other.yaml"), tmp_path)


def test_what_is_pinned_counts_and_not_what_is_built_in(tmp_path: Path) -> None:
    file = shop(tmp_path, type="m7g.xlarge")
    assert load_environment(file, tmp_path).machines["node"].instance.memory == 16384
    smaller = PinnedType.of(BUILT_IN["m7g.large"], "a test")
    pinned_types.write("shop", {"m7g.xlarge": smaller}, tmp_path)
    assert "redis.memory: found 8192MB on m7g.xlarge, which has 8192MB" in problems(file, tmp_path)


def test_a_test_stack_has_the_types_of_the_environment_that_it_is_like(tmp_path: Path) -> None:
    pinned_types.write("shop", {"m11g.xlarge": NEW}, tmp_path)
    teststack = "teststack: {source: shop, owner: me, run: one, expires: 2026-12-31T16:00:00Z}\n"
    file = tmp_path / "test-one.yaml"
    file.write_text(shop(tmp_path).read_text().replace("name: shop", "name: test-one") + teststack)
    assert load_environment(file, tmp_path).machines["node"].instance == NEW.facts


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("{", "Invalid JSON"),
        ('{"shop": {"m11g.xlarge": {"memory": "much"}}}', r"shop\.m11g\.xlarge\.\w+: "),
        ('{"shop": {"m11g.xlarge": {"memory": 0}}}', r"shop\.m11g\.xlarge\.memory: .* greater than or equal to 1"),
    ],
)
def test_a_damaged_file_of_pinned_types_is_named(tmp_path: Path, content: str, found: str) -> None:
    (tmp_path / "types.lock.json").write_text(content)
    with pytest.raises(HoldfastError, match=rf"types\.lock\.json: found no valid facts of instance types \(.*{found}"):
        load_environment(shop(tmp_path), tmp_path)


def test_a_draft_may_name_unknown_types_and_nothing_else_that_is_wrong(tmp_path: Path) -> None:
    assert load_draft(shop(tmp_path), tmp_path).machines["node"].type == "m11g.xlarge"
    with pytest.raises(InvalidEnvironment) as error:
        load_draft(shop(tmp_path, type="Large", memory="much"), tmp_path)
    assert [problem.path for problem in error.value.problems] == ["machines.node.type", "redis.memory"]


@pytest.fixture
def api() -> Iterator[Api]:
    with emulated() as api:
        yield api


def update(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("holdfast"), "images", "update", "shop", *more],
        env=dict(os.environ, HOLDFAST_ENVIRONMENTS_DIR=str(folder)),
        text=True,
        capture_output=True,
        check=False,
    )


def test_one_command_pins_images_and_what_ec2_says_of_the_types(api: Api, tmp_path: Path) -> None:
    assert "g4dn.xlarge" not in BUILT_IN
    file = shop(tmp_path, type="g4dn.xlarge", endpoint=api.url)
    done = update(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    changed: dict[str, Any] = json.loads(done.stdout)
    assert set(changed) == {"g4dn.xlarge", "debian-12/baked/amd64"}
    pinned = json.loads((tmp_path / "types.lock.json").read_text())["shop"]["g4dn.xlarge"]
    assert pinned.pop("source").startswith("EC2 DescribeInstanceTypes in eu-central-1, ")
    assert pinned == {
        "memory": 16384, "vcpus": 4, "addresses": 10, "arch": "amd64", "ebs_optimized": True, "burstable": False
    }  # fmt: skip
    assert load_environment(file, tmp_path).machines["node"].instance.vcpus == 4
    # Asked again, nothing moves.
    before = (tmp_path / "types.lock.json").read_bytes()
    assert json.loads(update(tmp_path, "--json").stdout) == {}
    assert (tmp_path / "types.lock.json").read_bytes() == before


@pytest.mark.parametrize(
    ("type", "memory", "code", "says"),
    [
        ("m11g.xlarge", "8GB", 1, "eu-central-1 has not all of the types that machines name (m11g.xlarge)"),
        ("mac2.metal", "8GB", 1, "mac2.metal cannot be a machine's type: it is of arm64_mac"),
        ("g4dn.xlarge", "16GB", 2, "redis.memory: found 16384MB on g4dn.xlarge, which has 16384MB"),
    ],
)
def test_a_type_that_will_not_do_is_told_in_words(
    api: Api, tmp_path: Path, type: str, memory: str, code: int, says: str
) -> None:
    shop(tmp_path, type=type, memory=memory, endpoint=api.url)
    done = update(tmp_path)
    assert done.returncode == code
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
