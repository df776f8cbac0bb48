"""What applications are told: endpoints with names, Sentinels, and code that connects."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import redis

from holdfast.cli import main
from holdfast.cli.show import endpoints_text
from holdfast.ops import endpoints
from holdfast.ops.endpoints import Endpoints
from holdfast.rendering import snippets
from holdfast.topology import Cluster, Environment, load_environment
from holdfast.topology.load import ENVIRONMENTS
from holdfast.topology.spec import NO_DOMAIN, TlsMode, TlsSpec

TIERED = ENVIRONMENTS / "examples" / "tiered.yaml"
LEADER, REPLICA = "leader.tiered.holdfast.internal", "replica.tiered.holdfast.internal"
SENTINELS = [("10.71.0.16", 26379), ("10.71.16.16", 26379), ("10.71.32.16", 26379)]


@pytest.fixture
def environment() -> Environment:
    """Without TLS, unless a test says so."""
    return load_environment(TIERED).model_copy(update={"tls": TlsSpec(mode=TlsMode.OFF)})


@pytest.fixture
def found(environment: Environment) -> Endpoints:
    return endpoints.find(environment, "app", with_password=False)


def test_endpoints_are_those_of_the_gateways_under_one_name(found: Endpoints) -> None:
    assert found.leader.addresses == ("10.71.0.11", "10.71.16.11")
    assert found.replica.addresses == ("10.71.0.12", "10.71.16.12")
    assert found.leader.url == f"redis://app:$REDIS_PASSWORD@{LEADER}:6379"
    assert found.as_json()["replica"]["name"] == REPLICA


def test_sentinel_aware_clients_are_told_who_may_use_them(found: Endpoints) -> None:
    assert endpoints_text(found).splitlines()[-2:] == [
        "sentinels 10.71.0.16:26379, 10.71.16.16:26379, 10.71.32.16:26379; SRV _sentinel._tcp.tiered.holdfast.internal",
        "          they call the leader tiered; open to nobody (network.sentinel_clients is empty)",
    ]


def test_without_names_the_url_has_an_address() -> None:
    local = load_environment(ENVIRONMENTS / "local.yaml")
    network = local.network.model_copy(update={"domain": NO_DOMAIN})
    found = endpoints.find(local.model_copy(update={"network": network}), "app", with_password=False)
    assert (found.leader.name, found.sentinels.service) == (None, None)
    assert found.leader.url == "redis://app:$REDIS_PASSWORD@10.40.0.5:6379"


def test_the_redis_py_snippet_makes_clients_of_the_endpoints_and_of_the_sentinels(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "from the environment")
    made: dict[str, Any] = {}
    exec(compile(snippets(Cluster.of(environment), "app")["redis-py"], "snippet", "exec"), made)
    for client, host in (("leader", LEADER), ("replica", REPLICA)):
        settings = made[client].get_connection_kwargs()
        assert (settings["host"], settings["port"]) == (host, 6379)
        assert (settings["username"], settings["password"]) == ("app", "from the environment")
    asked = [sentinel.get_connection_kwargs() for sentinel in made["sentinel"].sentinels]
    assert [(one["host"], one["port"]) for one in asked] == SENTINELS
    assert {(one["username"], one["password"]) for one in asked} == {("app", "from the environment")}
    assert made["sentinel_leader"].connection_pool.service_name == "tiered"
    assert made["sentinel_leader"].connection_pool.is_master
    assert not made["sentinel_replica"].connection_pool.is_master


@pytest.mark.parametrize(
    ("client", "lines"),
    [
        ("redis-py", [f'at("{LEADER}")', f'at("{REPLICA}")', "port=6379", '("10.71.0.16", 26379)']),
        ("ioredis", [f'host: "{LEADER}", port: 6379', f'host: "{REPLICA}"', '{ host: "10.71.0.16", port: 26379 }']),
        ("lettuce", [f'at("{LEADER}", 6379)', f'at("{REPLICA}", 6379)', '.withSentinel(at("10.71.0.16", 26379))']),
        ("go-redis", [f'at("{LEADER}:6379", once)', f'at("{REPLICA}:6379", again)', '"10.71.0.16:26379"']),
    ],
)
def test_every_client_has_a_snippet_both_ways_and_none_has_a_password(
    environment: Environment, client: str, lines: list[str]
) -> None:
    code = snippets(Cluster.of(environment), "app")[client]
    assert [line for line in lines if line not in code] == []
    assert "REDIS_PASSWORD" in code
    assert "Closed: network.sentinel_clients names nobody." in code


@pytest.fixture
def encrypted(environment: Environment) -> Cluster:
    return Cluster.of(environment.model_copy(update={"tls": TlsSpec(mode=TlsMode.REQUIRED, mutual=True)}))


def test_with_tls_the_url_says_so_and_clients_are_told_what_they_need(encrypted: Cluster) -> None:
    found = endpoints.find(encrypted.environment, "app", with_password=False)
    assert found.leader.url == f"rediss://app:$REDIS_PASSWORD@{LEADER}:6390"
    assert found.as_json()["tls"] == {"mutual": True, "plaintext_port": None, "ca": None}
    assert endpoints_text(found).splitlines()[-1] == (
        "TLS       with the authority and a client's certificate: holdfast certs export tiered FOLDER"
    )


def test_with_tls_the_redis_py_snippet_verifies_whom_it_reaches(
    encrypted: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "from the environment")
    made: dict[str, Any] = {}
    exec(compile(snippets(encrypted, "app")["redis-py"], "snippet", "exec"), made)
    pools = [made["leader"].connection_pool, made["sentinel"].sentinels[0].connection_pool]
    for pool in (*pools, made["sentinel_leader"].connection_pool):
        assert issubclass(pool.connection_class, redis.SSLConnection)
        settings = pool.connection_kwargs
        assert settings["ssl_ca_certs"] == "ca.pem"
        assert (settings["ssl_certfile"], settings["ssl_keyfile"]) == ("client.pem", "client-key.pem")


@pytest.mark.parametrize(
    ("client", "lines"),
    [
        (
            "ioredis",
            ['ca: readFileSync("ca.pem")', 'cert: readFileSync("client.pem")', "enableTLSForSentinelMode: true"],
        ),
        ("lettuce", ['.trustManager(new File("ca.pem"))', '.keyManager(new File("client.pem")', ".withSsl(true)"]),
        ("go-redis", ["TLSConfig: trust()", 'os.ReadFile("ca.pem")', 'tls.LoadX509KeyPair("client.pem"']),
    ],
)
def test_with_tls_every_snippet_has_what_it_needs(encrypted: Cluster, client: str, lines: list[str]) -> None:
    code = snippets(encrypted, "app")[client]
    assert [line for line in lines if line not in code] == []
    assert f"{LEADER}:6390" in code or f'"{LEADER}", port: 6390' in code or f'"{LEADER}", 6390' in code


def test_a_snippet_says_from_where_the_sentinels_can_be_reached(environment: Environment) -> None:
    network = environment.network.model_copy(update={"sentinel_clients": ("10.8.0.0/16",)})
    opened = dataclasses.replace(
        Cluster.of(environment), environment=environment.model_copy(update={"network": network})
    )
    assert "Open to 10.8.0.0/16." in snippets(opened, "app")["ioredis"]


def test_the_command_prints_one_snippet_ready_to_be_saved(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoints", str(TIERED), "--snippets", "go-redis"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("// go-redis 9, for tiered.")
    assert "\t\tAddr: address" in printed
    assert main(["endpoints", str(TIERED), "--snippets", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["snippets"]) == {"redis-py", "ioredis", "lettuce", "go-redis"}
