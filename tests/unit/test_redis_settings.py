"""`redis.settings`: what an application may set, what is refused and why, and what each Redis gets of it."""

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from holdfast.topology import InvalidEnvironment, load_environment
from holdfast.topology.redis_settings import SETTINGS, lines, refusal
from holdfast.topology.redis_settings.refused import NOT_THEIRS
from holdfast.topology.schema import json_schema

CAPTURED = Path(__file__).parent / "redis_config"
VERSIONS = ((6, 0), (7, 0), (8, 0))

VALID = yaml.safe_load(
    """
name: shop
region: eu-central-1
zones: [a, b, c]
network: {cidr: 10.60.0.0/16}
machines: {node: {type: m6i.large, image: debian-12}}
redis: {memory: 4GB}
"""
)


def content(settings: Any, image: str = "debian-12", memory: str = "4GB") -> dict[str, Any]:
    made = copy.deepcopy(VALID)
    made["machines"]["node"]["image"] = image
    made["redis"] = {"memory": memory, "settings": settings}
    return made


def loaded(tmp_path: Path, settings: str, image: str = "debian-12") -> dict[str, str]:
    """What a file with these lines of YAML means."""
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(content(yaml.safe_load(settings), image)))
    return dict(load_environment(file).redis.settings)


def refused(tmp_path: Path, settings: Any, image: str = "debian-12", memory: str = "4GB") -> dict[str, str]:
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(content(settings, image, memory)))
    with pytest.raises(InvalidEnvironment) as error:
        load_environment(file)
    return {it.path.removeprefix("redis.settings."): f"{it.found} | {it.accepted}" for it in error.value.problems}


def captured(version: tuple[int, int]) -> dict[str, str]:
    """What `CONFIG GET *` of that Redis says, as it was when it had just been installed."""
    text = (CAPTURED / f"{version[0]}.{version[1]}.txt").read_text()
    return {name: value for name, _, value in (line.partition(" ") for line in text.splitlines())}


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("notify-keyspace-events: Ex", "Ex"),
        ('notify-keyspace-events: ""', ""),
        ("lazyfree-lazy-user-del: no", "no"),
        ("lazyfree-lazy-user-del: 'no'", "no"),
        ("dynamic-hz: yes", "yes"),
        ("sanitize-dump-payload: no", "no"),
        ("hash-max-listpack-entries: 1000", "1000"),
        ("slowlog-log-slower-than: -1", "-1"),
        ("timeout: 0", "0"),
        ("maxmemory-clients: 10%", "10%"),
        ("maxmemory-clients: 512 MiB", "512mb"),
        ("client-query-buffer-limit: 67108864", "64mb"),
        ("proto-max-bulk-len: 1500KB", "1500kb"),
        ("stream-node-max-bytes: 5000", "5000"),
        ("client-output-buffer-limit: pubsub  64MB 16mb 60", "pubsub 64mb 16mb 60"),
        ("client-output-buffer-limit: pubsub 64mb 0 0 normal 1gb 0 0", "normal 1gb 0 0 pubsub 64mb 0 0"),
        ("latency-tracking-info-percentiles: [50, 99.9]", "50 99.9"),
        ("latency-tracking-info-percentiles: []", ""),
    ],
)
def test_a_value_is_taken_as_people_write_it(tmp_path: Path, written: str, text: str) -> None:
    assert list(loaded(tmp_path, written).values()) == [text]


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("hz", 5, "a whole number from 10 to 100"),
        ("hz", True, "a whole number from 10 to 100"),
        ("hz", 10.5, "a whole number from 10 to 100"),
        ("hz", None, "a whole number from 10 to 100"),
        ("hz", "1e3", "a whole number from 10 to 100"),
        ("timeout", 5, "a whole number of seconds from 60 to 86400, or 0: never"),
        ("lazyfree-lazy-expire", "on", "no or yes"),
        ("lazyfree-lazy-expire", 1, "no or yes"),
        ("maxmemory-clients", 0, "a size from 64mb to 64gb, as 65536, 64kb, 32mb or 1gb, or from 1% to 50% of"),
        ("maxmemory-clients", "60%", "or from 1% to 50% of redis.memory"),
        ("proto-max-bulk-len", "1tb", "a size from 1mb to 512mb"),
        ("proto-max-bulk-len", [1], "a size from 1mb to 512mb"),
        ("notify-keyspace-events", "xg", "with K or E among them, as Ex (expired keys)"),
        ("notify-keyspace-events", "K?", "letters of KEg$lshzxetdmnA"),
        ("client-output-buffer-limit", "replica 1gb 0 0", "that of replicas stays as it is"),
        ("client-output-buffer-limit", "normal 0 0 0", "each with a hard limit from 1mb to 4gb"),
        ("client-output-buffer-limit", "normal 64mb 128mb 60", "a soft limit up to that"),
        ("client-output-buffer-limit", "normal 64mb", "as pubsub 64mb 16mb 60"),
        ("client-output-buffer-limit", "normal 64mb 0 1mb", "seconds up to 3600"),
        ("client-output-buffer-limit", "normal 64mb 0 0 normal 64mb 0 0", "normal and pubsub"),
        ("client-output-buffer-limit", "", "normal and pubsub"),
        ("latency-tracking-info-percentiles", [101], "up to ten numbers from 0 to 100"),
        ("latency-tracking-info-percentiles", "fifty", "up to ten numbers from 0 to 100"),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_accepted(
    tmp_path: Path, name: str, value: Any, accepted: str
) -> None:
    said = refused(tmp_path, {name: value})
    assert list(said) == [name]
    assert said[name].startswith(f"{value!r} | ")
    assert accepted in said[name]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("maxmemory", "one that is not an application's: machines are checked against it | redis.memory"),
        ("maxmemory-policy", "one that is not an application's: the file has a key for it | redis.eviction"),
        (
            "appendfsync",
            "one that is not an application's: it decides what an acknowledged write has reached | redis.durability",
        ),
        (
            "min-replicas-to-write",
            "one that is not an application's: by it a leader that is cut off stops taking writes | redis.durability",
        ),
        ("rename-command", "one that is not an application's: it decides who may do what | applications.NAME"),
        (
            "tls-port",
            "one that is not an application's: certificates and clients depend on it | tls.mode and tls.mutual",
        ),
        ("activedefrag", "one that is not an application's: the distributions' Redis refuses it, as it lacks"),
        ("hash-max-ziplist-entries", "its name of before Redis 7.0 | hash-max-listpack-entries, which Redis 6.0 gets"),
        ("lua-time-limit", "its name of before Redis 7.0 | busy-reply-threshold"),
        ("lazyfree_lazy_user_del", "an unknown setting (did you mean lazyfree-lazy-user-del?) | one of those"),
        ("notify-keyspace-event", "an unknown setting (did you mean notify-keyspace-events?) | one of those"),
        ("maxmemorypolicy", "one that is not an application's: the file has a key for it | redis.eviction"),
        ("colour", "an unknown setting | one of those that docs/environment.md lists"),
        ("HZ", "an unknown setting (did you mean hz?) | one of those"),
    ],
)
def test_what_is_no_applications_business_is_refused_with_the_reason_and_what_there_is_instead(
    tmp_path: Path, name: str, said: str
) -> None:
    found = refused(tmp_path, {name: "1"})
    assert list(found) == [name]
    assert found[name].startswith(said)


