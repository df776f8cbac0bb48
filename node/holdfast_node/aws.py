"""The cloud's API as a node calls it: over HTTP, signed with the instance role's credentials (Signature Version 4).

boto3 can do this too. It costs 28 MB in a program that always runs, and half a second of a core whenever one starts;
what a node calls is a handful of requests. This file imports nothing of the package: the first boot uses it alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

METADATA = "http://169.254.169.254/latest"
TIMEOUT = 3
"""Seconds for a connection and for an answer: during a zone's outage the API may be slow or dead."""

ATTEMPTS, BACKOFF = 3, 0.3
"""Tries of one call, and seconds after the first one; twice as long after each further one."""

LARGEST = 1024 * 1024
"""Bytes of an answer. The node program has a tenth of it; an object of the bucket may have any size."""

RENEW_BEFORE = 300
"""Seconds before they expire that credentials are fetched anew."""


class Refused(Exception):
    """The API's own error: `status` as in HTTP, `code` as AWS names it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.status, self.code = status, code


@dataclass(frozen=True)
class Credentials:
    key_id: str
    secret: str
    token: str | None = None
    expires: float = float("inf")
    """Seconds since the epoch."""


class Api:
    """The API of one region; `endpoint` is an emulation's URL, None for AWS itself."""

    def __init__(self, region: str, endpoint: str | None, timeout: float = TIMEOUT, largest: int = LARGEST) -> None:
        """`timeout`: seconds for a connection, for all of a body to be sent, and for an answer of `largest` bytes."""
        self._region, self._endpoint, self._timeout, self._largest = region, endpoint, timeout, largest
        self._credentials = Credentials("", "", expires=0.0)
        self.headers: Mapping[str, str] = {}
        """Of the last answer."""

    def s3(
        self,
        method: str,
        bucket: str,
        key: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        """Get or put an object; with an empty key and a `query`, list a bucket. Raises as `call`."""
        base = f"{self._endpoint}/{bucket}" if self._endpoint else f"https://{bucket}.s3.{self._region}.amazonaws.com"
        typed = {"content-type": "application/octet-stream", **(headers or {})}
        asked = f"?{urlencode(query, quote_via=quote, safe='')}" if query else ""
        return self.call("s3", method, f"{base}/{quote(key)}{asked}", body, typed)

    def json(self, service: str, target: str, **parameters: object) -> dict[str, object]:
        """A call of a service that speaks JSON, such as `secretsmanager.GetSecretValue`. Raises as `call`."""
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"{service}.{target}"}
        body = json.dumps(parameters).encode()
        answer: dict[str, object] = json.loads(self.call(service, "POST", self._url(service), body, headers))
        return answer

    def ec2(self, action: str, **parameters: str) -> ElementTree.Element:
        """A call of EC2; the answer without its namespace. Raises as `call`."""
        body = urlencode({"Action": action, "Version": "2016-11-15", **parameters}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        return plain(self.call("ec2", "POST", self._url("ec2"), body, headers))

    def call(self, service: str, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """One request, tried again while the API is away or too busy.

        Raises:
            Refused: the API's own error.
            OSError: no answer.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._try(service, method, url, body, headers)
            except Refused as refused:
                if attempt == ATTEMPTS or (refused.status < 500 and refused.status != 429):
                    raise
            except OSError:
                if attempt == ATTEMPTS:
                    raise
            time.sleep(BACKOFF * 2 ** (attempt - 1))
        raise AssertionError

    def _try(self, service: str, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        if self._credentials.expires - time.time() < RENEW_BEFORE:
            self._credentials = credentials()
        now = datetime.now(timezone.utc)
        signed = sign(method, url, headers, body, service, self._region, self._credentials, now)
        request = urllib.request.Request(url, data=body or None, headers=signed, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                content: bytes = answer.read(self._largest + 1)
                if len(content) > self._largest:
                    raise Refused(answer.status, "TooLarge", f"accepted: {self._largest:,} bytes at most")
                self.headers = answer.headers
                return content
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                # The machine may have another role by now: what the old one's credentials may is nothing.
                self._credentials = replace(self._credentials, expires=0.0)
            raise _refusal(error.code, error.read().decode(errors="replace")) from None

    def _url(self, service: str) -> str:
        return f"{self._endpoint or f'https://{service}.{self._region}.amazonaws.com'}/"


def plain(content: bytes) -> ElementTree.Element:
    """XML without its namespace."""
    root = ElementTree.fromstring(content)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    service: str,
    region: str,
    credentials: Credentials,
    now: datetime,
) -> dict[str, str]:
    """The headers of a request with its signature. The URL's path and query are encoded already."""
    split, payload = urlsplit(url), hashlib.sha256(body).hexdigest()
    full = {name.lower(): value for name, value in headers.items()}
    full |= {"host": split.netloc, "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}", "x-amz-content-sha256": payload}
    if credentials.token:
        full["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(full))
    lines = "".join(f"{name}:{full[name].strip()}\n" for name in sorted(full))
    # In the order of the encoded names; one without a value has an equals sign all the same.
    query = "&".join(sorted(one if "=" in one else f"{one}=" for one in split.query.split("&") if one))
    request = f"{method}\n{split.path or '/'}\n{query}\n{lines}\n{names}\n{payload}"
    scope = f"{now:%Y%m%d}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{full['x-amz-date']}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    full["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return full


def _refusal(status: int, body: str) -> Refused:
    """AWS words its errors in XML or in JSON; a HEAD, and what stands in between, in neither."""
    try:
        content = json.loads(body)
        code = str(content.get("__type", status)).rpartition("#")[2]
        return Refused(status, code, str(content.get("message") or content.get("Message") or ""))
    except ValueError:
        pass
    try:
        found = {element.tag.rpartition("}")[2]: element.text or "" for element in ElementTree.fromstring(body).iter()}
    except ElementTree.ParseError:
        found = {}
    return Refused(status, found.get("Code", str(status)), found.get("Message", ""))


def credentials() -> Credentials:
    """The instance role's; or those of the environment, where they are set, as boto3 takes them.

    Raises:
        OSError: there are none yet.
    """
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key_id and secret:
        return Credentials(key_id, secret, os.environ.get("AWS_SESSION_TOKEN"))
    roles = metadata("meta-data/iam/security-credentials/").splitlines()
    if not roles:
        raise OSError("the metadata service names no role of this machine yet")
    found = json.loads(metadata(f"meta-data/iam/security-credentials/{roles[0]}"))
    if "AccessKeyId" not in found:
        # IAM tells its own parts of a new role one after the other.
        raise OSError(f"no credentials of {roles[0]} yet: {found.get('Code')}: {found.get('Message')}")
    expires = datetime.strptime(found["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"], expires.timestamp())


def metadata(path: str) -> str:
    """What the metadata service says of this machine. Raises OSError where it does not answer."""
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    request = urllib.request.Request(f"{METADATA}/api/token", method="PUT", headers=ttl)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        token = answer.read().decode()
    request = urllib.request.Request(f"{METADATA}/{path}", headers={"X-aws-ec2-metadata-token": token})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        text: str = answer.read().decode()
    return text


def instance_id() -> str:
    return metadata("meta-data/instance-id")


def image_id() -> str:
    return metadata("meta-data/ami-id")


def interface_id() -> str:
    """Of the machine's first interface."""
    mac = metadata("meta-data/mac")
    return metadata(f"meta-data/network/interfaces/macs/{mac}/interface-id")
