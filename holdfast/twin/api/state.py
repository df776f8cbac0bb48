"""All that moto knows, to and from a file: the cloud outlives the daemon."""

from __future__ import annotations

import copyreg
import os
from pathlib import Path
from typing import Any

import dill  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from moto.backends import get_backend
from moto.s3.models import s3_backends
from moto.s3.utils import _VersionedKeyStore
from moto.ssm.models import ParameterDict

SERVICES: tuple[Any, ...] = (
    "cloudwatch",
    "ec2",
    "iam",
    "kms",
    "logs",
    "route53",
    "s3",
    "secretsmanager",
    "sns",
    "ssm",
    "sts",
)


def _reduce_key(key: rsa.RSAPrivateKey) -> tuple[Any, ...]:
    return _restore_key, (key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),)


def _restore_key(content: bytes) -> Any:
    return load_pem_private_key(content, password=None)


# moto gives every KMS key one, and it cannot be pickled by itself. Its class is internal to cryptography.
copyreg.pickle(type(rsa.generate_private_key(65537, 2048)), _reduce_key)


def _reduce_parameters(parameters: Any) -> tuple[Any, ...]:
    account_and_region = (parameters.account_id, parameters.region_name)
    return _restore_parameters, account_and_region, vars(parameters), None, iter(list(parameters.items()))


def _restore_parameters(account: str, region: str) -> Any:
    return ParameterDict(account, region)


# A dictionary whose default is its own affair: pickle would give it that, where it takes account and region.
copyreg.pickle(ParameterDict, _reduce_parameters)


def _reduce_versions(store: Any) -> tuple[Any, ...]:
    return _restore_versions, (list(store.lists()),)


def _restore_versions(lists: list[tuple[str, list[Any]]]) -> Any:
    store = _VersionedKeyStore()
    for key, versions in lists:
        store.setlist(key, versions)
    return store


# It shows only the newest version of a key to whoever goes through it, as pickle does.
copyreg.pickle(_VersionedKeyStore, _reduce_versions)


def reset(account: str) -> None:
    for service in SERVICES:
        backends = get_backend(service)[account]
        backends.reset()
        dict.clear(backends)


def forget_default_vpc(ec2: Any) -> None:
    """An account may delete it, and the twin would have to build its network."""
    vpc = ec2.default_vpc
    for subnet in list(ec2.describe_subnets()):
        ec2.delete_subnet(subnet.id)
    for gateway in list(ec2.internet_gateways.values()):
        ec2.detach_internet_gateway(gateway.id, vpc.id)
        ec2.delete_internet_gateway(gateway.id)
    ec2.delete_vpc(vpc.id)


def dump(account: str) -> bytes:
    backends = {service: dict(get_backend(service)[account].items()) for service in SERVICES}
    return bytes(dill.dumps(backends, recurse=False))


def restore(account: str, content: bytes) -> None:
    # First, so that content that cannot be read changes nothing.
    saved = dill.loads(content)
    reset(account)
    for service, backends in saved.items():
        for region, backend in backends.items():
            get_backend(service)[account][region] = backend
    # Buckets are one name space for all accounts, which moto keeps outside its accounts.
    for partition, s3 in get_backend("s3")[account].items():
        s3_backends.bucket_accounts.update(dict.fromkeys(s3.buckets, (partition, account)))


def write(path: Path, content: bytes) -> None:
    """Whole or not at all, and for this user only: it holds secrets."""
    unfinished = path.with_suffix(".unfinished")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