@pytest.mark.parametrize("value", [["hz"], "hz", 5, None])
def test_settings_that_are_no_mapping_are_refused(tmp_path: Path, value: Any) -> None:
    said = refused(tmp_path, value)
    assert said == {"redis.settings": f"{value!r} | settings by their names, as {{notify-keyspace-events: Ex}}"}


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    wrong = {
        "hz": 5,
        "maxmemory": "1gb",
        "colour": "red",
        "set-max-listpack-entries": 64,
        "io-threads": 8,
        "timeout": 0,
    }
    assert set(refused(tmp_path, wrong, memory="40GB")) == {*wrong, "redis.memory"} - {"timeout"}


@pytest.mark.parametrize(
    ("image", "name", "value", "said"),
    [
        ("ubuntu-22.04", "maxmemory-clients", "10%", "which has Redis 6.0 | nothing, or a distribution with Redis 7.0"),
        ("ubuntu-22.04", "notify-keyspace-events", "Kn", "'Kn' on machines.node.image ubuntu-22.04"),
        ("debian-12", "set-max-listpack-value", 1, "which has Redis 7.0 | nothing, or a distribution with Redis 8.0"),
        ("debian-13", "io-threads-do-reads", True, "which has Redis 8.0 | nothing: the last Redis that has it is 7.0"),
        ("debian-12", "io-threads", 3, "3 on m6i.large, which has 2 processors | at most 2 there"),
        ("debian-12", "maxmemory-clients", "1%", "1% of 4096MB, which is 40MB | at least 64mb"),
    ],
)
def test_a_setting_must_suit_the_redis_and_the_machine(
    tmp_path: Path, image: str, name: str, value: Any, said: str
) -> None:
    found = refused(tmp_path, {name: value}, image)
    assert list(found) == [name]
    assert said in found[name]


@pytest.mark.parametrize(
    ("image", "settings", "more", "most"),
    [
        ("debian-12", {"maxmemory-clients": "50%"}, 2400, 4005),
        ("debian-12", {"maxmemory-clients": "1gb"}, 224, 5617),
        ("debian-12", {"client-output-buffer-limit": "normal 4gb 0 0"}, 0, 5783),
        ("ubuntu-22.04", {"client-output-buffer-limit": "normal 4gb 0 0"}, 3296, 3342),
        ("ubuntu-22.04", {"client-output-buffer-limit": "pubsub 1gb 0 0"}, 224, 5617),
        ("debian-12", {"maxmemory-clients": "64mb"}, 0, 5783),
    ],
)
def test_what_clients_may_take_is_reckoned_with(
    tmp_path: Path, image: str, settings: dict[str, str], more: int, most: int
) -> None:
    """Of the 8192 MiB of an m6i.large, the system gets 384, and the rest is divided by 1.35 for forks."""
    clients = f", and {more}MB more for clients (redis.settings)" if more else ""
    said = refused(tmp_path, settings, image, memory="6400MB")
    assert said["redis.memory"].startswith(f"6400MB{clients} on m6i.large, which has 8192MB | at most {most}MB there")


