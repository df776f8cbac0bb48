"""The copy of a backup in the environment's own bucket: all that its nodes can read of any backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops import cloud
from holdfast.ops.backups.store import MANIFEST, Backup, Progress
from holdfast.topology import Environment, names

DENIED = {"AccessDenied", "KMS.DisabledException", "KMS.AccessDeniedException"}
"""S3's words where it may not copy by itself, as where a key is of another account."""


@contextmanager
def copied(environment: Environment, source: Environment, backup: Backup, progress: Progress) -> Iterator[str]:
    """A backup of `source`, under the prefix that this gives, until the end.

    Raises:
        CloudError: the API refused.
    """
    s3, prefix = cloud.client(environment, "s3"), f"{names.RESTORE_PREFIX}{backup.id}/"
    origin = f"{names.BASE_PREFIX}{backup.tier}/{backup.id}/"
    assert backup.manifest is not None
    # The manifest last: with it the copy is whole.
    wanted = [*(part.name for part in backup.manifest.parts), MANIFEST]
    try:
        for number, name in enumerate(wanted):
            progress(number, len(wanted))
            _copy(environment, source, s3, origin + name, prefix + name)
        yield prefix
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, f"copying {backup.id} for its nodes", error) from None
    finally:
        _remove(environment, s3, [prefix + name for name in wanted])


def _copy(environment: Environment, source: Environment, s3: Any, origin: str, target: str) -> None:
    """Within S3; where that is denied, through this machine."""
    bucket, backups = names.bucket(environment), names.backups_bucket(source)
    try:
        s3.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": backups, "Key": origin})
    except ClientError as error:
        if error.response["Error"]["Code"] not in DENIED:
            raise
        content = cloud.client(source, "s3").get_object(Bucket=backups, Key=origin)["Body"].read()
        s3.put_object(Bucket=bucket, Key=target, Body=content)


def _remove(environment: Environment, s3: Any, keys: list[str]) -> None:
    for key in keys:
        try:
            s3.delete_object(Bucket=names.bucket(environment), Key=key)
        except (BotoCoreError, ClientError):
            # It does no harm: S3 removes it after a day, and the next restore overwrites it.
            return
