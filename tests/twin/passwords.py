"""Passwords as Secrets Manager gives them to who may read them."""

from __future__ import annotations

import json

from holdfast.ops import cloud
from holdfast.topology import Environment, names


def password(environment: Environment, user: str) -> str:
    api = cloud.client(environment, "secretsmanager")
    content = json.loads(api.get_secret_value(SecretId=names.secret(environment, user))["SecretString"])
    assert content["user"] == user
    found: str = content["password"]
    return found
