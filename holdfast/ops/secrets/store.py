"""Passwords in Secrets Manager, by its staging labels, and beside each version the hash by which nodes check it.

The passwords themselves go in. They come out only where a version's hash is missing: one that was made before hashes
were kept, or by somebody who was interrupted, or by hand.
"""

from __future__ import annotations

import hashlib
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
    hashed: frozenset[str]
    """The versions whose hash is kept, with a label or not."""
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
        tags = [key for key in found.tags if key.startswith(names.HASH_TAG)]
        hashed = frozenset(key.removeprefix(names.HASH_TAG) for key in tags)
        return Secret(user, found.versions, hashed, found.changed)

    def make_first(self, secret: Secret) -> None:
        """A password for who has none. Two who do it at once make one."""
        name, content = self._name(secret.user), _new(secret)
        # The same token for both: Secrets Manager refuses the second one's content.
        version = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
        if self._vault.put_first(name, content, version):
            self._keep_hash(secret, version, content)

    def make_next(self, secret: Secret) -> None:
        """A second password, which nobody uses yet."""
        content, version = _new(secret), str(uuid.uuid4())
        # First, so that a node never sees a version that counts and has none.
        self._keep_hash(secret, version, content)
        self._vault.put(self._name(secret.user), content, NEXT, ClientRequestToken=version)

    def add_hashes(self, secret: Secret) -> bool:
        """Those that are missing of versions that count; whether any was."""
        missing = [version for version in secret.accepted if version not in secret.hashed]
        for version in missing:
            self._keep_hash(secret, version, self._vault.read(self._name(secret.user), VersionId=version))
        return bool(missing)

    def drop_hashes(self, secret: Secret) -> None:
        """Those of versions that count no more."""
        stale = sorted(secret.hashed - set(secret.accepted))
        if stale:
            self._vault.untag(self._name(secret.user), [f"{names.HASH_TAG}{version}" for version in stale])

    def use_next(self, secret: Secret) -> None:
        """The next password becomes the one in use, and the one in use the last one."""
        name, following, used = self._name(secret.user), secret.versions[NEXT], secret.versions[USED]
        if following != used:
            self._vault.label(name, USED, MoveToVersionId=following, RemoveFromVersionId=used)
        self._vault.label(name, NEXT, RemoveFromVersionId=following)

    def drop_last(self, secret: Secret) -> None:
        """The last password counts no more."""
        self._vault.label(self._name(secret.user), LAST, RemoveFromVersionId=secret.versions[LAST])

    def _keep_hash(self, secret: Secret, version: str, content: str) -> None:
        """Of the password in a version's content. Unsalted: nobody guesses one of `PASSWORD_LENGTH` random letters."""
        digest = hashlib.sha256(json.loads(content)["password"].encode()).hexdigest()
        self._vault.tag(self._name(secret.user), f"{names.HASH_TAG}{version}", digest)

    def _name(self, user: User) -> str:
        return names.secret(self._environment, user.name)


def _new(secret: Secret) -> str:
    password = "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))
    return json.dumps({"user": secret.user.name, "password": password})
