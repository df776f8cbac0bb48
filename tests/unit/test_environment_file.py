"""An environment file is accepted whole or refused with every problem it has, and never with a traceback."""

import copy
import json
import random
import re
from datetime import date
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from holdfast import cli
from holdfast.topology import InvalidEnvironment, environment_files, load_environment, load_environments
from holdfast.topology.load import ENVIRONMENTS
from holdfast.topology.overrides import expired_overrides

VALID = yaml.safe_load(
    """
name: shop
region: eu-central-1
zones: [a, b, c]
network: {cidr: 10.60.0.0/16}
layout: compact
images: stock
machines: {node: {type: m6i.large, image: debian-12}}
redis: {memory: 4GB}
"""
)


def problems(tmp_path: Path, content: Any, name: str = "shop.yaml") -> dict[str, str]:
    file = tmp_path / name
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(InvalidEnvironment) as refused:
        load_environment(file)
    assert str(refused.value).startswith(f"{file}: ")
    return {problem.path: f"{problem.found} | {problem.accepted}" for problem in refused.value.problems}


def changed(path: str, value: Any) -> dict[str, Any]:
    content = copy.deepcopy(VALID)
    *parents, last = path.split(".")
    section = content
    for parent in parents:
        section = section[parent]
    section[last] = value
    return content


def test_a_production_file_of_at_most_15_lines_is_complete(tmp_path: Path) -> None:
    file = next(file for file in environment_files() if file.stem == "prod")
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) <= 15
    assert load_environment(file).redis.memory == 4096


def test_every_environment_in_the_repository_is_valid() -> None:
    assert {"local", "prod", "staging"} <= {environment.name for environment in load_environments()}


