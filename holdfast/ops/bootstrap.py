"""What must be before the first deploy to AWS: the bucket of the Terraform state, and room. Harmless to run again."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops import cloud
from holdfast.topology import Environment, names

FREE_ELASTIC_IPS = 5
"""Of an account, in a region, at first. Amazon VPC user guide, "Amazon VPC quotas"."""


def bootstrap(environment: Environment) -> list[str]:
    """Create the state bucket, or bring an existing one to its settings; what was done, one sentence each.

    Raises:
        CloudError: the API refused, or the bucket belongs to somebody else.
    """
    if environment.api_endpoint is not None:
        return [f"{environment.name} keeps its Terraform state in .holdfast/state on this machine: nothing to create"]
    bucket = names.state_bucket(environment)
    s3 = cloud.client(environment, "s3")
    try:
        done = [_create(s3, bucket, environment)]
        # At once: what has no tags is found by nobody.
        s3.put_bucket_tagging(
            Bucket=bucket,
            Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in names.tags(environment).items()]},
        )
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        done.append("versioned: every state can be brought back")
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        done.append("encrypted at rest with KMS")
        s3.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        done.append("closed to the public")
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_tls_only(bucket)))
        done.append("reached over TLS only")
        done += _elastic_ips(environment)
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, f"creating the state bucket {bucket}", error) from None
    return done


def _elastic_ips(environment: Environment) -> list[str]:
    """What the environment takes of a quota that is small at first."""
    if not environment.elastic_ips:
        return []
    there = cloud.client(environment, "ec2").describe_addresses()["Addresses"]
    ours = {"Key": "Environment", "Value": environment.name}
    others = sum(ours not in address.get("Tags", ()) for address in there)
    sentence = (
        f"Elastic IPs: {environment.name} takes {environment.elastic_ips}, and others in {environment.region} have "
        f"{others}; an account may have {FREE_ELASTIC_IPS} until AWS grants it more"
    )
    if environment.elastic_ips + others > FREE_ELASTIC_IPS:
        sentence += " (Service Quotas: EC2-VPC Elastic IPs), or take fewer: network.nat: one"
    return [sentence]


def _create(s3: Any, bucket: str, environment: Environment) -> str:
    location = {} if environment.region == "us-east-1" else {"LocationConstraint": environment.region}
    try:
        s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": location} if location else {}))
    except ClientError as error:
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
