"""How Terraform's AWS provider and boto3 reach a cloud that is not AWS, and the key that they show there."""

from __future__ import annotations

import configparser
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError

SERVICES = ("cloudwatch", "ec2", "iam", "kms", "logs", "route53", "s3", "secretsmanager", "sns", "ssm", "sts")

RETRIES = 3
"""An API call that an emulation does not know is otherwise retried for minutes."""

CREDENTIALS = Path("/run/holdfast-twin.credentials")
VARIABLE = "HOLDFAST_TWIN_CREDENTIALS"
"""Names another file than that, as tests have."""
PROFILE = "holdfast-twin"


@dataclass(frozen=True)
class Key:
    """An access key."""

    id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> Key:
        return cls(f"HOLDFAST{secrets.token_hex(6).upper()}", secrets.token_urlsafe(30))


def file() -> Path:
    """Where the key is, as an AWS credentials file: neither it nor a real key gets into Terraform's files."""
    return Path(os.environ.get(VARIABLE) or CREDENTIALS)


def key() -> Key | None:
    """None without a twin.

    Raises:
        HoldfastError: it is another user's.
    """
    content = configparser.ConfigParser(interpolation=None)
    try:
        content.read_string(file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except PermissionError:
        owner = f"user {file().stat().st_uid}, who brought the twin up"
        raise HoldfastError(f"no key for the twin's API: {file()} is for {owner}, and for root") from None
    return Key(content[PROFILE]["aws_access_key_id"], content[PROFILE]["aws_secret_access_key"])


def write(path: Path, key: Key, owner: int = -1) -> None:
    """For this user alone, or for `owner`. The file must be new."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        os.fchown(stream.fileno(), owner, -1)
        stream.write(f"[{PROFILE}]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n")


def provider() -> dict[str, Any]:
    """Arguments of Terraform's provider, besides its endpoints."""
    return {
        # A profile goes before keys in the environment, which may be real ones.
        "profile": PROFILE,
        "shared_credentials_files": [str(file())],
        "max_retries": RETRIES,
        "s3_use_path_style": True,
        "skip_credentials_validation": True,
        "skip_metadata_api_check": "true",
        "skip_region_validation": True,
    }


def endpoints(endpoint: str) -> list[dict[str, str]]:
    """The provider's block of that name."""
    return [dict.fromkeys(SERVICES, endpoint)]