@pytest.mark.parametrize(
    ("path", "value", "found", "accepted"),
    [
        ("colour", "red", "an unknown key", "name, region, zones, network"),
        ("redis.maxmemory", "1GB", "an unknown key", "memory, eviction, persistence, durability"),
        ("redis.memory", "much", "'much'", "a size such as 512MB or 4GB"),
        ("redis.memory", 4096, "4096", "a size such as 512MB or 4GB"),
        ("redis.eviction", "never", "'never'", "'noeviction', 'allkeys-lru'"),
        ("region", 7, "7", "text; in quotes"),
        ("region", "eu-centrl-1", "'eu-centrl-1'", "a region of AWS, such as eu-central-1"),
        ("region", "nowhere", "'nowhere'", "a region of AWS, such as eu-central-1"),
        ("zones", [], "[]", "at least 1"),
        (
            "region",
            "cn-north-1",
            "'cn-north-1'",
            "those of China, of GovCloud and of sovereign clouds are not supported",
        ),
        ("region", "us-gov-west-1", "'us-gov-west-1'", "a region such as eu-central-1"),
        ("name", "Shop", "'Shop'", "3 to 20 small letters, digits and hyphens"),
        ("network.nat", "none", "'none'", "'zonal' or 'one'"),
        ("network.domain", f"{'d' * 63}.{'d' * 63}.{'d' * 63}.{'d' * 9}", "'ddd", "a domain such as prod"),
        ("network.cidr", "10.60.0.1/16", "'10.60.0.1/16'", "an IPv4 network such as 10.40.0.0/16"),
        ("network.cidr", "10.60.0.0/25", "10.60.0.0/25", "a network from /16 to /24"),
        ("network.cidr", "10.0.0.0/8", "10.0.0.0/8", "a network from /16 to /24"),
        ("network.cidr", "8.8.0.0/16", "8.8.0.0/16, a public range", "a private range"),
        ("zones", ["a", "b"], "3 nodes over 2 zones: losing one zone may take 2 of 3", "three or more zones"),
        ("zones", ["a", "b", "c", "d"], "4 zones for 3 nodes", "at most 3 zones"),
        ("machines.node.type", "t3.hugh", "'t3.hugh'", "a known instance type, such as t3.large"),
        ("machines.node.type", "m6i.large", "40960MB on m6i.large, which has 8192MB", "at most 5783MB there"),
        ("machines.node.data_volume_gib", 3, "3 GiB for 4096MB", "at least 8"),
        ("layout", {"kind": "compact", "nodes": 4}, "4", "3 or 5"),
        ("cloud", {"endpoint": "http://127.0.0.1:5599"}, "nothing, and cloud.endpoint is", "the URL by which nodes"),
        ("failover", {"detection": 600}, "600", "a time such as 600ms or 5s"),
        ("failover", {"detection": "0.5s"}, "'0.5s'", "a time from 600ms to 30s"),
        ("failover", {"detection": "31s"}, "'31s'", "a time from 600ms to 30s"),
        ("backup", {"every": "5h"}, "'5h'", "'1h', '2h', '3h'"),
        ("backup", {"at": 780}, "780", 'a time of the day in UTC, in quotes, as "03:00"'),
        ("backup", {"at": "24:00"}, "'24:00'", "a time of the day in UTC"),
        ("backup", {"keep": {"daily": 0}}, "0", "greater than or equal to 1"),
        ("backup", {"keep": {"yearly": 1}}, "an unknown key", "daily, weekly, monthly"),
        ("tls", "always", "'always'", "'off', 'optional' or 'required'"),
        ("tls", {"mode": "optional", "mutual": True}, "true, with tls.mode: optional", "false, or tls.mode: required"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path_what_was_found_and_what_would_be_accepted(
    tmp_path: Path, path: str, value: Any, found: str, accepted: str
) -> None:
    content = changed(path, value)
    if path == "machines.node.type":
        content["redis"]["memory"] = "40GB"
    said = problems(tmp_path, content)
    reported = next(text for at, text in said.items() if at.startswith(path) or f"redis.memory {path}".startswith(at))
    assert found in reported
    assert accepted in reported


def test_a_type_whose_interface_holds_two_addresses_is_refused(tmp_path: Path) -> None:
    content = changed("machines.node.type", "t3.micro") | {"redis": {"memory": "256MB"}}
    said = problems(tmp_path, content)
    assert said == {
        "machines.node.type": "t3.micro, whose interface holds 2 addresses | a type that holds 3 (t3.small and larger)"
    }


def test_every_region_of_aws_is_accepted_and_none_of_another_partition(tmp_path: Path) -> None:
    session = botocore.session.get_session()
    regions = {region: part for part in session.get_available_partitions() for region in regions_of(session, part)}
    assert {"eu-central-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"}.items() <= regions.items()
    file = tmp_path / "shop.yaml"
    for region, partition in regions.items():
        file.write_text(yaml.safe_dump(changed("region", region)))
        if partition == "aws":
            assert load_environment(file).region == region
        else:
            assert "region" in problems(tmp_path, changed("region", region))


def regions_of(session: Any, partition: str) -> list[str]:
    return list(session.get_available_regions("ec2", partition))


@pytest.mark.parametrize(
    ("network", "layout", "taken"),
    [
        ({}, "compact", 3),
        ({"nat": "one"}, "compact", 1),
        ({"egress": "endpoints"}, "compact", 0),
        ({"public": True, "clients": ["203.0.113.7/32"]}, "compact", 9),
        ({"public": True, "clients": ["203.0.113.7/32"], "nat": "one"}, "single", 3),
    ],
)
def test_an_environment_says_how_many_elastic_ips_it_takes(
    tmp_path: Path, network: dict[str, Any], layout: str, taken: int, capsys: pytest.CaptureFixture[str]
) -> None:
    content = VALID | {"network": {"cidr": "10.60.0.0/16"} | network, "layout": layout, "tls": "required"}
    content |= {"images": "baked", "zones": ["a"] if layout == "single" else ["a", "b", "c"]}
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(content))
    assert load_environment(file).elastic_ips == taken
    assert cli.main(["validate", str(file)]) == 0
    assert (f"It takes {taken} of the Elastic IPs" in capsys.readouterr().out) is (taken > 0)


def test_one_nat_gateway_needs_the_way_out_that_has_any(tmp_path: Path) -> None:
    content = changed("network", {"cidr": "10.60.0.0/16", "egress": "endpoints", "nat": "one"}) | {"images": "baked"}
    assert problems(tmp_path, content) == {
        "network.nat": "one, with network.egress: endpoints, which has none | nothing, or egress: nat"
    }


def test_zones_that_repeat_are_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, changed("zones", ["a", "b", "b"]))["zones[2]"] == "b again | each zone once"


def test_overlapping_networks_are_refused(tmp_path: Path) -> None:
    content = changed("network.peered", ["10.0.0.0/8"])
    assert problems(tmp_path, content) == {
        "network.peered[0]": "10.0.0.0/8, which overlaps network.cidr 10.60.0.0/16 | networks apart from this one"
    }


@pytest.mark.parametrize(
    ("floating", "problem"),
    [
        ("10.60.255.0/31", "10.60.255.0/31, which overlaps network.cidr 10.60.0.0/16 | addresses outside of it"),
        ("10.99.0.0/31", "10.99.0.0/31, which overlaps network.peered 10.99.0.0/16 | addresses outside of it"),
        ("10.61.0.0/30", "10.61.0.0/30 | a pair of addresses, such as 100.127.0.0/31, or none"),
        ("9.9.9.8/31", "9.9.9.8/31, a public range | a private range (10/8, 172.16/12, 192.168/16) or 100.64.0.0/10"),
    ],
)
def test_a_floating_pair_that_another_route_would_lead_away_is_refused(
    tmp_path: Path, floating: str, problem: str
) -> None:
    content = changed("network", {"cidr": "10.60.0.0/16", "peered": ["10.99.0.0/16"], "floating": floating})
    assert problems(tmp_path, content) == {"network.floating": problem}


def test_sentinels_of_redis_6_0_are_open_to_no_client(tmp_path: Path) -> None:
    network = {"cidr": "10.60.0.0/16", "sentinel_clients": ["10.60.0.0/16"]}
    content = changed("network", network)
    content["machines"]["node"]["image"] = "ubuntu-22.04"
    assert problems(tmp_path, content) == {
        "machines.node.image": (
            "ubuntu-22.04, whose Sentinels (Redis 6.0) know no users, with network.sentinel_clients | "
            "a newer distribution, or no network.sentinel_clients: with the one password, all may do all"
        )
    }


def test_sentinels_of_redis_6_0_detect_nothing_within_a_second(tmp_path: Path) -> None:
    content = VALID | {"failover": {"detection": "1s"}}
    content["machines"] = {"node": VALID["machines"]["node"] | {"image": "ubuntu-22.04"}}
    assert problems(tmp_path, content) == {
        "failover.detection": (
            "1000ms, with ubuntu-22.04, whose Sentinels (Redis 6.0) ask once a second | "
            "at least 2500ms, or a newer distribution"
        )
    }


def test_an_application_is_no_user_of_ours_and_may_what_redis_can_tell_apart(tmp_path: Path) -> None:
    applications = {"node": {}, "renew": {}, "shop": {"channels": ["shop:*"]}}
    content = VALID | {"applications": applications}
    content["machines"] = {"node": VALID["machines"]["node"] | {"image": "ubuntu-22.04"}}
    assert problems(tmp_path, content) == {
        "applications.node": "it, which is a user of every environment | another name",
        "applications.renew": "it, which is a user of every environment | another name",
        "applications.shop.channels": (
            "some, on machines.node.image ubuntu-22.04, whose Redis 6.0 cannot limit them | nothing, or a newer "
            "distribution"
        ),
    }


@pytest.mark.parametrize(
    ("application", "path"),
    [
        ({"commands": ["admin"]}, "commands[0]"),
        ({"commands": []}, "commands"),
        ({"keys": ["a b"]}, "keys[0]"),
        ({"keys": ["#<admin>"]}, "keys[0]"),
        ({"password": "x"}, "password"),
    ],
    ids=["to administer", "nothing", "two keys", "a password's place", "a password"],
)
def test_an_application_may_be_given_no_more_than_there_is(
    tmp_path: Path, application: dict[str, Any], path: str
) -> None:
    assert list(problems(tmp_path, VALID | {"applications": {"shop": application}})) == [f"applications.shop.{path}"]


@pytest.mark.parametrize(
    ("application", "said"),
    [
        ({"presets": ["list-keys", "flush-database", "list-clients", "no-evict"]}, {}),
        ({"presets": ["list-keys", "list-keys"]}, {}),
        ({"keys": ["shop:*"], "presets": ["list-keys", "list-clients", "no-evict"]}, {}),
        ({"keys": ["shop:*", "*"], "presets": ["flush-database"]}, {}),
        ({"commands": ["read"], "presets": ["list-keys", "list-clients"]}, {}),
        ({"commands": ["keyspace"], "presets": ["list-keys", "flush-database"]}, {}),
        (
            {"keys": ["shop:*"], "presets": ["list-clients", "flush-database"]},
            {
                "presets[1]": "flush-database, with keys of its own: FLUSHDB deletes everybody's, and Redis cannot "
                "limit it | no flush-database, but SCAN and UNLINK for its own keys; or keys with *"
            },
        ),
        (
            {"commands": ["read", "pubsub"], "presets": ["flush-database"]},
            {
                "presets[0]": "flush-database, with commands [pubsub, read], to none of which FLUSHDB belongs | "
                "no flush-database, or commands with one of all, keyspace, write"
            },
        ),
        (
            {"commands": ["string"], "presets": ["list-keys"]},
            {
                "presets[0]": "list-keys, with commands [string], to none of which KEYS belongs | "
                "no list-keys, or commands with one of all, keyspace, read"
            },
        ),
        (
            {"keys": [], "presets": ["list-keys"]},
            {"presets[0]": "list-keys, without keys | no list-keys, or some keys"},
        ),
        (
            {"presets": ["config-get"]},
            {"presets[0]": "'config-get' | 'list-keys', 'flush-database', 'list-clients' or 'no-evict'"},
        ),
    ],
    ids=str,
)
def test_a_preset_goes_with_the_keys_and_commands_of_its_application(
    tmp_path: Path, application: dict[str, Any], said: dict[str, str]
) -> None:
    file = tmp_path / "shop.yaml"
    content = VALID | {"applications": {"shop": application}}
    file.write_text(yaml.safe_dump(content))
    if said:
        assert problems(tmp_path, content) == {f"applications.shop.{path}": text for path, text in said.items()}
    else:
        assert list(load_environment(file).applications["shop"].presets) == application["presets"]


def test_a_preset_that_its_redis_has_no_command_for_is_refused(tmp_path: Path) -> None:
    content = VALID | {"applications": {"shop": {"presets": ["list-clients", "no-evict"]}}}
    content["machines"] = {"node": VALID["machines"]["node"] | {"image": "ubuntu-22.04"}}
    assert problems(tmp_path, content) == {
        "applications.shop.presets[1]": "no-evict, on machines.node.image ubuntu-22.04, whose Redis 6.0 has no "
        "CLIENT NO-EVICT | no no-evict, or a newer distribution"
    }


@pytest.mark.parametrize(
    "pattern",
    [
        *("__sentinel__:hello", "__*", "**", "?*", "*:hello", "*o", "_?sentinel*", "__sentinel__?hello", "__s*"),
        *("[_]*", "[^a]*", "[A-z]*", "[z-A]*", "__[a-z]*", "[-_]_sentinel__:hello", "*[o", "*[^"),
        *(
            "__sentinel__:hell[^]",
            "__sentinel__:hell[a-z",
            "__[^key]*",
            "?" * 18,
            "*?" * 18,
            "*_" * 4 + "*",
            "__s[a-]e]ntinel__:*",
        ),
    ],
)
def test_no_pattern_lets_an_application_greet_sentinels(tmp_path: Path, pattern: str) -> None:
    """Each of them is one that Redis 7.0 and 8.0 take as matching."""
    content = VALID | {"applications": {"shop": {"channels": ["news", pattern]}}}
    assert problems(tmp_path, content) == {
        "applications.shop.channels[1]": (
            f"{pattern}, which matches __sentinel__:hello: who publishes there commands the Sentinels | "
            "* for all channels but those that begin with __s, or patterns that do not match that one, such as __key*"
        )
    }


@pytest.mark.parametrize(
    "pattern",
    [
        *("*", "news", "news:*", "__key*", "_", "_[^_]*", "__[^s]*", "__sentinel__", "__sentinel__:hello?", "*lo:"),
        *("__SENTINEL__:HELLO", "[]*", "*[", "[a-z]*", "[_", "[^_", "?" * 17, "?" * 19, "*[!-z]" * 30, "[!^]*"),
    ],
)
def test_other_patterns_of_channels_are_taken(tmp_path: Path, pattern: str) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(VALID | {"applications": {"shop": {"channels": [pattern]}}}))
    assert load_environment(file).applications["shop"].channels == (pattern,)


