"""Whether what AWS grants the account in the region is enough, beside what others take of it.

Codes and what is granted at first: Amazon VPC user guide, "Amazon VPC quotas"; Amazon EC2 user guide, "Amazon EC2
service quotas"; AWS Secrets Manager user guide, "Secrets Manager quotas".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops import cloud
from holdfast.ops.preflight.check import Check, Verdict, right
from holdfast.topology import Cluster, Egress, Environment, names, users
from holdfast.topology.ranges import is_public
from holdfast.topology.spec import TieredLayout

Ec2 = Any
"""Of boto3, which makes its classes at run time."""


@dataclass(frozen=True)
class Quota:
    """`others`: what is taken by all else that is there; None where each thing has a quota of its own."""

    what: str
    service: str
    code: str
    first: int
    takes: Callable[[Environment, Ec2], int]
    others: Callable[[Environment, Ec2], int] | None = None
    instead: str = ""
    """What else could be done than to ask for more."""


def check(environment: Environment) -> Iterator[Check]:
    ec2 = cloud.client(environment, "ec2")
    for quota in QUOTAS:
        if takes := quota.takes(environment, ec2):
            yield _check(environment, quota, takes, quota.others(environment, ec2) if quota.others else None)


def _check(environment: Environment, quota: Quota, takes: int, others: int | None) -> Check:
    granted, asked = _granted(environment, quota)
    beside = "" if others is None else f", others in {environment.region} have {others:,}"
    may = f"{granted:,}{'' if asked else ' at first; what is granted now could not be asked'}"
    says = f"{environment.name} takes {takes:,}{beside}; the account may have {may}"
    if takes + (others or 0) <= granted:
        return right(quota.what, says)
    more = f"{says}; ask for more: Service Quotas, {quota.service} {quota.code}"
    more += f", or {quota.instead}" if quota.instead else ""
    return Check(quota.what, Verdict.WRONG if asked else Verdict.UNKNOWN, more)


def _granted(environment: Environment, quota: Quota) -> tuple[int, bool]:
    """And whether Service Quotas said so: not every account may ask it, and an emulation has none."""
    quotas = cloud.client(environment, "service-quotas", attempts=1)
    try:
        answer = quotas.get_service_quota(ServiceCode=quota.service, QuotaCode=quota.code)
    except (BotoCoreError, ClientError) as error:
        # So it says of those of which nobody has ever asked for more.
        never = isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchResourceException"
        return quota.first, never
    return int(answer["Quota"]["Value"]), True


def _addresses(environment: Environment, ec2: Ec2) -> int:
    return _count(environment, ec2.describe_addresses()["Addresses"])


def _networks(environment: Environment, ec2: Ec2) -> int:
    return _count(environment, _pages(ec2, "describe_vpcs", "Vpcs"))


def _gateways(environment: Environment, ec2: Ec2) -> int:
    return _count(environment, _pages(ec2, "describe_internet_gateways", "InternetGateways"))


def _count(environment: Environment, listed: Any) -> int:
    return sum(not _is_ours(environment, it.get("Tags", ())) for it in listed)


def _is_ours(environment: Environment, tags: Any) -> bool:
    found = {tag["Key"]: tag["Value"] for tag in tags}
    return found.get("Project") == names.PROJECT and found.get("Environment") == environment.name


def _pages(ec2: Ec2, call: str, key: str, **arguments: Any) -> Iterator[Any]:
    for page in ec2.get_paginator(call).paginate(**arguments):
        yield from page[key]


def _running(environment: Environment, ec2: Ec2) -> int:
    """vCPUs of all that counts as standard: families that begin with one of these letters."""
    states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    vcpus = 0
    for reservation in _pages(ec2, "describe_instances", "Reservations", Filters=states):
        for instance in reservation["Instances"]:
            options = instance.get("CpuOptions", {})
            standard = instance["InstanceType"][0] in "acdhimrtz" and instance.get("InstanceLifecycle") != "spot"
            if standard and not _is_ours(environment, instance.get("Tags", ())):
                vcpus += options.get("CoreCount", 1) * options.get("ThreadsPerCore", 1)
    return vcpus


def _vcpus(environment: Environment, ec2: Ec2) -> int:
    if environment.api_endpoint is not None:
        return 0  # an emulation counts none
    return sum(node.machine.instance.vcpus for node in Cluster.of(environment).nodes)


def rules(environment: Environment) -> int:
    """Inbound rules of the security group that has most: where all machines are alike, it has those of all roles."""
    cluster = Cluster.of(environment)
    network = environment.network
    clients = network.clients or (network.cidr,)
    plaintext = cluster.plaintext_port is not None
    for_clients = sum(
        environment.tls.on + (plaintext and not (environment.tls.on and is_public(cidr))) for cidr in clients
    )
    election = int(cluster.elects)
    if isinstance(environment.layout, TieredLayout):
        # From machines of each role; gateways ask each other only.
        return max(3 + len(network.sentinel_clients), 1 + election + for_clients)
    return 3 + election + for_clients + 2 * len(network.sentinel_clients)


def _secrets(environment: Environment) -> int:
    own = len(users.of(environment))
    if environment.tls.on:
        own += 1 + len(environment.applications) + len(Cluster.of(environment).nodes)
    return own


QUOTAS = (
    Quota(
        "Elastic IPs",
        "ec2",
        "L-0263D0A3",
        5,
        lambda environment, _: environment.elastic_ips,
        _addresses,
        "take fewer: network.nat: one",
    ),
    Quota("VPCs", "vpc", "L-F678F1CE", 5, lambda _, __: 1, _networks),
    Quota(
        "internet gateways",
        "vpc",
        "L-A4707A72",
        5,
        lambda environment, _: int(environment.network.egress is Egress.NAT),
        _gateways,
    ),
    Quota("vCPUs of standard instances", "ec2", "L-1216C47A", 5, _vcpus, _running),
    Quota(
        "rules of a security group",
        "vpc",
        "L-0EA8095F",
        60,
        lambda environment, _: rules(environment),
        None,
        "name fewer networks in network.clients",
    ),
    Quota("secrets", "secretsmanager", "L-2F66C23C", 500_000, lambda environment, _: _secrets(environment)),
)
