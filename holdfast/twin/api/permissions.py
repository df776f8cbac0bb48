"""Whether the role that signed a call has the permissions that it takes.

moto takes every call of everybody. A call that is not signed with the twin's own key must be signed with the keys of a
role, and allowed to it by its policies and by its permissions boundary; what it used of them is kept, so that a test
finds what a role has and nobody needs.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from moto.backends import get_backend

from holdfast.twin.api import s3
from holdfast.twin.api.needs import Account, Unknown, needs
from holdfast.twin.api.policies import Grant, grant, grants
from holdfast.twin.api.serving import Refusal, Request, refuse


class Permissions:
    """Of all roles of one account and region."""

    def __init__(self, account: str, region: str) -> None:
        self._account = Account(account, region)
        self._used: dict[str, set[Grant]] = {}

    def refusal(self, request: Request) -> Refusal | None:
        """Why a call is not allowed, in the words of the service; None where it is. Under the API's lock."""
        if request.signature is None:
            return refuse(request.call, "MissingAuthenticationToken", "The request is not signed.")
        sts = get_backend("sts")[self._account.id]["aws"]
        session = sts.get_assumed_role_from_access_key(request.signature.key_id)
        role = self._role(session.role_arn.rpartition("/")[2]) if session else None
        if session is None or role is None:
            message = "The security token included in the request is invalid."
            return refuse(request.call, "InvalidClientTokenId", message)
        if not request.signed_with(session.secret_access_key):
            return wrongly_signed(request)
        policies, boundary = _policies(role), self._boundary(role)
        used = set()
        for need in needs(self._account, request):
            granted = None if isinstance(need, Unknown) else grant(policies, need)
            if granted is None:
                what = f"{need.what}: the twin does not know what it takes" if isinstance(need, Unknown) else need
                return refuse(request.call, None, f"role {role.name} is not authorized to perform: {what}")
            if boundary is not None and not isinstance(need, Unknown) and grant([boundary], need) is None:
                why = f"{need}: its permissions boundary does not allow it"
                return refuse(request.call, None, f"role {role.name} is not authorized to perform: {why}")
            used.add(granted)
        if (denied := s3.refusal(self._account, request, role.arn)) is not None:
            return denied
        self._used.setdefault(role.name, set()).update(used)
        return None

    def unused(self) -> dict[str, list[Grant]]:
        """Role → what its policies allow, and no call has taken so far."""
        return {
            role.name: sorted(grants(_policies(role)) - self._used[role.name])
            for role in self._roles()
            if role.name in self._used
        }

    def _role(self, name: str) -> Any | None:
        return next((role for role in self._roles() if role.name == name), None)

    def _roles(self) -> list[Any]:
        return list(self._account.everywhere("iam").roles.values())

    def _boundary(self, role: Any) -> dict[str, Any] | None:
        """None where it has none. One that is not there allows nothing, as with IAM."""
        if not role.permissions_boundary_arn:
            return None
        managed = self._account.everywhere("iam").managed_policies.get(role.permissions_boundary_arn)
        return {"Statement": []} if managed is None else _document(managed)


def _policies(role: Any) -> list[dict[str, Any]]:
    own = [json.loads(unquote(document)) for document in role.policies.values()]
    return own + [_document(managed) for managed in role.managed_policies.values()]


def _document(managed: Any) -> dict[str, Any]:
    default = next(it for it in managed.versions if it.version_id == managed.default_version_id)
    document: dict[str, Any] = json.loads(unquote(default.document))
    return document


def wrongly_signed(request: Request) -> Refusal:
    message = "The signature does not match: the request was changed, or signed with another key."
    return refuse(request.call, "SignatureDoesNotMatch", message)
