"""What several unit tests start from."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from holdfast_node.identity import Identity
from moto import mock_aws

from holdfast.ops import renewal
from holdfast.ops.backups import take as taking
from holdfast.topology import Environment, load_environment

ENVIRONMENTS = Path(__file__).parents[2] / "environments"

NODES = {"local-a1": "10.40.0.4", "local-b1": "10.40.16.4", "local-c1": "10.40.32.4"}


@pytest.fixture
def identity() -> Identity:
    """The node local-a1 of three, with Redis 7.0."""
    return Identity(
        environment="local",
        node="local-a1",
        zone="a",
        region="eu-central-1",
        roles=["data", "gateway", "sentinel"],
        address="10.40.0.4",
        leader_endpoint="10.40.0.5",
        replica_endpoint="10.40.0.6",
        floating=["100.127.0.2", "100.127.0.3"],
        sentinel_id="a" * 40,
        volume_id="11111111-2222-3333-4444-555555555555",
        bucket="holdfast-local",
        api_endpoint=None,
        program="f" * 64,
        secrets={user: f"holdfast/local/{user}" for user in ("app", "replication", "sentinel", "metrics", "node")},
        logins=["replication", "sentinel", "node"],
        data=NODES,
        sentinels=NODES,
        gateways=NODES,
        redis_port=6380,
        sentinel_port=26379,
        lease_port=7379,
        endpoint_port=6379,
        certificate=None,
        detection=0.6,
        crowded=1000,
        since_6_2=True,
        since_7_0=True,
        backup=None,
    )


@pytest.fixture
def prod(monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    """The environment `prod`, in a cloud of moto's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with mock_aws():
        yield load_environment(ENVIRONMENTS / "prod.yaml")


@pytest.fixture
def seconds_fly(monkeypatch: pytest.MonkeyPatch) -> None:
    """For whoever waits for a node to take what is new, a second passes with each look at the clock."""
    clock = itertools.count()
    flying = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    for module in (renewal, taking):
        monkeypatch.setattr(module, "time", flying)
