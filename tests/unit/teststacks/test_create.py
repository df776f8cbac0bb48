"""A test stack is like its environment, under a reserved name, in a network of its own, and all of it decided once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from holdfast.ops.teststacks import create, files
from holdfast.ops.teststacks.create import UsageError, Wish
from holdfast.topology import Cluster, Environment, environment_files, find_environment, load_environment, names, pins

ENVIRONMENTS = Path(__file__).parents[3] / "environments"
SOURCES = sorted([*ENVIRONMENTS.glob("*.yaml"), *ENVIRONMENTS.glob("examples/*.yaml")])

WISH = Wish(
    name="test-one",
    owner="alice",
    run="r1",
    decided=datetime(2026, 1, 1, 8, tzinfo=UTC),
    lifetime=timedelta(hours=4),
)


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.stem)
def test_it_is_like_its_environment_and_shares_no_name_with_it(file: Path, folder: Path) -> None:
    source = load_environment(file)
    made = files.write(create.content(source, WISH, [source.network.cidr]))
    assert load_environment(find_environment("test-one")) == made
    for same in ("region", "zones", "layout", "images", "machines", "redis", "durability"):
        assert getattr(made, same) == getattr(source, same)
    assert not made.network.cidr.overlaps(source.network.cidr)
    assert made.protected is False
    assert made.network.public is False
    assert (made.network.cidr in made.network.clients) is (source.network.cidr in source.network.clients)
    assert made.floating is None or made.floating != source.floating
    assert made.domain == (None if source.domain is None else "test-one.holdfast.internal")
    assert names.bucket(made) != names.bucket(source)
    assert {node.name for node in Cluster.of(made).nodes}.isdisjoint(node.name for node in Cluster.of(source).nodes)
    assert names.tags(made) == {
        "Project": "holdfast",
        "Environment": "test-one",
        "ManagedBy": "cdktf",
        "Owner": "alice",
        "Run": "r1",
        "Expires": "2026-01-01T12:00:00Z",
    }


def test_what_its_environment_has_for_itself_alone_it_has_not(shop: Environment) -> None:
    own = shop.model_dump() | {
        "redis": {"memory": "256MB"},
        "network": {
            "cidr": "10.40.0.0/16",
            "domain": "shop.internal",
            "floating": "100.127.0.0/31",
            "peered": ["10.128.0.0/10"],
        },
        "review": {"overrides": [{"rule": "volume-shrunk", "reason": "once", "expires": "2026-12-31"}]},
        # It lets a machine reach what is the source's alone.
        "cloud": shop.cloud.model_dump()
        | {"permissions_boundary": "arn:aws:iam::123456789012:policy/holdfast-shop-boundary"},
    }
    made = create.content(shop.model_validate(own), WISH, [])
    assert "domain" not in made["network"]
    assert "floating" not in made["network"]
    assert "review" not in made
    assert "permissions_boundary" not in made["cloud"]
    assert made["cloud"]["suffix"] != "shop1"
    assert IPv4Network(made["network"]["cidr"]).subnet_of(IPv4Network("10.192.0.0/10"))


def test_a_second_run_has_a_bucket_of_its_own(shop: Environment) -> None:
    first = create.content(shop, WISH, [])
    again = Wish(WISH.name, WISH.owner, "r2", WISH.decided, WISH.lifetime)
    assert first["cloud"]["suffix"] != create.content(shop, again, [])["cloud"]["suffix"]


def test_its_network_is_its_own_the_same_for_a_name_and_moves_aside() -> None:
    first = create.free_network("test-one", [])
    assert (first.prefixlen, create.free_network("test-one", [])) == (20, first)
    assert create.free_network("test-two", []) != first
    beside = create.free_network("test-one", [first])
    assert not beside.overlaps(first)
    assert beside.subnet_of(create.POOL)
    everything = [IPv4Network("10.128.0.0/9")]
    with pytest.raises(Exception, match="every /20 of 10.128.0.0/9 overlaps"):
        create.free_network("test-one", everything)


def test_its_images_are_those_of_its_environment(folder: Path, shop: Environment) -> None:
    pins.write(shop, {"debian-12/baked/amd64": pins.Pin("ami-1", "image", "a test")})
    made = files.write(create.content(shop, WISH, []))
    assert pins.image_id(made, made.machines["node"]) == "ami-1"
    pins.write(shop, {"debian-12/baked/amd64": pins.Pin("ami-2", "image", "a test")})
    assert pins.image_id(made, made.machines["node"]) == "ami-2"


def test_its_file_is_found_by_name_and_is_not_among_the_environments(folder: Path, shop: Environment) -> None:
    made = files.write(create.content(shop, WISH, []))
    assert files.stored() == [made]
    assert find_environment("test-one") == folder / "teststacks" / "test-one.yaml"
    assert [file.stem for file in environment_files()] == ["shop"]
    assert sorted(it.name for it in (folder / "teststacks").iterdir()) == ["test-one.yaml"]
    files.remove("test-one")
    files.remove("test-one")
    assert files.stored() == []


def test_a_file_that_would_have_problems_is_not_written(folder: Path, shop: Environment) -> None:
    content = create.content(shop, WISH, [])
    with pytest.raises(Exception, match="network.cidr"):
        files.write(content | {"network": {"cidr": "10.0.0.0/28"}})
    assert list((folder / "teststacks").iterdir()) == []


def test_the_repository_ignores_the_folder() -> None:
    assert "environments/teststacks/" in (ENVIRONMENTS.parent / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("given", ["one", "test-one"])
def test_the_prefix_may_be_left_out(given: str) -> None:
    assert create.full_name(given) == "test-one"


@pytest.mark.parametrize("given", ["", "test-", "One", "one-", "-one", "a" * 16, "a b", "../x"])
def test_a_name_that_no_environment_can_have_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="accepted: 1 to 15 of a-z, 0-9 and -"):
        create.full_name(given)


@pytest.mark.parametrize(("given", "minutes"), [("1m", 1), ("90m", 90), ("4h", 240), ("7d", 7 * 24 * 60)])
def test_a_lifetime(given: str, minutes: int) -> None:
    assert create.lifetime(given) == timedelta(minutes=minutes)


@pytest.mark.parametrize("given", ["", "4", "4 h", "0m", "8d", "-1h", "0h", "99999d", "1w", "forever"])
def test_a_lifetime_of_no_use_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="accepted: from 1m to 7d, as 90m, 4h or 2d"):
        create.lifetime(given)


@pytest.mark.parametrize("given", ["", "a b", "Zoë", "a/b", "x" * 65])
def test_an_owner_that_is_no_tag_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="--owner"):
        create.label("--owner", given)


def test_a_test_stack_is_not_made_like_a_test_stack(folder: Path, shop: Environment) -> None:
    made = files.write(create.content(shop, WISH, []))
    with pytest.raises(UsageError, match="--from test-one: found a test stack"):
        create.content(made, WISH, [])


def test_the_tags_are_those_of_the_file_whenever_it_is_read(folder: Path, shop: Environment) -> None:
    made = files.write(create.content(shop, WISH, []))
    text = files.path("test-one").read_text()
    assert yaml.safe_load(text)["teststack"]["expires"] == "2026-01-01T12:00:00Z"
    assert names.tags(load_environment(files.path("test-one"))) == names.tags(made)
