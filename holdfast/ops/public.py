"""The public addresses of the endpoints: which ones the cloud gave is known to it alone."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops import cloud
from holdfast.topology import Environment, names


@dataclass(frozen=True)
class PublicAddress:
    """Of one endpoint: `kind` is `leader` or `replica`."""

    node: str
    kind: str
    address: IPv4Address


def addresses(environment: Environment) -> tuple[PublicAddress, ...]:
    """All there are, by node and kind; none where `network.public` is false, or nothing is deployed yet.

    Raises:
        CloudError: the API refused.
    """
    if not environment.network.public:
        return ()
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in names.tags(environment).items()]
    filters.append({"Name": "tag-key", "Values": [names.PUBLIC_ADDRESS_TAG]})
    try:
        answer = cloud.client(environment, "ec2").describe_addresses(Filters=filters)
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, "looking up the public addresses", error) from None
    found = []
    for one in answer["Addresses"]:
        tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        address = IPv4Address(one["PublicIp"])
        found.append(PublicAddress(tags["Node"], tags[names.PUBLIC_ADDRESS_TAG], address))
    return tuple(sorted(found, key=lambda one: (one.node, one.kind)))
