"""Where certificates are: in Secrets Manager with their keys; the authority's own, without, in the bucket too."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops import cloud, public
from holdfast.ops.certs.authority import Authority, Pair
from holdfast.ops.vault import USED, Vault
from holdfast.topology import Cluster, Environment, certificates, names
from holdfast.topology.certificates import Subject


@dataclass(frozen=True)
class Place:
    """Of one certificate, that of a node or that of an application."""

    secret: str
    subject: Subject
    node: bool


@dataclass(frozen=True)
class Kept:
    """A certificate as it is in its place."""

    pair: Pair
    trusted: str
    """Whom its owner believes, as PEM."""


def places(cluster: Cluster) -> Iterator[Place]:
    """Of all certificates that an environment needs.

    Raises:
        CloudError: the public addresses, for which they are too, cannot be looked up.
    """
    environment = cluster.environment
    found = public.addresses(environment)
    for node in cluster.nodes:
        given = [one.address for one in found if one.node == node.name]
        subject = certificates.of_node(cluster, node, given)
        yield Place(names.node_certificate(environment, node.name), subject, node=True)
    for name in environment.applications:
        yield of_application(environment, name)


def of_application(environment: Environment, name: str) -> Place:
    return Place(names.client_certificate(environment, name), certificates.of_application(name), node=False)


class Store:
    """The certificates of one environment.

    Every method raises `CloudError` where the API refuses, and `NoSecret` where there is no place for what it is about.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment, self._vault = environment, Vault(environment)

    def authority(self) -> Authority | None:
        content = self._content(names.authority(self._environment))
        if content is None:
            return None
        following = content["following"]
        return Authority(Pair(**content["signer"]), Pair(**following) if following else None, content["last"])

    def keep_first(self, made: Authority) -> None:
        """Unless there is one: of two who do it at once, one is kept."""
        name = names.authority(self._environment)
        self._vault.put_first(name, json.dumps(asdict(made)), str(uuid.uuid5(uuid.NAMESPACE_URL, name)))

    def change(self, authority: Authority) -> None:
        self._vault.put(names.authority(self._environment), json.dumps(asdict(authority)), USED)

    def publish(self, authority: Authority) -> None:
        """For whoever is to believe in it, and may read no secret."""
        try:
            cloud.client(self._environment, "s3").put_object(
                Bucket=names.bucket(self._environment), Key=names.AUTHORITY_KEY, Body=authority.trusted.encode()
            )
        except (BotoCoreError, ClientError) as error:
            raise cloud.explain(self._environment, "publishing the authority's certificate", error) from None

    def read(self, place: Place) -> Kept | None:
        content = self._content(place.secret)
        return Kept(Pair(content["certificate"], content["key"]), content["ca"]) if content else None

    def version(self, place: Place) -> str | None:
        """Of the certificate in use, as Secrets Manager calls it."""
        return self._vault.describe(place.secret).versions.get(USED)

    def put(self, place: Place, made: Pair, authority: Authority) -> None:
        content = {
            "certificate": made.certificate,
            "key": made.key,
            "ca": authority.trusted,
            "ends": made.ends.isoformat(timespec="seconds"),
        }
        self._vault.put(place.secret, json.dumps(content), USED)

    def _content(self, name: str) -> Any:
        """None where nothing is there yet."""
        return json.loads(self._vault.read(name)) if USED in self._vault.describe(name).versions else None