@pytest.mark.parametrize("account", [123456789012, 2747394, "12345678901", "1234567890123", "prod"])
def test_an_account_has_twelve_digits_and_keeps_its_zeros(tmp_path: Path, account: Any) -> None:
    """YAML reads 0012345678 as an octal number."""
    said = problems(tmp_path, VALID | {"cloud": {"account": account}})
    assert list(said) == ["cloud.account"]
    assert said["cloud.account"].endswith('an account\'s id, as "123456789012": 12 digits, in quotes')
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(VALID | {"cloud": {"account": "001234567890"}}))
    assert load_environment(file).cloud.account == "001234567890"


def test_applications_have_names_that_redis_takes_and_are_some(tmp_path: Path) -> None:
    found = problems(tmp_path, VALID | {"applications": {"My Shop": {}}})
    assert found.pop("applications.My Shop").startswith("'My Shop' | up to 31 small letters")
    assert problems(tmp_path, VALID | {"applications": {}}) == {
        "applications": "none | at least one, or no such key: then there is one, app"
    }
    assert problems(tmp_path, VALID | {"applications": {"shop": {"colour": 1}}}) == {
        "applications.shop.colour": "an unknown key | keys, channels, commands, presets, functions"
    }


def test_a_derived_floating_pair_says_that_nobody_chose_it(tmp_path: Path) -> None:
    content = changed("network", {"cidr": "10.60.0.0/16", "peered": ["100.64.0.0/10"]})
    (problem,) = problems(tmp_path, content).values()
    assert re.fullmatch(
        r"100\.127\.\d+\.\d+/31, by default, which overlaps network.peered 100.64.0.0/10 \| addresses outside of it",
        problem,
    )


