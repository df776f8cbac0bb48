"""What policies speak of: the names, tags and ARNs of one environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.topology import Environment, names
from holdfast.topology.spec import TEST_PREFIX

Condition = dict[str, dict[str, Any]]


class NoBoundary(HoldfastError):
    """The environment's file does not say by which policy the roles of machines are bounded."""

    exit_code = 2


class NoAccount(HoldfastError):
    """The environment's file does not name its account."""

    exit_code = 2


def account_of(environment: Environment, of_what: str) -> str:
    """
    Raises:
        NoAccount: the environment's file does not name it.
    """
    cloud = environment.cloud
    account = cloud.account or (cloud.permissions_boundary or "::::").split(":")[4]
    if not account:
        raise NoAccount(
            f"{environment.name}: found no cloud.account; write into its file the account of {of_what}, such "
            "as 123456789012: the policy is for that account alone"
        )
    return account


def given(environment: Environment) -> tuple[str, ...]:
    """VPC and subnets that are there already: `vpc/ID`, `subnet/ID`."""
    vpc = environment.network.vpc
    return (f"vpc/{vpc.id}", *(f"subnet/{subnet.id}" for subnet in vpc.subnets.values())) if vpc else ()


@dataclass(frozen=True)
class Place:
    account: str
    region: str
    environment: str
    bucket: str
    backups_bucket: str
    state_bucket: str
    domain: str
    boundary: str
    """The ARN of the permissions boundary."""
    given: tuple[str, ...] = ()
    """See `given`."""

    @classmethod
    def of(cls, environment: Environment) -> Place:
        """
        Raises:
            NoBoundary: `cloud.permissions_boundary` is not set.
        """
        boundary = environment.cloud.permissions_boundary
        if boundary is None:
            raise NoBoundary(
                f"{environment.name}: found no cloud.permissions_boundary; write into its file the ARN that the "
                f"boundary will have, such as arn:aws:iam::123456789012:policy/{names.PROJECT}-{environment.name}"
                "-boundary: without it a deploy could give a machine any permission, so no policy would hold its role"
            )
        return cls(
            given=given(environment),
            account=boundary.split(":")[4],
            region=environment.region,
            environment=environment.name,
            bucket=names.bucket(environment),
            backups_bucket=names.backups_bucket(environment),
            state_bucket=names.state_bucket(environment),
            domain=environment.domain or f"{environment.name}.{names.PROJECT}.internal",
            boundary=boundary,
        )

    @classmethod
    def of_test_stacks(cls, environment: Environment) -> Place:
        """All test stacks in the account and region of that environment, by what their names begin with.

        Raises:
            NoAccount: its file does not name the account.
        """
        account = account_of(environment, "its test stacks")
        every = f"{TEST_PREFIX}*"
        return cls(
            account=account,
            region=environment.region,
            environment=every,
            bucket=f"{names.PROJECT}-{every}",
            backups_bucket=f"{names.PROJECT}-{every}{names.BACKUPS_BUCKET_END}",
            state_bucket=f"{names.PROJECT}-{every}{names.STATE_BUCKET_END}",
            domain=f"{every}.{names.PROJECT}.internal",
            boundary="",
        )

    def arn(self, service: str, what: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{what}"

    def iam(self, what: str) -> str:
        return f"arn:aws:iam::{self.account}:{what}"

    def tags(self, key: str) -> Condition:
        """Where `aws:ResourceTag` or `aws:RequestTag` is that of everything in the environment."""
        compared = "StringLike" if "*" in self.environment else "StringEquals"
        return {compared: {f"{key}/Project": names.PROJECT, f"{key}/Environment": self.environment}}

    def through(self, *services: str) -> Condition:
        """Where a service uses a key for its caller."""
        return {"StringEquals": {"kms:ViaService": [f"{service}.{self.region}.amazonaws.com" for service in services]}}

    @property
    def ours(self) -> Condition:
        """What is in this account: a bucket's name may be another's."""
        return {"StringEquals": {"aws:ResourceAccount": self.account}}

    @property
    def node_roles(self) -> str:
        return f"{names.PROJECT}-{self.environment}.*"

    @property
    def flows_role(self) -> str:
        return f"{names.PROJECT}-{self.environment}-flows"

    def secret(self, what: str) -> str:
        return self.arn("secretsmanager", f"secret:{names.PROJECT}/{self.environment}/{what}")

    def backups(self, *keys: str) -> list[str]:
        """Objects in the bucket of backups."""
        return [f"arn:aws:s3:::{self.backups_bucket}/{key}" for key in keys]

    def objects(self, *keys: str) -> list[str]:
        return [f"arn:aws:s3:::{self.bucket}/{key}" for key in keys]
