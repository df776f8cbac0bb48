"""Where applications connect: endpoints with their names, the Sentinels, and the application's credentials."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud, public
from holdfast.topology import Cluster, Environment, Role, dns, names, ports


class UnknownApplication(HoldfastError):
    """The environment has no such application."""

    exit_code = 2


@dataclass(frozen=True)
class Endpoint:
    """`forward` is `host:port` on this machine, where the cloud offers one (the twin does)."""

    addresses: tuple[str, ...]
    port: int
    name: str | None
    """Private name that leads to all of the addresses."""
    forward: str | None
    url: str
    """For what takes one; the password comes from the environment variable REDIS_PASSWORD."""
    public_addresses: tuple[str, ...]
    """Of the same endpoints, at the same port, for clients on the internet. Empty where there are none, or not yet."""


@dataclass(frozen=True)
class Floating:
    """The pair of addresses that moves, for clients inside the network. Names lead to one address each."""

    leader: str
    replica: str
    port: int
    leader_name: str | None
    replica_name: str | None


@dataclass(frozen=True)
class Sentinels:
    """What a Sentinel-aware client needs."""

    master_name: str
    addresses: tuple[str, ...]
    port: int
    service: str | None
    """SRV record that names them."""
    open_to: tuple[str, ...]
    """CIDRs that may reach them."""


@dataclass(frozen=True)
class Tls:
    """What a client needs, beside an URL that begins with `rediss`."""

    mutual: bool
    """Whether it needs a certificate of its own: `holdfast certs export` writes that too."""
    plaintext_port: int | None
    """Where it may come to the endpoints without; None where it may not."""
    ca: str | None
    """The authority's certificate, as PEM; None where credentials were not asked for, or it cannot be read."""


@dataclass(frozen=True)
class Credentials:
    user: str
    password: str


@dataclass(frozen=True)
class Endpoints:
    environment: str
    leader: Endpoint
    replica: Endpoint
    floating: Floating | None
    sentinels: Sentinels
    public_to: tuple[str, ...] | None
    """CIDRs that may come to the public addresses; None where there are to be none."""
    tls: Tls | None
    """None where there is none."""
    credentials: Credentials | None

    def as_json(self) -> dict[str, Any]:
        """All but the credentials; `user` and `password` only where these were asked for."""
        content: dict[str, Any] = {
            "environment": self.environment,
            "leader": asdict(self.leader),
            "replica": asdict(self.replica),
            "floating": asdict(self.floating) if self.floating else None,
            "sentinels": asdict(self.sentinels),
            "public_to": self.public_to,
            "tls": asdict(self.tls) if self.tls else None,
        }
        return content | (asdict(self.credentials) if self.credentials else {})


def application(environment: Environment, asked: str | None) -> str:
    """The application of that name; the first one where none is asked for.

    Raises:
        UnknownApplication: there is none of that name.
    """
    if asked is not None and asked not in environment.applications:
        accepted = ", ".join(environment.applications)
        raise UnknownApplication(f"{environment.name} has no application {asked}; accepted: {accepted}")
    return asked or next(iter(environment.applications))


def find(environment: Environment, user: str, *, with_password: bool) -> Endpoints:
    """The endpoints of `environment`, for an application.

    Raises:
        CloudError: the password was asked for and cannot be read; or the public addresses cannot.
    """
    cluster = Cluster.of(environment)
    gateways = cluster.having(Role.GATEWAY)
    forwards = _forwards(environment)
    published = public.addresses(environment)
    scheme = "rediss" if environment.tls.on else "redis"

    def endpoint(kind: str) -> Endpoint:
        addresses = tuple(str(node.endpoints[kind]) for node in gateways)
        name = dns.name(environment, kind)
        return Endpoint(
            addresses=addresses,
            port=cluster.endpoint_port,
            name=name,
            forward=forwards.get(kind),
            url=f"{scheme}://{user}:$REDIS_PASSWORD@{name or addresses[0]}:{cluster.endpoint_port}",
            public_addresses=tuple(str(one.address) for one in published if one.kind == kind),
        )

    return Endpoints(
        environment=environment.name,
        leader=endpoint("leader"),
        replica=endpoint("replica"),
        floating=_floating(cluster),
        sentinels=Sentinels(
            master_name=environment.name,
            addresses=tuple(str(node.address) for node in cluster.having(Role.SENTINEL)),
            port=ports.SENTINEL,
            service=dns.name(environment, dns.SENTINEL_SERVICE),
            open_to=tuple(str(cidr) for cidr in environment.network.sentinel_clients),
        ),
        public_to=tuple(map(str, environment.network.public_clients)) if environment.network.public else None,
        tls=_tls(cluster, with_ca=with_password),
        credentials=_credentials(environment, user) if with_password else None,
    )


def _tls(cluster: Cluster, *, with_ca: bool) -> Tls | None:
    environment = cluster.environment
    if not environment.tls.on:
        return None
    ca = None
    if with_ca:
        # Who may read a password need not be able to read the bucket.
        with contextlib.suppress(cloud.CloudError):
            ca = authority_certificate(environment)
    return Tls(environment.tls.mutual, cluster.plaintext_port, ca)


def _floating(cluster: Cluster) -> Floating | None:
    if cluster.floating is None:
        return None
    return Floating(
        leader=str(cluster.floating.leader),
        replica=str(cluster.floating.replica),
        port=cluster.endpoint_port,
        leader_name=dns.name(cluster.environment, dns.FLOATING_LEADER),
        replica_name=dns.name(cluster.environment, dns.FLOATING_REPLICA),
    )


def _credentials(environment: Environment, user: str) -> Credentials:
    name = names.secret(environment, user)
    try:
        answer = cloud.client(environment, "secretsmanager").get_secret_value(SecretId=name)
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, f"reading the secret {name}", error) from None
    content = json.loads(answer["SecretString"])
    return Credentials(user=content["user"], password=content["password"])


def authority_certificate(environment: Environment) -> str:
    """As PEM: in whom clients believe.

    Raises:
        CloudError: there is none yet, or the API refused.
    """
    key = names.AUTHORITY_KEY
    try:
        answer = cloud.client(environment, "s3").get_object(Bucket=names.bucket(environment), Key=key)
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, "reading the authority's certificate", error) from None
    return str(answer["Body"].read().decode())


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