def test_two_environments_of_one_region_may_not_overlap(tmp_path: Path) -> None:
    for name in ("shop", "stock"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(VALID | {"name": name}))
    with pytest.raises(InvalidEnvironment, match=r"stock.yaml.*\n.*10.60.0.0/16, which overlaps 10.60.0.0/16 of shop"):
        load_environments(tmp_path)


def test_stock_images_without_a_way_to_the_internet_are_refused(tmp_path: Path) -> None:
    said = problems(tmp_path, changed("network.egress", "endpoints"))
    assert said == {"images": "stock, with network.egress: endpoints | " + said["images"].split(" | ")[1]}
    assert "network.egress: nat" in said["images"]


def test_all_problems_of_a_file_come_at_once_wrong_types_and_broken_invariants_together(tmp_path: Path) -> None:
    content = changed("zones", ["a", "a", "c"]) | {"redis": {"memory": "lots"}, "surprise": 1}
    del content["region"]
    assert set(problems(tmp_path, content)) == {"zones[1]", "zones", "redis.memory", "surprise", "region"}


@pytest.mark.parametrize("text", ["", "- a list", "name: [", "a: 1\na: 2", "1: x", "\x00", "name: &a [*a]"])
def test_what_is_no_mapping_is_refused_as_a_file(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)


