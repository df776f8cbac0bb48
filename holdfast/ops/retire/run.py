"""Destroys an environment's stacks, one after the other, in spite of what refuses it: see holdfast/ops/destroy.py."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud, destroy
from holdfast.ops.retire.plan import Retirement
from holdfast.topology import Environment, names

TIMEOUT = 3600.0
"""Seconds for one stack. Network interfaces of endpoints and NAT gateways take minutes; a machine hands over first."""


class NotRetired(HoldfastError):
    """A stack could not be destroyed. Those before it are gone; running again goes on here."""


def retire(environment: Environment, planned: Retirement, say: Callable[[str], None]) -> None:
    """Destroy the stacks of `planned` in its order, saying what is being done.

    Raises:
        NotRetired: with what Terraform said.
        HoldfastError: the bucket cannot be emptied.
    """
    bucket = names.state_bucket(environment) if environment.api_endpoint is None else None
    for doomed in planned.stacks:
        say(f"{doomed.name}: destroying")
        if doomed.name == names.identity_stack(environment):
            _empty(environment)
        account = environment.cloud.account
        place = destroy.Place(doomed.name, environment.region, bucket, environment.api_endpoint, account)
        try:
            destroy.destroy(place, patience=TIMEOUT)
        except destroy.DestroyFailed as error:
            raise NotRetired(
                f"{doomed.name} could not be destroyed; what came before it is gone, and holdfast retire "
                f"{environment.name} goes on here:\n{error}"
            ) from None


def _empty(environment: Environment) -> None:
    """A protected environment's bucket is not destroyed with what is in it. No node is left that would write."""
    s3, bucket = cloud.client(environment, "s3"), names.bucket(environment)
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            objects = [{"Key": it["Key"], "VersionId": it["VersionId"]} for it in found]
            if objects:
                answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
                if refused := answer.get("Errors"):
                    first = refused[0]
                    raise cloud.CloudError(f"{bucket}: {first['Key']} cannot be deleted: {first['Message']}")
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise cloud.explain(environment, f"emptying the bucket {bucket}", error) from None
    except BotoCoreError as error:
        raise cloud.explain(environment, f"emptying the bucket {bucket}", error) from None
