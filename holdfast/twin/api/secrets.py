"""Secrets as Secrets Manager has them: the label AWSCURRENT says the value, a deleted one keeps its name."""

from __future__ import annotations

from typing import Any

from moto.secretsmanager.exceptions import InvalidRequestException
from moto.secretsmanager.models import SecretsManagerBackend

from holdfast.twin.api.patching import Method, around


@around(SecretsManagerBackend, "get_secret_value")
def _get(original: Method, self: Any, *, secret_id: str, version_id: str | None, version_stage: str | None) -> Any:
    """moto gives the version that was written last as such, wherever the label has moved since."""
    secret = self.secrets.get(secret_id) if version_id is None and version_stage is None else None
    if secret is not None and any("AWSCURRENT" in it["version_stages"] for it in secret.versions.values()):
        version_stage = "AWSCURRENT"
    return original(self, secret_id, version_id, version_stage)


@around(SecretsManagerBackend, "create_secret")
def _create(original: Method, self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    secret = self.secrets.get(name)
    if secret is not None and secret.is_deleted():
        raise InvalidRequestException(
            "You can't create this secret because a secret with this name is already scheduled for deletion."
        )
    return original(self, name, *args, **kwargs)
