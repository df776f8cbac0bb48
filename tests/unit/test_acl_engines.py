"""The rules of users, tried on each Redis itself (tests/unit/test_redis_engines.py): what an application may not do.

On the twin, tests/twin/attacks/test_application.py does the same through the gateways, with one version.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from holdfast.rendering.files import render_files
from holdfast.topology import Cluster, Environment
from holdfast.topology.presets import OFFERS
from tests.unit.test_redis_engines import Engine, Version, engine, environment, running

__all__ = ["engine"]
"""The fixture."""

GREETINGS = "__sentinel__:hello"
APPLICATIONS: dict[str, dict[str, Any]] = {
    "all": {},
    "some": {"keys": ["some:*"], "channels": ["some:*"]},
    "trusted": {"functions": True},
    "presets": {"presets": ["list-keys", "flush-database", "list-clients", "no-evict"]},
    "limited": {"keys": ["own:*"], "channels": ["own:*"], "presets": ["list-keys", "list-clients", "no-evict"]},
}
LIBRARY = "#!lua name=lib\nredis.register_function('publish', function(_, w) return redis.call(w[1], w[2], w[3]) end)"


@pytest.fixture
def server(engine: Engine, tmp_path: Path) -> Iterator[Server]:
    found = users(engine.version)
    (tmp_path / "users").write_text(found)
    with running(engine, tmp_path) as admin:
        for line in found.splitlines():
            _, name, *rules = line.split(" ", 2)
            if name != "default":
                admin.execute_command("ACL", "SETUSER", name, *words(rules[0]))
        if engine.version >= (7, 0):
            admin.function_load(LIBRARY)
        yield Server(engine.version, tmp_path, admin)


def test_redis_starts_with_the_file(engine: Engine, tmp_path: Path) -> None:
    """It would not with a rule that it does not know."""
    file = tmp_path / "users.acl"
    file.write_text(users(engine.version).replace("user default off", "user default on nopass +@all") + "\n")
    with running(engine, tmp_path, "--aclfile", str(file)) as client:
        assert {*APPLICATIONS, "admin", "node"} <= set(client.acl_users())


class Server:
    def __init__(self, version: Version, folder: Path, admin: redis.Redis) -> None:
        self.version, self._folder, self.admin = version, folder, admin

    @contextmanager
    def as_(self, user: str, **options: Any) -> Iterator[redis.Redis]:
        path = str(self._folder / "redis.sock")
        client = redis.Redis(unix_socket_path=path, username=user, password=user, decode_responses=True, **options)
        with client:
            yield client

    def refuses(self, user: str, *command: str) -> str:
        """What it says to that user; nothing where it does what it is told."""
        with self.as_(user) as client:
            try:
                client.execute_command(*command)
            except redis.ResponseError as error:
                return str(error)
            return ""


def users(version: Version) -> str:
    """The lines of users.acl of a node with that Redis, where everybody's password is the own name."""
    applications = {
        name: values | {"presets": [it for it in values.get("presets", ()) if OFFERS[it].since <= version]}
        for name, values in APPLICATIONS.items()
    }
    content = environment(version, {}).model_dump(mode="json") | {"applications": applications}
    content["redis"]["memory"] = "4GB"
    cluster = Cluster.of(Environment.model_validate(content))
    text = render_files(cluster, cluster.nodes[0])["/etc/holdfast/users.acl"]
    lines = [line for line in text.splitlines() if line.startswith("user ")]
    return re.sub("#<([a-z]+)>", lambda it: "#" + hashlib.sha256(it[1].encode()).hexdigest(), "\n".join(lines))


def words(rules: str) -> list[str]:
    """As ACL SETUSER takes them: a selector is one word."""
    return re.findall(r"\([^)]*\)|\S+", rules)


def greetings(version: Version) -> Iterator[tuple[str, ...]]:
    """Every way to the Sentinels' channel."""
    yield ("PUBLISH", GREETINGS, "forged")
    for call in ("call", "pcall"):
        yield ("EVAL", f"return redis.{call}('PUBLISH', ARGV[1], ARGV[2])", "0", GREETINGS, "forged")
    # A name from a key, a script in a script's text, and a command in other letters.
    yield ("EVAL", "return redis.call('puBLISH', '__sentinel__' .. ':' .. 'hello', 'forged')", "0")
    yield ("EVAL", "return loadstring(\"return redis.call('PUBLISH', '__sentinel__:hello', 'forged')\")()", "0")
    if version >= (7, 0):
        yield ("SPUBLISH", GREETINGS, "forged")
        yield ("EVAL_RO", "return redis.call('PUBLISH', ARGV[1], ARGV[2])", "0", GREETINGS, "forged")
        yield ("EVAL", "return redis.call('SPUBLISH', ARGV[1], ARGV[2])", "0", GREETINGS, "forged")
        yield ("FCALL", "publish", "0", "PUBLISH", GREETINGS, "forged")
        yield ("FCALL", "publish", "0", "SPUBLISH", GREETINGS, "forged")


