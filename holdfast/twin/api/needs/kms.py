"""Of KMS: keys by their tags, aliases by their names. AWS KMS developer guide, "AWS KMS permissions"."""

from __future__ import annotations

import json
from collections.abc import Iterator

from holdfast.twin.api.needs.account import Account, Unknown, listed, request_tags
from holdfast.twin.api.policies import Need
from holdfast.twin.api.serving import Request

EVERYTHING = ("ListAliases", "ListKeys")
OF_ALIASES = ("CreateAlias", "DeleteAlias", "UpdateAlias")


def needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    action, body = request.call.action, json.loads(request.body or b"{}")
    if action in EVERYTHING:
        yield Need(f"kms:{action}", "*")
    elif action == "CreateKey":
        tags = request_tags(listed(body.get("Tags", ())))
        yield Need("kms:CreateKey", "*", tags)
        if tags:
            yield Need("kms:TagResource", account.arn("kms", "key/*"), tags)
    elif action in OF_ALIASES:
        yield from _of_alias(account, action, body["AliasName"], body.get("TargetKeyId"))
    elif "KeyId" in body:
        need = account.of_key(f"kms:{action}", body["KeyId"])
        yield Need(need.action, need.resource, {**need.context, **request_tags(listed(body.get("Tags", ())))})
    else:
        yield Unknown(f"kms:{action}")


def _of_alias(account: Account, action: str, alias: str, key: str | None) -> Iterator[Need]:
    """On the alias, and on the key that it leads to."""
    yield Need(f"kms:{action}", account.arn("kms", alias))
    kms = account.here("kms")
    leads = key or (kms.get_key_id_from_alias(alias) if kms.alias_exists(alias) else None)
    if leads:
        yield account.of_key(f"kms:{action}", leads)