def test_a_file_under_another_name_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, VALID, name="other.yaml") == {"name": "shop in a file called other.yaml | other"}


TIERED = VALID | {
    "layout": {"kind": "tiered", "data": 2, "gateways": 3, "sentinels": 3},
    "machines": {"data": {"type": "m6i.large"}, "gateway+sentinel": {"type": "t3.small", "image": "debian-13"}},
}


@pytest.mark.parametrize("valid", [VALID, TIERED], ids=["compact", "tiered"])
def test_no_mutation_of_a_file_gives_anything_but_problems(tmp_path: Path, valid: dict[str, Any]) -> None:
    random.seed(20)
    values: list[Any] = [None, 1, -1, "x", [], {}, [1], {"a": 1}, True, 1.5, "10.0.0.0/8", "9999999GB", "\x00"]
    file = tmp_path / "shop.yaml"
    for _ in range(1500):
        content = copy.deepcopy(valid)
        for _ in range(random.randint(1, 4)):
            section: Any = content
            while isinstance(section, dict) and section:
                key = random.choice([*section, "surprise"])
                if random.random() < 0.5 or not isinstance(section.get(key), dict):
                    section[key] = copy.deepcopy(random.choice(values))
                    break
                section = section[key]
        file.write_text(json.dumps(content))
        try:
            load_environment(file)
        except InvalidEnvironment as refused:
            assert refused.problems


