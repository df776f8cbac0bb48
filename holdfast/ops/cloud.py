"""Clients for an environment's cloud: AWS itself, or the API that the environment file names."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from holdfast.errors import HoldfastError
from holdfast.topology import Environment, emulation


class CloudError(HoldfastError):
    """The cloud's API did not do what was asked."""


def client(environment: Environment, service: str, attempts: int = 3) -> Any:
    """A boto3 client for `service` in the environment's region."""
    endpoint = environment.api_endpoint
    config = Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": attempts, "mode": "standard"})
    if endpoint is None:
        return boto3.client(service, region_name=environment.region, config=config)
    # Without a twin there is no key, and nobody who would ask for it.
    key = emulation.key() or emulation.Key("none", "none")
    return boto3.client(
        service,
        region_name=environment.region,
        endpoint_url=endpoint,
        # The emulated cloud has its own, and must not see real ones.
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=config.merge(Config(s3={"addressing_style": "path"})),
    )


def explain(environment: Environment, doing: str, error: BotoCoreError | ClientError) -> CloudError:
    """An API failure as something a person can act on."""
    where = environment.api_endpoint or f"AWS in {environment.region}"
    hint = ""
    if isinstance(error, NoCredentialsError):
        hint = "; set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    elif environment.api_endpoint and isinstance(error, ClientError) and emulation.key() is None:
        hint = f"; there is no key for the twin in {emulation.file()}, write it: `holdfast twin up`"
    elif environment.api_endpoint and not isinstance(error, ClientError):
        hint = "; is the twin up? `holdfast twin up`"
    return CloudError(f"{environment.name}: {doing} failed at {where}: {error}{hint}")
