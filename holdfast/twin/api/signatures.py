"""Signature Version 4 as a server checks it: whoever made a request has the secret of the key that it names."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key_id>[^/]+)/(?P<scope>\d{8}/[^/]+/(?P<service>[^/]+)/aws4_request), ?"
    r"SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<value>[0-9a-f]{64})"
)
OUTSIDE = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
"""Headers that WSGI names without HTTP_."""

NOT_HASHED = ("UNSIGNED-", "STREAMING-")
"""S3 takes a body that its signature does not cover."""


@dataclass(frozen=True)
class Signature:
    key_id: str
    scope: str
    service: str
    headers: str
    """Their names, with semicolons between."""
    value: str


def read(environ: dict[str, Any]) -> Signature | None:
    """What the header says; None without one. A presigned address has none: nothing here makes any."""
    found = AUTHORIZATION.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
    return Signature(**found.groupdict()) if found else None


def fits(signature: Signature, environ: dict[str, Any], body: bytes, secret: str) -> bool:
    """Whether the request is what its sender signed with this secret. The time is not looked at: clocks are a fault."""
    names = signature.headers.split(";")
    if "host" not in names:
        return False
    headers = "".join(f"{name}:{_header(environ, name)}\n" for name in names)
    path, _, query = environ["REQUEST_URI"].partition("?")
    if signature.service != "s3":
        path = quote(path, safe="/~")
    parameters = sorted(part.partition("=")[::2] for part in query.split("&") if part)
    canonical_query = "&".join(f"{name}={value}" for name, value in parameters)
    payload = environ.get("HTTP_X_AMZ_CONTENT_SHA256", "")
    if not payload.startswith(NOT_HASHED):
        payload = hashlib.sha256(body).hexdigest()
    method = environ["REQUEST_METHOD"]
    request = f"{method}\n{path}\n{canonical_query}\n{headers}\n{signature.headers}\n{payload}".encode("latin-1")
    date = environ.get("HTTP_X_AMZ_DATE", "")
    text = f"AWS4-HMAC-SHA256\n{date}\n{signature.scope}\n{hashlib.sha256(request).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in signature.scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signature.value)


def _header(environ: dict[str, Any], name: str) -> str:
    value = environ.get(OUTSIDE.get(name, f"HTTP_{name.upper().replace('-', '_')}"), "")
    return " ".join(value.split())