def overridden(**changed: str) -> Any:
    return changed_review([{"rule": "volume-shrunk", "reason": "looked at", "expires": "2026-12-31"} | changed])


def changed_review(overrides: list[dict[str, str]]) -> Any:
    return VALID | {"review": {"overrides": overrides}}


def test_an_override_names_a_risk_a_reason_and_a_day(tmp_path: Path) -> None:
    assert problems(tmp_path, overridden(rule="volume-shrinks"))["review.overrides[0].rule"].startswith(
        "'volume-shrinks' | 'data-destroyed', 'key-destroyed', "
    )
    assert set(problems(tmp_path, overridden(reason="", expires="soon"))) == {
        "review.overrides[0].reason",
        "review.overrides[0].expires",
    }
    assert problems(tmp_path, overridden(until="2027-01-01")) == {
        "review.overrides[0].until": "an unknown key | rule, reason, expires"
    }


def test_an_override_counts_up_to_its_last_day(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(overridden()))
    environment = load_environment(file)
    assert list(expired_overrides(environment, date(2026, 12, 31))) == []
    (problem,) = expired_overrides(environment, date(2027, 1, 1))
    assert str(problem) == (
        "review.overrides[0].expires: found 2026-12-31, which is past, for volume-shrunk; "
        "accepted: no such override, or a later date after looking again"
    )


def test_validate_names_an_expired_override(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(overridden(expires="2026-01-01")))
    assert cli.main(["validate", str(file)]) == 2
    assert "review.overrides[0].expires: found 2026-01-01, which is past" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("written", "mode"),
    [("off", "off"), ("required", "required"), ("{mode: off}", "off"), ("{mode: optional}", "optional")],
)
def test_tls_is_written_short_or_long_and_off_is_no_boolean(tmp_path: Path, written: str, mode: str) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(f"{yaml.safe_dump(VALID)}tls: {written}\n")
    assert load_environment(file).tls.mode == mode


@pytest.mark.parametrize(
    ("written", "every"), [("off", None), ('"off"', None), ("null", None), ("{}", 86400), ("{every: 4h}", 14400)]
)
def test_backups_are_off_unless_the_file_says_how_often(tmp_path: Path, written: str, every: int | None) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(f"{yaml.safe_dump(VALID)}backup: {written}\n")
    backup = load_environment(file).backup
    assert (backup.interval if backup else None) == every
    file.write_text(yaml.safe_dump(VALID))
    assert load_environment(file).backup is None