REFUSED = re.compile(
    r"no permissions|can't publish to the channel|can't access at least one of the keys|can't run this command"
    r"|insufficient ACL permissions|not allowed|unknown (sub)?command",
    re.IGNORECASE,
)


@pytest.mark.parametrize("user", APPLICATIONS)
def test_no_application_greets_sentinels(server: Server, user: str) -> None:
    with server.admin.pubsub() as witness:
        witness.subscribe(GREETINGS)
        assert witness.get_message(timeout=5)
        for command in greetings(server.version):
            assert REFUSED.search(server.refuses(user, *command)), command
        with server.as_(user) as client, pytest.raises(redis.ResponseError):
            client.pipeline(transaction=True).publish(GREETINGS, "forged").execute()
        server.admin.publish(GREETINGS, "end")
        heard = witness.get_message(timeout=5)
    assert heard and heard["data"] == "end"


ADMINISTER = """
CONFIG GET *|CONFIG SET dir /tmp|CONFIG REWRITE|CONFIG RESETSTAT|ACL LIST|ACL GETUSER admin|ACL SETUSER all +@all
ACL LOG|ACL SAVE|ACL LOAD|ACL DELUSER admin|SHUTDOWN NOSAVE|REPLICAOF NO ONE|SLAVEOF NO ONE|FAILOVER|DEBUG SLEEP 0
FLUSHALL|FLUSHDB|KEYS *|SAVE|BGSAVE|BGREWRITEAOF|MONITOR|SYNC|PSYNC ? -1|REPLCONF ip-address x|MODULE LIST
MODULE LOAD /tmp/x.so|MIGRATE 127.0.0.1 1 k 0 1|RESTORE k 0 x|RESTORE-ASKING k 0 x|SWAPDB 0 1|CLIENT LIST
CLIENT KILL TYPE normal|CLIENT PAUSE 1|CLIENT UNPAUSE|CLIENT NO-EVICT ON|CLUSTER RESET|CLUSTER MEET 127.0.0.1 1
CLIENT UNBLOCK 1|LATENCY RESET|SLOWLOG GET|LASTSAVE|PFDEBUG GETREG k|PFSELFTEST
"""

GIVEN = {
    "presets": {"KEYS *", "FLUSHDB", "CLIENT LIST", "CLIENT NO-EVICT ON"},
    "limited": {"CLIENT LIST", "CLIENT NO-EVICT ON"},
}
"""Of these, what presets give."""


@pytest.mark.parametrize("user", APPLICATIONS)
def test_no_application_administers_the_server(server: Server, user: str) -> None:
    for command in re.split(r"[|\n]", ADMINISTER.strip()):
        if command not in GIVEN.get(user, ()):
            said = server.refuses(user, *command.split())
            assert REFUSED.search(said), f"{command}: {said}"


AT_START: dict[Version, str] = {
    (6, 0): "PING|ECHO x|SELECT 0|INFO|ROLE|COMMAND|CLIENT ID|CLIENT SETNAME x|CLIENT GETNAME|CLIENT REPLY ON",
    (6, 2): "CLIENT INFO|CLIENT TRACKINGINFO|RESET",
    (7, 2): "CLIENT SETINFO LIB-NAME x|CLIENT NO-TOUCH ON",
}
"""What client libraries and frameworks say first, from that Redis on, beside HELLO and AUTH."""


@pytest.mark.parametrize("user", APPLICATIONS)
def test_an_application_may_say_what_libraries_say_at_first(server: Server, user: str) -> None:
    commands = [command for since, some in AT_START.items() if since <= server.version for command in some.split("|")]
    assert {command: server.refuses(user, *command.split()) for command in commands} == dict.fromkeys(commands, "")


def test_role_tells_no_more_than_info_does(server: Server) -> None:
    with server.as_("some") as client:
        role, offset, replicas = client.execute_command("ROLE")
        info = client.info("replication")
    assert (role, offset, replicas) == (info["role"], info["master_repl_offset"], [])


def test_presets_let_an_application_clear_its_cache_and_list_connections(server: Server) -> None:
    server.admin.mset({"cache:1": "x", "cache:2": "x"})
    with server.as_("presets") as client:
        assert sorted(client.keys("cache:*")) == ["cache:1", "cache:2"]
        assert client.eval("return #redis.call('KEYS', '*')", 0) == 2
        assert "user=presets" in str(client.execute_command("CLIENT", "LIST"))
        if server.version >= (7, 0):
            assert client.execute_command("CLIENT", "NO-EVICT", "ON")
        client.flushdb()
        client.flushdb(asynchronous=True)
    assert server.admin.dbsize() == 0


