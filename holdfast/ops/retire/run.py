"""Destroys what Terraform's states record, one stack after the other, with nothing but provider and state configured.

Refusals (`prevent_destroy`, a stack's `refusal`) are part of the configuration, not of the state: without the stacks'
own configuration they do not hold, for this one run, and the environment file stays as it is.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud, terraform
from holdfast.ops.retire.plan import Retirement
from holdfast.topology import Environment, names

TIMEOUT = 3600.0
"""Seconds for one stack. Network interfaces of endpoints and NAT gateways take minutes; a machine hands over first."""

LOCK_PATIENCE = "-lock-timeout=60s"


class NotRetired(HoldfastError):
    """A stack could not be destroyed. Those before it are gone; running again goes on here."""


def retire(environment: Environment, file: Path, planned: Retirement, say: Callable[[str], None]) -> None:
    """Destroy the stacks of `planned` in its order, saying what is being done.

    Raises:
        NotRetired: with what Terraform said.
        HoldfastError: the environment cannot be synthesised, the bucket cannot be emptied.
    """
    with tempfile.TemporaryDirectory() as folder:
        outdir, work = Path(folder) / "out", Path(folder) / "work"
        work.mkdir()
        environ = terraform.variables(file, outdir)
        terraform.synthesise(environ)
        configuration = terraform.configuration(outdir, names.network_stack(environment))
        for doomed in planned.stacks:
            say(f"{doomed.name}: destroying")
            if doomed.name == names.identity_stack(environment):
                _empty(environment)
            bare = json.dumps(only_state(configuration, doomed.name))
            (work / "main.tf.json").write_text(bare, encoding="utf-8")
            _destroy(environment, doomed.name, work, environ)


def only_state(configuration: Mapping[str, Any], stack: str) -> dict[str, Any]:
    """Where the state of `stack` lies and who made what is in it, from any stack's configuration; no resources."""
    settings, key = configuration["terraform"], names.state_key(stack)
    if s3 := settings["backend"].get("s3"):
        backend = {"s3": {**s3, "key": key}}
    else:
        backend = {"local": {"path": str(names.LOCAL_STATE / key)}}
    return {"terraform": {**settings, "backend": backend}, "provider": configuration["provider"]}


def _destroy(environment: Environment, stack: str, work: Path, environ: Mapping[str, str]) -> None:
    done = terraform.run(work, environ, "init", "-reconfigure", "-input=false")
    if done.returncode == 0:
        destroy = ("destroy", "-auto-approve", "-input=false", LOCK_PATIENCE)
        done = terraform.run(work, environ, *destroy, timeout=TIMEOUT)
    if done.returncode:
        raise NotRetired(
            f"{stack} could not be destroyed; what came before it is gone, and holdfast retire {environment.name} "
            f"goes on here:\n{terraform.last(done.stderr)}"
        )


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
