"""Secrets Manager, as far as anything here uses it: a secret by its name, its versions by their labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud
from holdfast.topology import Environment, names

USED, NEXT, LAST = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
"""Secrets Manager's labels, in the order in which a node reports the versions that it knows."""


class NoSecret(HoldfastError):
    """The stack that makes the secrets is not deployed."""


@dataclass(frozen=True)
class Described:
    versions: Mapping[str, str]
    """Label → version, of those labels that there are."""
    tags: Mapping[str, str]
    changed: datetime | None
    """When anything of it changed last."""


class Vault:
    """The secrets of one environment. Every method raises `CloudError` where the API refuses."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._api = cloud.client(environment, "secretsmanager")

    def describe(self, name: str) -> Described:
        """Which versions there are.

        Raises:
            NoSecret: there is no place for them yet.
        """
        try:
            found = self._api.describe_secret(SecretId=name)
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "ResourceNotFoundException":
                raise NoSecret(
                    f"{self._environment.name}: there is no secret {name}; it comes with the stack "
                    f"{names.identity_stack(self._environment)}: make deploy ENV={self._environment.name}"
                ) from None
            raise cloud.explain(self._environment, f"reading the secret {name}", error) from None
        stages: dict[str, list[str]] = found.get("VersionIdsToStages") or {}
        versions = {label: version for version, labels in stages.items() for label in labels}
        tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags") or []}
        return Described(versions, tags, found.get("LastChangedDate") or found.get("CreatedDate"))

    def is_reserved(self, name: str) -> bool:
        """Whether a secret of that name is scheduled for deletion: until that is over, there is no other one."""
        with self._explained(name, "looking for", unless="ResourceNotFoundException"):
            return "DeletedDate" in self._api.describe_secret(SecretId=name)
        return False

    def release(self, name: str) -> None:
        """Delete one that is scheduled for deletion now, for good."""
        with self._explained(name, "deleting"):
            self._api.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)

    def read(self, name: str, **version: str) -> str:
        """What is in use, or what is the version VersionId."""
        with self._explained(name, "reading"):
            return str(self._api.get_secret_value(SecretId=name, **version)["SecretString"])

    def put(self, name: str, content: str, label: str, **token: str) -> None:
        """A new version with that label, and no other; it is called as the ClientRequestToken, where there is one."""
        with self._explained(name, "writing"):
            self._api.put_secret_value(SecretId=name, SecretString=content, VersionStages=[label], **token)

    def put_first(self, name: str, content: str, token: str) -> bool:
        """A version to be in use, unless there is one of that token, which then stays: whether there was none."""
        with self._explained(name, "writing", unless="ResourceExistsException"):
            self._api.put_secret_value(
                SecretId=name, SecretString=content, VersionStages=[USED], ClientRequestToken=token
            )
            return True
        return False

    def label(self, name: str, label: str, **versions: str) -> None:
        """Move a label: MoveToVersionId, RemoveFromVersionId."""
        with self._explained(name, "changing"):
            self._api.update_secret_version_stage(SecretId=name, VersionStage=label, **versions)

    def tag(self, name: str, key: str, value: str) -> None:
        with self._explained(name, "tagging"):
            self._api.tag_resource(SecretId=name, Tags=[{"Key": key, "Value": value}])

    def untag(self, name: str, keys: Sequence[str]) -> None:
        with self._explained(name, "taking tags off"):
            self._api.untag_resource(SecretId=name, TagKeys=keys)

    @contextmanager
    def _explained(self, name: str, doing: str, unless: str | None = None) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == unless:
                return
            raise cloud.explain(self._environment, f"{doing} the secret {name}", error) from None