def test_with_some_keys_presets_list_those_alone_and_flush_nothing(server: Server) -> None:
    server.admin.mset({"own:1": "x", "own:2": "x", "other": "secret"})
    with server.as_("limited") as client:
        assert sorted(client.keys("own:*")) == ["own:1", "own:2"]
        # Redis compares the argument in any case of letters.
        assert client.keys("OWN:*") == []
    for command in [
        *(["KEYS", pattern] for pattern in ("*", "other", "o*", "own:1", "own:*|*", "[o]wn:*")),
        ["EVAL", "return redis.call('KEYS', '*')", "0"],
        ["FLUSHDB"],
        ["FLUSHDB", "ASYNC"],
        ["EVAL", "return redis.call('FLUSHDB')", "0"],
        ["CLIENT", "KILL", "TYPE", "normal"],
    ]:
        said = server.refuses("limited", *command)
        assert REFUSED.search(said), f"{command}: {said}"
    # Without a preset it clears its own ones.
    with server.as_("some") as client:
        server.admin.set("some:1", "x")
        assert client.unlink(*client.scan_iter("some:*")) == 1
    assert server.admin.mget("own:1", "other") == ["x", "secret"]


def test_config_get_cannot_be_given_without_the_password_of_replication(server: Server) -> None:
    """The reason why there is no preset for it."""
    if server.version < (7, 0):
        pytest.skip("Redis 6.0 takes any word as a subcommand")
    server.admin.config_set("masterauth", "secret")
    server.admin.acl_setuser("reader", enabled=True, passwords=["+reader"], commands=["+config|get"])
    with server.as_("reader") as client:
        assert client.config_get("masterauth") == {"masterauth": "secret"}
    with pytest.raises(redis.ResponseError, match="first-arg of a subcommand is not supported"):
        server.admin.execute_command("ACL", "SETUSER", "reader", "+config|get|maxmemory")


OF_SEVERAL = """
FUNCTION FLUSH|FUNCTION DELETE lib|FUNCTION RESTORE x|FUNCTION KILL|FUNCTION DUMP|FUNCTION STATS|SCRIPT FLUSH
SCRIPT KILL|SCRIPT DEBUG YES
"""


@pytest.mark.parametrize("user", ["all", "some", "presets", "limited"])
def test_none_of_several_applications_changes_or_watches_what_another_one_runs(server: Server, user: str) -> None:
    commands = [command.split() for command in re.split(r"[|\n]", OF_SEVERAL.strip())]
    commands += [["FUNCTION", "LOAD", LIBRARY], ["FUNCTION", "LOAD", "REPLACE", LIBRARY]]
    for command in commands:
        said = server.refuses(user, *command)
        assert REFUSED.search(said), f"{command}: {said}"
    with server.as_(user) as client:
        assert client.evalsha(client.script_load("return ARGV[1]"), 0, "1") == "1"


def test_an_application_with_some_keys_and_channels_reaches_no_others(server: Server) -> None:
    server.admin.set("other", "secret")
    server.admin.rpush("some:list", "1")
    seven = server.version >= (7, 0)
    commands: list[tuple[str, ...]] = [
        ("GET", "other"),
        ("EVAL", "return redis.call('GET', 'other')", "0"),
        ("EVAL", "return redis.call('GET', KEYS[1])", "1", "other"),
        ("COPY", "other", "some:copy"),
        ("RENAME", "other", "some:copy"),
        ("SORT", "some:list", "BY", "nosort", "GET", "other"),
        ("OBJECT", "ENCODING", "other"),
        ("MEMORY", "USAGE", "other"),
        ("DUMP", "other"),
        ("XREAD", "STREAMS", "other", "0"),
        ("RANDOMKEY",),
        ("CLIENT", "TRACKING", "ON", "BCAST"),
    ]
    if seven:
        commands += [
            ("SORT_RO", "some:list", "BY", "nosort", "GET", "other"),
            ("LCS", "some:list", "other"),
            ("SUBSCRIBE", "other"),
            ("PSUBSCRIBE", "*"),
            ("SSUBSCRIBE", "other"),
            ("PUBLISH", "other", "x"),
            ("PUBSUB", "CHANNELS"),
            ("PUBSUB", "SHARDCHANNELS"),
        ]
    for command in commands:
        said = server.refuses("some", *command)
        assert REFUSED.search(said), f"{command}: {said}"
