"""Where applications connect: every gateway's leader and replica endpoint, and the application's credentials."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops import cloud
from holdfast.topology import Cluster, Environment, names


@dataclass(frozen=True)
class Endpoint:
    """`forward` is `host:port` on this machine, where the cloud offers one (the twin does)."""

    addresses: tuple[str, ...]
    port: int
    forward: str | None


@dataclass(frozen=True)
class Credentials:
    user: str
    password: str


@dataclass(frozen=True)
class Endpoints:
    environment: str
    leader: Endpoint
    replica: Endpoint
    credentials: Credentials | None

    def as_json(self) -> dict[str, Any]:
        """`leader` and `replica`; `user` and `password` only where credentials were asked for."""
        content = {"environment": self.environment, "leader": asdict(self.leader), "replica": asdict(self.replica)}
        return content | (asdict(self.credentials) if self.credentials else {})


def find(environment: Environment, *, with_password: bool) -> Endpoints:
    """The endpoints of `environment`.

    Raises:
        CloudError: the password was asked for and cannot be read.
    """
    cluster = Cluster.of(environment)
    forwards = _forwards(environment)

    def endpoint(kind: str, addresses: list[str]) -> Endpoint:
        return Endpoint(addresses=tuple(addresses), port=cluster.endpoint_port, forward=forwards.get(kind))

    return Endpoints(
        environment=environment.name,
        leader=endpoint("leader", [str(node.leader_endpoint) for node in cluster.nodes]),
        replica=endpoint("replica", [str(node.replica_endpoint) for node in cluster.nodes]),
        credentials=_credentials(environment) if with_password else None,
    )


def _credentials(environment: Environment) -> Credentials:
    name = names.secret(environment, "app")
    try:
        answer = cloud.client(environment, "secretsmanager").get_secret_value(SecretId=name)
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, f"reading the secret {name}", error) from None
    content = json.loads(answer["SecretString"])
    return Credentials(user=content["user"], password=content["password"])


def _forwards(environment: Environment) -> dict[str, str]:
    """Loopback forwards that an emulated cloud publishes as a parameter; real clouds have none."""
    if environment.api_endpoint is None:
        return {}
    try:
        answer = cloud.client(environment, "ssm").get_parameter(Name=names.forwards_parameter(environment))
    except (BotoCoreError, ClientError):
        return {}
    forwards: dict[str, str] = json.loads(answer["Parameter"]["Value"])
    return forwards
