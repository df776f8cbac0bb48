"""Secrets with the value that Secrets Manager gives: that of the label AWSCURRENT, where none is asked for."""

from __future__ import annotations

from typing import Any

from moto.secretsmanager.models import SecretsManagerBackend

from holdfast.twin.api.patching import Method, around


@around(SecretsManagerBackend, "get_secret_value")
def _get(original: Method, self: Any, *, secret_id: str, version_id: str | None, version_stage: str | None) -> Any:
    """moto gives the version that was written last as such, wherever the label has moved since."""
    secret = self.secrets.get(secret_id) if version_id is None and version_stage is None else None
    if secret is not None and any("AWSCURRENT" in it["version_stages"] for it in secret.versions.values()):
        version_stage = "AWSCURRENT"
    return original(self, secret_id, version_id, version_stage)
