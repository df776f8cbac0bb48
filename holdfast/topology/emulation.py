"""How Terraform's AWS provider reaches a cloud that is not AWS."""

from __future__ import annotations

from typing import Any

SERVICES = ("cloudwatch", "ec2", "iam", "kms", "logs", "route53", "s3", "secretsmanager", "sns", "ssm", "sts")

RETRIES = 3
"""An API call that an emulation does not know is otherwise retried for minutes."""

PROVIDER: dict[str, Any] = {
    # An emulation takes any key, and must not see real ones.
    "access_key": "holdfast",
    "secret_key": "holdfast",
    "max_retries": RETRIES,
    "s3_use_path_style": True,
    "skip_credentials_validation": True,
    "skip_metadata_api_check": "true",
    "skip_region_validation": True,
}
"""Arguments of the provider, besides its endpoints."""


def endpoints(endpoint: str) -> list[dict[str, str]]:
    """The provider's block of that name."""
    return [dict.fromkeys(SERVICES, endpoint)]
