"""Clients for an environment's cloud: AWS itself, or the API that the environment file names."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from holdfast.errors import HoldfastError
from holdfast.topology import Environment, emulation


class CloudError(HoldfastError):
    """The cloud's API did not do what was asked."""


def client(environment: Environment, service: str, attempts: int = 3) -> Any:
    """A boto3 client for `service` in the environment's region.

    Raises:
        CloudError: the credentials are of another account than the environment is in.
    """
    account = environment.cloud.account
    if account is not None:
        _require_account(environment)
    made = _client(environment, service, attempts)
    if account is not None and service == "s3":
        made.meta.events.register("provide-client-params.s3", partial(_expect_owner, account))
    return made


_confirmed: set[str] = set()
"""Accounts that the credentials of this process are of."""


def _require_account(environment: Environment) -> None:
    """Asked once, before anything else is."""
    if environment.cloud.account in _confirmed:
        return
    try:
        found = _client(environment, "sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise explain(environment, "asking which account this is", error) from None
    if found != environment.cloud.account:
        raise CloudError(
            f"{environment.name}: the credentials are of the account {found}, and cloud.account is "
            f"{environment.cloud.account}; nothing was asked or changed there"
        )
    _confirmed.add(found)


def _expect_owner(account: str, params: dict[str, Any], model: Any, **_: Any) -> None:
    """A bucket's name may be another's by now: S3 then refuses, before it takes or gives anything."""
    if "ExpectedBucketOwner" in model.input_shape.members:
        params.setdefault("ExpectedBucketOwner", account)


def _client(environment: Environment, service: str, attempts: int = 3) -> Any:
    with _making:
        return _made(environment, service, attempts)


_making = threading.Lock()
"""Clients come from one session, which keeps the credentials that were asked for, and is not for several threads."""


def _made(environment: Environment, service: str, attempts: int) -> Any:
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
