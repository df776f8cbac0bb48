"""What must be before the first deploy to AWS: the bucket of the Terraform state. Harmless to run again."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud
from holdfast.topology import Environment, load_environment, names


def bootstrap(environment: Environment, file: Path) -> list[str]:
    """Create the state bucket, or bring an existing one to its settings; what was done, one sentence each.

    `file`: the environment's. Where it does not say how its buckets' names end, and there are none yet, it does then.

    Raises:
        CloudError: the API refused, or the bucket belongs to somebody else.
        HoldfastError: the file cannot be changed.
    """
    if environment.api_endpoint is not None:
        return [f"{environment.name} keeps its Terraform state in .holdfast/state on this machine: nothing to create"]
    s3, done = cloud.client(environment, "s3"), []
    bucket = names.state_bucket(environment)
    try:
        owner = {"ExpectedBucketOwner": cloud.client(environment, "sts").get_caller_identity()["Account"]}
        if environment.cloud.suffix is None and not _is_ours(s3, bucket, environment, owner):
            suffix = secrets.token_hex(4)
            _write(file, suffix)
            environment = load_environment(file)
            bucket = names.state_bucket(environment)
            done.append(f'wrote cloud.suffix: "{suffix}" into {file}: commit it, as it names the buckets from now on')
        done.append(_create(s3, bucket, environment))
        # At once: what has no tags is found by nobody.
        s3.put_bucket_tagging(
            Bucket=bucket,
            Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in names.all_tags(environment).items()]},
            **owner,
        )
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}, **owner)
        done.append("versioned: every state can be brought back")
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}, **owner)
        done.append("encrypted at rest with KMS")
        s3.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
            **owner,
        )
        done.append("closed to the public")
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_tls_only(bucket)), **owner)
        done.append("reached over TLS only")
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, f"creating the state bucket {bucket}", error) from None
    return done


def _is_ours(s3: Any, bucket: str, environment: Environment, owner: dict[str, str]) -> bool:
    """Whether a bucket of that name is there, and this account's: an environment of the days before keeps its name."""
    try:
        s3.head_bucket(Bucket=bucket, **owner)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404:
            return False
        if status != 403:
            raise
        # Another's, or there is no right to look: asked to create it, S3 says which. A new name would be wrong in both:
        # with credentials of another account it would part the environment from its states.
        _create(s3, bucket, environment)
    return True


def _write(file: Path, suffix: str) -> None:
    """Into the environment file, without touching what people wrote there.

    Raises:
        HoldfastError: it is written in a way that is not known here.
    """
    text, entry = file.read_text(encoding="utf-8"), f'suffix: "{suffix}"'
    if block := re.search(r"^cloud:[ \t]*(#.*)?\n([ \t]+)", text, re.MULTILINE):
        changed = f"{text[: block.end()]}{entry}\n{block[2]}{text[block.end() :]}"
    elif flow := re.search(r"^cloud:[ \t]*\{[ \t]*", text, re.MULTILINE):
        rest = text[flow.end() :]
        changed = f"{text[: flow.end()]}{entry}{'' if rest.startswith('}') else ', '}{rest}"
    else:
        changed = f"{text.rstrip()}\ncloud:\n  {entry} # ends the names of its buckets\n"
    meant = yaml.safe_load(text)
    meant["cloud"] = {**(meant.get("cloud") or {}), "suffix": suffix}
    if yaml.safe_load(changed) != meant:
        raise HoldfastError(f"{file}: nothing was changed; write into it by hand, below cloud: {entry}")
    file.write_text(changed, encoding="utf-8")


def _create(s3: Any, bucket: str, environment: Environment) -> str:
    location = {} if environment.region == "us-east-1" else {"LocationConstraint": environment.region}
    try:
        s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": location} if location else {}))
    except ClientError as error:
        if error.response["Error"]["Code"] == "BucketAlreadyExists":
            raise cloud.CloudError(
                f"{environment.name}: the bucket {bucket} is another account's, and nothing was written into it; "
                f"accepted: that account's credentials, or another cloud.suffix than {environment.suffix}"
            ) from None
        if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
            raise
        return f"the state bucket {bucket} was there already"
    return f"created the state bucket {bucket} in {environment.region}"


def _tls_only(bucket: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