def rendered(given: dict[str, str], version: tuple[int, int], memory: int = 4096) -> dict[str, str]:
    return {f"{line.name} {line.value}": line.why for line in lines(given, memory, version)}


def test_each_redis_gets_the_defaults_that_it_knows_each_with_its_reason() -> None:
    always = [
        "lazyfree-lazy-user-del yes",
        "lazyfree-lazy-eviction yes",
        "lazyfree-lazy-expire yes",
        "lazyfree-lazy-server-del yes",
        "client-output-buffer-limit normal 512mb 0 0",
        "tcp-keepalive 60",
        "slowlog-max-len 1024",
        "latency-monitor-threshold 100",
    ]
    since_7_0 = ["lazyfree-lazy-user-flush yes", "maxmemory-clients 512mb"]
    assert sorted(rendered({}, (6, 0))) == sorted(always)
    assert sorted(rendered({}, (7, 0))) == sorted(always + since_7_0)
    assert sorted(rendered({}, (8, 0))) == sorted([*always, *since_7_0, "hide-user-data-from-log yes"])
    assert all(rendered({}, (8, 0)).values())


def test_a_small_redis_has_room_for_its_sessions() -> None:
    assert {"client-output-buffer-limit normal 64mb 0 0", "maxmemory-clients 128mb"} <= set(rendered({}, (7, 0), 256))


def test_what_the_file_says_comes_before_a_default_and_needs_no_reason() -> None:
    found = rendered({"tcp-keepalive": "30", "hz": "20", "notify-keyspace-events": ""}, (7, 0))
    assert found["tcp-keepalive 30"] == found["hz 20"] == found['notify-keyspace-events ""'] == ""
    assert "tcp-keepalive 60" not in found


def test_a_limit_for_subscribers_leaves_that_of_others() -> None:
    found = rendered({"client-output-buffer-limit": "pubsub 64mb 16mb 60"}, (6, 0))
    assert {
        "client-output-buffer-limit normal 512mb 0 0",
        "client-output-buffer-limit pubsub 64mb 16mb 60",
    } <= set(found)


def test_redis_6_gets_the_old_names() -> None:
    given = {"hash-max-listpack-entries": "256", "busy-reply-threshold": "9000", "list-max-listpack-size": "-1"}
    old = {"hash-max-ziplist-entries 256", "lua-time-limit 9000", "list-max-ziplist-size -1"}
    new = {"hash-max-listpack-entries 256", "busy-reply-threshold 9000", "list-max-listpack-size -1"}
    assert old <= set(rendered(given, (6, 0)))
    assert new <= set(rendered(given, (7, 0)))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_registry_says_which_redis_has_what(version: tuple[int, int]) -> None:
    has = captured(version)
    for setting in SETTINGS.values():
        assert (setting.name_in(version) in has) == setting.is_in(version), setting.name


@pytest.mark.parametrize("version", VERSIONS)
def test_every_setting_of_redis_is_allowed_or_refused_with_a_reason(version: tuple[int, int]) -> None:
    for name in captured(version):
        found, accepted = refusal(name)
        assert name in SETTINGS or not found.startswith("an unknown"), name
        assert accepted


def test_nothing_is_both_allowed_and_refused() -> None:
    assert [name for name in SETTINGS if refusal(name)[0].startswith(NOT_THEIRS)] == []


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_what_was_parsed_is_parsed_again_to_the_same(setting: Any) -> None:
    for value in (setting.kind.lowest, setting.kind.highest):
        assert setting.kind.parse(value) == value
    if setting.name not in ("client-output-buffer-limit", "maxmemory-clients"):
        assert setting.kind.parse(setting.redis) == setting.redis


@pytest.mark.parametrize(
    ("settings", "valid"),
    [
        ({"notify-keyspace-events": "Ex", "hz": 20, "maxmemory-clients": "10%", "lazyfree-lazy-expire": False}, True),
        ({"latency-tracking-info-percentiles": [50, 99.9], "client-output-buffer-limit": "pubsub 64mb 0 0"}, True),
        ({"timeout": 0, "slowlog-log-slower-than": -1}, True),
        ({"notify-keyspace-events": "x"}, False),
        ({"hz": 5}, False),
        ({"maxmemory": "1gb"}, False),
    ],
    ids=str,
)
def test_editors_know_them(settings: dict[str, Any], valid: bool) -> None:
    schema = yaml.safe_load(json_schema())
    if valid:
        jsonschema.validate(content(settings), schema)
    else:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(content(settings), schema)
