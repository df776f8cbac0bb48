"""Passwords in Secrets Manager, by its staging labels. The passwords themselves go in, and never come out here."""

from __future__ import annotations

import json
import secrets
import string
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from holdfast.ops.vault import LAST, NEXT, USED, Vault
from holdfast.topology import Environment, names
from holdfast.topology.users import User

PASSWORD_LENGTH = 40
ALPHABET = string.ascii_letters + string.digits


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
    """The passwords of one environment. Every method raises `CloudError` where the API refuses."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._vault = Vault(environment)

    def read(self, user: User) -> Secret:
        """Which passwords a user has.

        Raises:
            NoSecret: there is no place for them yet.
        """
        found = self._vault.describe(self._name(user))
        return Secret(user, found.versions, found.changed)

    def make_first(self, secret: Secret) -> None:
        """A password for who has none. Two who do it at once make one."""
        name = self._name(secret.user)
        # The same token for both: Secrets Manager refuses the second one's content.
        self._vault.put_first(name, _new(secret), str(uuid.uuid5(uuid.NAMESPACE_URL, name)))

    def make_next(self, secret: Secret) -> None:
        """A second password, which nobody uses yet."""
        self._vault.put(self._name(secret.user), _new(secret), NEXT)

    def use_next(self, secret: Secret) -> None:
        """The next password becomes the one in use, and the one in use the last one."""
        name, following, used = self._name(secret.user), secret.versions[NEXT], secret.versions[USED]
        if following != used:
            self._vault.label(name, USED, MoveToVersionId=following, RemoveFromVersionId=used)
        self._vault.label(name, NEXT, RemoveFromVersionId=following)

    def drop_last(self, secret: Secret) -> None:
        """The last password counts no more."""
        self._vault.label(self._name(secret.user), LAST, RemoveFromVersionId=secret.versions[LAST])

    def _name(self, user: User) -> str:
        return names.secret(self._environment, user.name)


def _new(secret: Secret) -> str:
    password = "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))
    return json.dumps({"user": secret.user.name, "password": password})
