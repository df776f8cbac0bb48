"""The accounts to look at, each through one API, and whether test stacks may be made and removed there."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops import cloud
from holdfast.topology import Environment
from holdfast.topology.load import ENVIRONMENTS

ACCOUNTS = "test-accounts.txt"
"""Beside the environment files."""

ATTEMPTS = 8
"""Of one call. Tags are asked for one resource at a time, which is more than some services answer at once."""


class AccountRefused(HoldfastError):
    """Test stacks may be neither made nor removed in this account."""


class Cloud:
    """One account: AWS with the credentials that there are, or an emulation."""

    def __init__(self, regions: Mapping[str, Environment]) -> None:
        """`regions`: for each region an environment in it."""
        self.regions = dict(regions)
        self.home = next(iter(self.regions))
        """The region that is asked about what has none."""
        self.endpoint = self.regions[self.home].api_endpoint
        self._clients: dict[tuple[str, str], Any] = {}

    def __str__(self) -> str:
        return self.endpoint or f"AWS in {', '.join(self.regions)}"

    def client(self, service: str, region: str | None = None) -> Any:
        key = service, region or self.home
        if key not in self._clients:
            self._clients[key] = cloud.client(self.regions[key[1]], service, attempts=ATTEMPTS)
        return self._clients[key]

    def answers(self) -> bool:
        """Whether anybody listens there. AWS always does."""
        if self.endpoint is None:
            return True
        url = urlsplit(self.endpoint)
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            socket.create_connection((url.hostname or "", port), timeout=3).close()
        except OSError:
            return False
        return True

    def explain(self, doing: str, error: BotoCoreError | ClientError) -> cloud.CloudError:
        return cloud.explain(self.regions[self.home], doing, error)


def clouds_of(environments: Iterable[Environment]) -> list[Cloud]:
    """Where these environments are: each account once, with its regions."""
    found: dict[str | None, dict[str, Environment]] = {}
    for environment in environments:
        found.setdefault(environment.api_endpoint, {}).setdefault(environment.region, environment)
    return [Cloud(regions) for regions in found.values()]


def require_listed(where: Cloud, folder: Path = ENVIRONMENTS) -> str:
    """The account's id.

    Raises:
        AccountRefused: it is not on the list.
        CloudError: the API does not tell which account it is.
    """
    try:
        account: str = where.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise where.explain("asking which account this is", error) from None
    listed = _listed(folder / ACCOUNTS)
    if account not in listed:
        raise AccountRefused(
            f"{where}: the account {account} is not on the list of {folder / ACCOUNTS} "
            f"({', '.join(sorted(listed)) or 'which is empty'}); nothing was done there. "
            "An account for tests is put there by a reviewed change, one with anything to lose is not"
        )
    return account


def _listed(file: Path) -> frozenset[str]:
    """
    Raises:
        HoldfastError: a line is no account.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return frozenset()
    accounts = [stripped for line in lines if (stripped := line.partition("#")[0].strip())]
    for account in accounts:
        if not re.fullmatch("[0-9]{12}", account):
            raise HoldfastError(f"{file}: found {account!r}; accepted: an account's id of 12 digits, alone in its line")
    return frozenset(accounts)
