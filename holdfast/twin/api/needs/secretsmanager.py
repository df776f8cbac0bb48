"""Of Secrets Manager: secrets by their names and tags, and the keys that encrypt them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from holdfast.twin.api.needs.account import Account, Unknown, listed, request_tags, resource_tags
from holdfast.twin.api.policies import Need
from holdfast.twin.api.serving import Request

KEYS = {
    "GetSecretValue": ("kms:Decrypt",),
    # Each API's page, "Required permissions".
    "PutSecretValue": ("kms:GenerateDataKey", "kms:Decrypt"),
    "UpdateSecret": ("kms:GenerateDataKey", "kms:Decrypt"),
}


def needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    action, body = request.call.action, json.loads(request.body or b"{}")
    secrets = account.here("secretsmanager").secrets
    if action == "CreateSecret":
        # Secrets Manager ends the ARN with a hyphen and six characters of its own.
        arn, tags = account.arn("secretsmanager", f"secret:{body['Name']}-??????"), request_tags(listed(body["Tags"]))
        yield Need("secretsmanager:CreateSecret", arn, tags)
        if tags:
            yield Need("secretsmanager:TagResource", arn, tags)
        return
    if action == "ListSecrets":
        yield Need("secretsmanager:ListSecrets", "*")
        return
    if "SecretId" not in body:
        yield Unknown(f"secretsmanager:{action}")
        return
    named = body["SecretId"]
    secret: Any = secrets.get(named)
    missing = named if named.startswith("arn:") else account.arn("secretsmanager", f"secret:{named}")
    arn = secret.arn if secret else missing
    there = resource_tags(listed(secret.tags or ())) if secret else {}
    yield Need(f"secretsmanager:{action}", arn, {**there, **request_tags(listed(body.get("Tags", ())))})
    if secret and secret.kms_key_id:
        for of_key in KEYS.get(action, ()):
            yield account.through("secretsmanager", of_key, secret.kms_key_id)
