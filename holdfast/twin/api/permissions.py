"""Which permissions a machine's call takes, and whether the role that signed it has them.

moto takes every call of everybody. From a network of the twin a call must be signed with the keys of an instance's
role, and allowed to it by its policies; what it used of them is kept, so that a test finds what a role has and nobody
needs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from moto.backends import get_backend

from holdfast.twin.api.policies import Grant, Need, grant, grants
from holdfast.twin.api.serving import Refusal, Request, refuse

S3_ACTIONS = {"GET": ("s3:GetObject", "kms:Decrypt"), "PUT": ("s3:PutObject", "kms:GenerateDataKey")}
"""Method → the permission for an object, and the one for the key that encrypts it."""


FORMS = ("ec2", "sts")
"""Services that take one."""


@dataclass(frozen=True)
class Unknown:
    """A call of which nobody has written down here what it takes."""

    what: str


class Permissions:
    """Of all roles of one account and region."""

    def __init__(self, account: str, region: str) -> None:
        self._account, self._region = account, region
        self._used: dict[str, set[Grant]] = {}

    def refusal(self, request: Request) -> Refusal | None:
        """Why a call is not allowed, in the words of the service; None where it is. Under the API's lock."""
        if request.signature is None:
            return refuse(request.call, "MissingAuthenticationToken", "The request is not signed.")
        session = get_backend("sts")[self._account]["aws"].get_assumed_role_from_access_key(request.signature.key_id)
        role = self._role(session.role_arn.rpartition("/")[2]) if session else None
        if session is None or role is None:
            message = "The security token included in the request is invalid."
            return refuse(request.call, "InvalidClientTokenId", message)
        if not request.signed_with(session.secret_access_key):
            return wrongly_signed(request)
        policies = _policies(role)
        for need in self._needs(request):
            granted = None if isinstance(need, Unknown) else grant(policies, need)
            if granted is None:
                what = f"{need.what}: the twin does not know what it takes" if isinstance(need, Unknown) else need
                return refuse(request.call, None, f"role {role.name} is not authorized to perform: {what}")
            self._used.setdefault(role.name, set()).add(granted)
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
        return list(get_backend("iam")[self._account]["aws"].roles.values())

    def _needs(self, request: Request) -> Iterator[Need | Unknown]:
        call = request.call
        if _says_two(request):
            yield Unknown(f"{call.service}:{call.action}")
        elif call.service == "sts" and call.action == "GetCallerIdentity":
            return
        elif call.service == "s3":
            once = {} if request.if_none_match is None else {"s3:if-none-match": request.if_none_match}
            yield from self._of_object(*call.action.partition(" ")[::2], once)
        elif call.service == "secretsmanager" and call.action in ("GetSecretValue", "DescribeSecret"):
            yield from self._of_secret(call.action, json.loads(request.body)["SecretId"])
        elif call.service == "ec2" and call.action.startswith("Describe"):
            yield Need(f"ec2:{call.action}", "*")
        elif call.service == "ec2" and call.action in EC2:
            yield from EC2[call.action](self, request.parameters)
        else:
            yield Unknown(f"{call.service}:{call.action}")

    def _of_object(self, method: str, path: str, once: Mapping[str, str]) -> Iterator[Need | Unknown]:
        bucket, _, key = unquote(path).strip("/").partition("/")
        stored = get_backend("s3")[self._account]["aws"].buckets.get(bucket)
        if method not in S3_ACTIONS or not key or stored is None:
            yield Unknown(f"s3: {method} {path}")
            return
        action, of_key = S3_ACTIONS[method]
        # moto has one account, so whatever is there is its own.
        ours = {"aws:ResourceAccount": self._account}
        yield Need(action, f"arn:aws:s3:::{bucket}/{key}", {**ours, **once} if method == "PUT" else ours)
        if method == "GET" and key not in stored.keys:
            # Else S3 does not tell that there is none.
            yield Need("s3:ListBucket", f"arn:aws:s3:::{bucket}", ours)
            return
        default = ((stored.encryption or {}).get("Rule") or {}).get("ApplyServerSideEncryptionByDefault") or {}
        if default.get("SSEAlgorithm") == "aws:kms":
            yield self._through("s3", of_key, default["KMSMasterKeyID"])

    def _of_secret(self, action: str, name: str) -> Iterator[Need]:
        secrets = get_backend("secretsmanager")[self._account][self._region].secrets
        secret: Any = secrets.get(name)
        arn = secret.arn if secret else self._arn("secretsmanager", f"secret:{name}")
        yield Need(f"secretsmanager:{action}", arn)
        if action == "GetSecretValue" and secret and secret.kms_key_id:
            yield self._through("secretsmanager", "kms:Decrypt", secret.kms_key_id)

    def _attachment(self, parameters: Mapping[str, str]) -> Iterator[Need]:
        for kind, parameter in (("volume", "VolumeId"), ("instance", "InstanceId")):
            yield self._on("ec2:AttachVolume", kind, parameters[parameter])
        volume = get_backend("ec2")[self._account][self._region].volumes.get(parameters["VolumeId"])
        if volume is not None and volume.kms_key_id:
            # By which EC2 decrypts it, as long as it is attached.
            need = self._through("ec2", "kms:CreateGrant", volume.kms_key_id)
            yield Need(need.action, need.resource, {**need.context, "kms:GrantIsForAWSResource": "true"})

    def _replacement(self, parameters: Mapping[str, str]) -> Iterator[Need]:
        yield self._on("ec2:ReplaceRoute", "route-table", parameters["RouteTableId"])

    def _on(self, action: str, kind: str, id: str) -> Need:
        tags = get_backend("ec2")[self._account][self._region].tags.get(id, {})
        context = {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
        return Need(action, self._arn("ec2", f"{kind}/{id}"), context)

    def _through(self, service: str, action: str, key: str) -> Need:
        arn = key if key.startswith("arn:") else self._arn("kms", f"key/{key}")
        return Need(action, arn, {"kms:ViaService": f"{service}.{self._region}.amazonaws.com"})

    def _arn(self, service: str, what: str) -> str:
        return f"arn:aws:{service}:{self._region}:{self._account}:{what}"


EC2: dict[str, Callable[[Permissions, Mapping[str, str]], Iterator[Need]]] = {
    "AttachVolume": Permissions._attachment,
    "ReplaceRoute": Permissions._replacement,
}


def _policies(role: Any) -> list[dict[str, Any]]:
    return [json.loads(unquote(document)) for document in role.policies.values()]


def _says_two(request: Request) -> bool:
    """Whether moto may take another action from the request than the one that is looked at: it looks in the address, in
    a form and in a header."""
    environ = request.environ
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    named = form and "HTTP_X_AMZ_TARGET" in environ
    return bool(environ["QUERY_STRING"]) or named or form != (request.call.service in FORMS)


def wrongly_signed(request: Request) -> Refusal:
    message = "The signature does not match: the request was changed, or signed with another key."
    return refuse(request.call, "SignatureDoesNotMatch", message)