TIERED_MACHINES = {"data+sentinel": {"type": "m6i.large"}, "gateway": {"type": "t3.small"}}


@pytest.mark.parametrize(
    ("shape", "mode"),
    [
        ({"layout": "compact"}, "required"),
        ({"layout": "tiered", "machines": TIERED_MACHINES}, "required"),
        ({"layout": "single", "zones": ["a"]}, "off"),
    ],
    ids=["compact", "tiered", "single"],
)
def test_several_nodes_speak_tls_unless_the_file_says_off(tmp_path: Path, shape: dict[str, Any], mode: str) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(VALID | shape))
    assert (load_environment(file).tls.mode, load_environment(file).says_tls) == (mode, False)
    for written in ("off", "required"):
        file.write_text(yaml.safe_dump(VALID | shape | {"tls": written}))
        assert (load_environment(file).tls.mode, load_environment(file).says_tls) == (written, True)


@pytest.mark.parametrize("name", ["prod", "staging", "examples/tiered", "examples/encrypted", "examples/public"])
def test_what_is_copied_has_tls(name: str) -> None:
    environment = load_environment(ENVIRONMENTS / f"{name}.yaml")
    assert (environment.tls.mode, environment.says_tls) == ("required", True)


def test_a_tls_section_says_its_mode(tmp_path: Path) -> None:
    content = VALID | {"tls": {"mutual": True}, "surprise": 1}
    found = problems(tmp_path, content)
    assert found.keys() == {"tls.mode", "surprise"}
    assert found["tls.mode"] == "nothing | a value; it has no default"


READABLE = "Without TLS (tls: off), passwords and data are readable for whoever can read the network."


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"tls": "off"}, True),
        ({"layout": "single", "zones": ["a"]}, True),
        ({}, False),
        ({"tls": "optional"}, False),
        ({"tls": "required"}, False),
    ],
    ids=["off", "single", "default", "optional", "required"],
)
def test_validate_says_what_it_means_to_be_without_tls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shape: dict[str, Any], said: bool
) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(VALID | shape))
    assert cli.main(["validate", str(file)]) == 0
    assert (READABLE in " ".join(capsys.readouterr().out.split())) is said


OFFICE = "203.0.113.0/24"


@pytest.mark.parametrize(
    ("tls", "clients", "problem"),
    [
        ("off", [OFFICE], {"network.public": "true, with tls.mode: off | false, or tls.mode: required or optional"}),
        (
            "required",
            [],
            {
                "network.clients": "the network itself, with network.public: true | at least one network of the "
                "internet, or network.public: false"
            },
        ),
        (
            "required",
            ["10.60.0.0/16", "100.64.0.0/24"],
            {
                "network.clients": "10.60.0.0/16, 100.64.0.0/24, with network.public: true | at least one network of "
                "the internet, or network.public: false"
            },
        ),
        (
            "required",
            ["127.0.0.0/16", "239.1.0.0/16"],
            {
                "network.clients": "127.0.0.0/16, 239.1.0.0/16, with network.public: true | at least one network of "
                "the internet, or network.public: false"
            },
        ),
        (
            "required",
            [f"8.8.{part}.0/24" for part in range(41)],
            {"network.clients": "41 networks of the internet | at most 40"},
        ),
        (
            "required",
            [OFFICE, "0.0.0.0/0"],
            {"network.clients[1]": "0.0.0.0/0, with network.public: true | networks of the internet of /16 or smaller"},
        ),
    ],
)
def test_the_internet_is_let_in_with_tls_and_by_a_list(
    tmp_path: Path, tls: str, clients: list[str], problem: dict[str, str]
) -> None:
    content = changed("network", {"cidr": "10.60.0.0/16", "public": True, "clients": clients}) | {"tls": tls}
    assert problems(tmp_path, content) == problem
    content["network"]["public"] = False
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(content))
    assert load_environment(file).network.public_clients == ()


