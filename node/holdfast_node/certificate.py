"""This machine's certificate, and whom it believes: fetched onto tmpfs, and used for every connection to a peer.

Redis and Sentinel read one file, HAProxy and this program one each: certificate and key in it, for its user only.
"""

from __future__ import annotations

import hashlib
import json
import ssl
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from holdfast_node.cloud import Certificate, Cloud, patiently
from holdfast_node.files import HAPROXY, PROGRAM, REDIS, write_for_all, write_private
from holdfast_node.identity import Identity
from holdfast_node.log import say

FOLDER = Path("/run/holdfast")
AUTHORITY, OF_REDIS, OF_HAPROXY, OWN = "ca.pem", "redis.pem", "haproxy.pem", "node.pem"
KNOWN = "certificate.json"
"""Which certificate all services here use."""


class Known(NamedTuple):
    version: str
    ends: str
    authority: str
    """Digest of whom it believes."""


def fetch(identity: Identity, cloud: Cloud) -> Certificate | None:
    """Write it to where services read it; tries until it has it. None without TLS."""
    if identity.certificate is None:
        return None
    found = patiently(
        "certificate", cloud.certificate, "this node has no certificate yet: `holdfast certs ensure` makes it"
    )
    write_for_all(FOLDER / AUTHORITY, found.authority)
    write_private(FOLDER / OWN, found.pem, PROGRAM)
    if identity.has("data") or identity.has("sentinel"):
        write_private(FOLDER / OF_REDIS, found.pem, REDIS)
    if identity.has("gateway"):
        write_private(FOLDER / OF_HAPROXY, found.pem, HAPROXY)
    say("fetched the certificate of this node")
    return found


def tell_which(certificate: Certificate) -> None:
    """Note that all services here use it by now: see `known`."""
    content = Known(certificate.version, certificate.ends, digest(certificate.authority))
    write_private(FOLDER / KNOWN, json.dumps(content._asdict()), PROGRAM)


def known() -> Known | None:
    """The one that all services here use; None without TLS."""
    try:
        return Known(**json.loads((FOLDER / KNOWN).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def digest(pem: str) -> str:
    return hashlib.sha256(pem.encode()).hexdigest()


def context() -> ssl.SSLContext | None:
    """With which to connect to peers: the present certificate's. None without TLS."""
    try:
        changed = (FOLDER / OWN).stat().st_mtime_ns
    except FileNotFoundError:
        return None
    return _context(changed)


def context_for_own() -> ssl.SSLContext | None:
    """With which to connect to a service of this machine, whatever it shows: one that has ended must be replaceable."""
    found = context()
    if found is None:
        return None
    made = _make()
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


@lru_cache(maxsize=1)
def _context(_: int) -> ssl.SSLContext:
    return _make()


def _make() -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(FOLDER / AUTHORITY))
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(FOLDER / OWN)
    return made
