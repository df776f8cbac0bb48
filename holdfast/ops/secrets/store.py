"""Passwords in Secrets Manager, by its staging labels. The passwords themselves go in, and never come out here."""

from __future__ import annotations

import json
import secrets
import string
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud
from holdfast.topology import Environment, names
from holdfast.topology.users import User

USED, NEXT, LAST = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
"""Secrets Manager's labels, in the order in which a node reports the versions that it knows."""

PASSWORD_LENGTH = 40
ALPHABET = string.ascii_letters + string.digits


class NoSecret(HoldfastError):
    """The stack that makes the secrets is not deployed."""


@dataclass(frozen=True)
class Secret:
    user: User
    versions: Mapping[str, str]
    """Label → version, of those labels that there are."""
    changed: datetime | None
    """When anything of it changed last."""

    @property
    def accepted(self) -> list[str]:
        """The versions that nodes accept, the one in use first: as a node reports them."""
        return list(dict.fromkeys(self.versions[label] for label in (USED, NEXT, LAST) if label in self.versions))


class Store:
    """The secrets of one environment. Every method raises `CloudError` where the API refuses."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._api = cloud.client(environment, "secretsmanager")

    def read(self, user: User) -> Secret:
        """Which passwords a user has.

        Raises:
            NoSecret: there is no place for them yet.
        """
        name = self._name(user)
        try:
            found = self._api.describe_secret(SecretId=name)
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "ResourceNotFoundException":
                raise NoSecret(
                    f"{self._environment.name}: there is no secret {name}; it comes with the stack "
                    f"{names.identity_stack(self._environment)}: cdktf deploy '{self._environment.name}-*'"
                ) from None
            raise cloud.explain(self._environment, f"reading the secret {name}", error) from None
        stages: dict[str, list[str]] = found.get("VersionIdsToStages") or {}
        versions = {label: version for version, labels in stages.items() for label in labels}
        return Secret(user, versions, found.get("LastChangedDate") or found.get("CreatedDate"))

    def make_first(self, secret: Secret) -> None:
        """A password for who has none. Two who do it at once make one."""
        # The same token for both: Secrets Manager refuses the second one's content.
        token = str(uuid.uuid5(uuid.NAMESPACE_URL, self._name(secret.user)))
        with self._explained(secret, "writing", unless="ResourceExistsException"):
            self._put(secret, USED, ClientRequestToken=token)

    def make_next(self, secret: Secret) -> None:
        """A second password, which nobody uses yet."""
        with self._explained(secret, "writing"):
            self._put(secret, NEXT)

    def use_next(self, secret: Secret) -> None:
        """The next password becomes the one in use, and the one in use the last one."""
        following, used = secret.versions[NEXT], secret.versions[USED]
        with self._explained(secret, "changing"):
            if following != used:
                self._label(secret, USED, MoveToVersionId=following, RemoveFromVersionId=used)
            self._label(secret, NEXT, RemoveFromVersionId=following)

    def drop_last(self, secret: Secret) -> None:
        """The last password counts no more."""
        with self._explained(secret, "changing"):
            self._label(secret, LAST, RemoveFromVersionId=secret.versions[LAST])

    def _put(self, secret: Secret, label: str, **token: str) -> None:
        password = "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))
        content = json.dumps({"user": secret.user.name, "password": password})
        self._api.put_secret_value(
            SecretId=self._name(secret.user), SecretString=content, VersionStages=[label], **token
        )

    def _label(self, secret: Secret, label: str, **versions: Any) -> None:
        self._api.update_secret_version_stage(SecretId=self._name(secret.user), VersionStage=label, **versions)

    def _name(self, user: User) -> str:
        return names.secret(self._environment, user.name)

    @contextmanager
    def _explained(self, secret: Secret, doing: str, unless: str | None = None) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == unless:
                return
            raise cloud.explain(self._environment, f"{doing} the secret {self._name(secret.user)}", error) from None
