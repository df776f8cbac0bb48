"""Who has one application's password commands neither the cluster nor another application.

The forged greetings are ones that Sentinels do not understand: if one came through, its test would fail and the cluster
would not.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import redis

from holdfast.drill.cluster import Cluster
from holdfast.topology import find_environment, load_environment, users
from tests.twin.passwords import password

ENVIRONMENT = load_environment(find_environment("local"))
APPLICATIONS = list(ENVIRONMENT.applications)
GREETINGS, FORGED, END = "__sentinel__:hello", "forged", "attacks:end"
REFUSED = r"(?i)no permissions|can't publish to the channel|read only replica"
"""Redis 7.0 says the second of scripts, and a replica the third of functions that do not promise not to write."""

LIBRARY = """#!lua name=attacks
redis.register_function('publish', function(_, words) return redis.call('PUBLISH', words[1], words[2]) end)
"""
GREET = [
    ["PUBLISH", GREETINGS, FORGED],
    ["SPUBLISH", GREETINGS, FORGED],
    ["EVAL", "return redis.call('PUBLISH', ARGV[1], ARGV[2])", "0", GREETINGS, FORGED],
    ["EVAL", "return redis.pcall('PUBLISH', ARGV[1], ARGV[2])", "0", GREETINGS, FORGED],
    ["EVAL", "return redis.call('SPUBLISH', ARGV[1], ARGV[2])", "0", GREETINGS, FORGED],
    ["FCALL", "publish", "0", GREETINGS, FORGED],
]
HIJACK = [
    ["FUNCTION", "LOAD", LIBRARY],
    ["FUNCTION", "LOAD", "REPLACE", LIBRARY],
    ["FUNCTION", "DELETE", "attacks"],
    ["FUNCTION", "FLUSH"],
    ["FUNCTION", "RESTORE", "payload"],
    ["FUNCTION", "KILL"],
    ["SCRIPT", "KILL"],
    ["SCRIPT", "FLUSH"],
]


@pytest.fixture
def library(healthy: Cluster) -> Iterator[None]:
    """A function that whoever may calls with rights of its own."""
    with _as(healthy, "admin") as admin:
        admin.function_load(LIBRARY, replace=True)
        # A replica has it too, before anybody calls it there.
        admin.wait(2, 1000)
        yield
        admin.function_delete("attacks")


@pytest.mark.parametrize("user", [it.name for it in users.of(ENVIRONMENT) if it.name not in {"sentinel", "admin"}])
def test_none_but_sentinels_greets_sentinels(healthy: Cluster, library: None, user: str) -> None:
    """Who could would name them another leader, an epoch without end, or Sentinels that there are not."""
    with _as(healthy, "admin") as admin, closing(admin.pubsub()) as witness:
        witness.subscribe(GREETINGS, END)
        for kind in ("leader", "replica"):
            with _as(healthy, user, kind) as attacker:
                for command in GREET:
                    with pytest.raises(redis.ResponseError, match=REFUSED):
                        attacker.execute_command(*command)
                with pytest.raises(redis.ResponseError, match=REFUSED):
                    attacker.pipeline(transaction=True).publish(GREETINGS, FORGED).execute()
        admin.publish(END, "")
        heard = list(iter(lambda: _message(witness), {"channel": END, "data": ""}))
    assert FORGED not in [message["data"] for message in heard]


@pytest.mark.parametrize("publish", ["directly", "in a script", "in a function", "in a transaction"])
def test_an_application_publishes_on_channels_of_its_own(healthy: Cluster, library: None, publish: str) -> None:
    with _as(healthy, "app") as app, closing(app.pubsub()) as subscriber:
        subscriber.subscribe("attacks:news", "_attacks", "__redis__:invalidate")
        subscriber.psubscribe("*tacks:ne?s")
        if publish == "directly":
            app.publish("attacks:news", "1")
        elif publish == "in a script":
            app.eval("return redis.call('PUBLISH', ARGV[1], ARGV[2])", 0, "attacks:news", "1")
        elif publish == "in a function":
            app.fcall("publish", 0, "attacks:news", "1")
        else:
            app.pipeline(transaction=True).publish("attacks:news", "1").execute()
        app.publish("_attacks", "2")
        assert [_message(subscriber) for _ in range(3)] == [
            {"channel": "attacks:news", "data": "1"},
            {"channel": "attacks:news", "data": "1"},
            {"channel": "_attacks", "data": "2"},
        ]


def test_an_application_publishes_on_sharded_channels(healthy: Cluster) -> None:
    with _as(healthy, "app") as app, closing(app.pubsub()) as subscriber:
        subscriber.ssubscribe("attacks:news")
        assert subscriber.get_message(timeout=2)["type"] == "ssubscribe"
        app.execute_command("SPUBLISH", "attacks:news", "1")
        assert subscriber.get_message(timeout=2)["data"] == "1"


def test_an_application_hears_of_keys(healthy: Cluster) -> None:
    """Where an administrator has switched it on."""
    option = "notify-keyspace-events"
    with _as(healthy, "admin") as admin, _as(healthy, "app") as app, closing(app.pubsub()) as subscriber:
        before = admin.config_get(option)[option]
        try:
            admin.config_set(option, "KEA")
            subscriber.subscribe("__keyspace@0__:attacks")
            subscriber.psubscribe("__keyevent@0__:*")
            app.set("attacks", "1", ex=60)
            assert _message(subscriber) == {"channel": "__keyspace@0__:attacks", "data": "set"}
            # The writers and readers of other tests may be heard too.
            while _message(subscriber) != {"channel": "__keyevent@0__:set", "data": "attacks"}:
                pass
        finally:
            admin.config_set(option, before)


@pytest.mark.parametrize("user", APPLICATIONS)
def test_none_of_several_applications_changes_what_another_one_runs(healthy: Cluster, library: None, user: str) -> None:
    with _as(healthy, user) as attacker:
        for command in HIJACK:
            with pytest.raises(redis.exceptions.NoPermissionError):
                attacker.execute_command(*command)


@pytest.mark.parametrize("user", APPLICATIONS)
def test_none_of_several_applications_is_told_what_another_one_runs(healthy: Cluster, user: str) -> None:
    """With all its keys and values, while a function takes long."""
    with _as(healthy, user) as attacker, pytest.raises(redis.exceptions.NoPermissionError):
        attacker.execute_command("FUNCTION", "STATS")


def test_an_application_still_has_scripts(healthy: Cluster, library: None) -> None:
    with _as(healthy, "app") as app:
        assert app.evalsha(app.script_load("return ARGV[1]"), 0, "1") == "1"
        assert "attacks" in str(app.function_list())


@pytest.mark.parametrize("command", [["RANDOMKEY"], ["CLIENT", "TRACKING", "ON", "BCAST"]], ids=" ".join)
def test_an_application_with_some_keys_is_not_told_the_names_of_others(healthy: Cluster, command: list[str]) -> None:
    with _as(healthy, "reports") as attacker, pytest.raises(redis.exceptions.NoPermissionError):
        attacker.execute_command(*command)
    with _as(healthy, "app") as app:
        app.set("attacks", "1", ex=60)
        app.execute_command(*command)


def _message(subscriber: Any) -> dict[str, str]:
    """The next message, without the confirmations before it."""
    while True:
        message = subscriber.get_message(timeout=5)
        assert message is not None, "no message within 5 s"
        if message["type"] in ("message", "pmessage"):
            return {"channel": message["channel"], "data": message["data"]}


def _as(cluster: Cluster, user: str, kind: str = "leader") -> redis.Redis:
    return cluster.client(kind, username=user, password=password(ENVIRONMENT, user))