def test_the_internet_is_let_in_where_there_is_a_gateway_to_it(tmp_path: Path) -> None:
    network = {"cidr": "10.60.0.0/16", "public": True, "clients": [OFFICE], "egress": "endpoints"}
    content = changed("network", network) | {"tls": "required", "images": "baked"}
    assert problems(tmp_path, content) == {
        "network.public": "true, with network.egress: endpoints, which has no internet gateway | false, or "
        "network.egress: nat"
    }


def test_who_comes_by_a_peering_does_not_come_from_the_internet(tmp_path: Path) -> None:
    network = {"cidr": "10.60.0.0/16", "public": True, "clients": ["8.8.8.0/24"], "peered": ["8.8.0.0/16"]}
    (at, problem), *others = problems(tmp_path, changed("network", network) | {"tls": "required"}).items()
    assert others == []
    assert at == "network.clients"
    assert problem.startswith("8.8.8.0/24, with network.public: true")


@pytest.mark.parametrize("key", ["clients", "sentinel_clients"])
def test_a_network_is_listed_once(tmp_path: Path, key: str) -> None:
    content = changed("network", {"cidr": "10.60.0.0/16", key: [OFFICE, "10.60.0.0/16", OFFICE]})
    assert problems(tmp_path, content) == {f"network.{key}[2]": f"{OFFICE} again | each network once"}


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        ({"CostCentre": 4711}, {"tags.CostCentre": "4711 | text, in quotes"}),
        ({"CostCentre": ""}, {"tags.CostCentre": "'' | 1 to 256 letters, digits, spaces and _ . : / = + - @"}),
        ({"Cost": "c" * 257}, {"tags.Cost": f"'{'c' * 257}' | 1 to 256 letters, digits, spaces and _ . : / = + - @"}),
        ({"Cost": "a*b"}, {"tags.Cost": "'a*b' | 1 to 256 letters, digits, spaces and _ . : / = + - @"}),
        ({"Cost": "a${b}"}, {"tags.Cost": "'a${b}' | 1 to 256 letters, digits, spaces and _ . : / = + - @"}),
        ({"k" * 128: "x"}, {f"tags.{'k' * 128}": "1 to 127 letters, digits"}),
        ({"AWS:cost": "x"}, {"tags.AWS:cost": "does not begin with aws:"}),
        ({"Name": "x"}, {"tags.Name": "it, beside Name, which is Holdfast's own | another name"}),
        ({"node": "x"}, {"tags.node": "it, beside Node, which is Holdfast's own | another name"}),
        ({"ENVIRONMENT": "x"}, {"tags.ENVIRONMENT": "it, beside Environment, which is Holdfast's own"}),
        ({"Expires": "never"}, {"tags.Expires": "it, beside Expires, which is Holdfast's own"}),
        ({"holdfast:x": "x"}, {"tags.holdfast:x": "it, which begins with holdfast:, as what Terraform leaves alone"}),
        ({"Team": "x", "team": "y"}, {"tags.team": "it, beside Team | another name (case makes no difference)"}),
        ({f"tag{number}": "x" for number in range(36)}, {"tags": "36, beside those that Holdfast gives | at most 35"}),
    ],
)
def test_tags_that_aws_or_holdfast_would_not_bear_are_refused(
    tmp_path: Path, tags: dict[str, Any], problem: dict[str, str]
) -> None:
    found = problems(tmp_path, changed("tags", tags))
    assert found.keys() == problem.keys()
    for path, said in problem.items():
        assert said in found[path]


def test_a_team_s_own_tags_may_be_in_any_language_and_say_who_owns_it(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    tags = {"Owner": "shop@example.org", "Größe": "日本 1", "a:b/c=d+e-f.g": "_ . : / = + - @"}
    file.write_text(yaml.safe_dump(changed("tags", tags)))
    assert load_environment(file).tags == tags
    test = {"source": "shop", "owner": "me", "run": "1", "expires": "2026-12-31T16:00:00Z"}
    content = changed("tags", tags) | {"name": "test-shop", "teststack": test, "protected": False}
    assert "beside Owner" in problems(tmp_path, content, "test-shop.yaml")["tags.Owner"]
